//! When to tell what.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Now;
use crate::parcel::{Letter, Parcel};
use crate::policy::Policy;

const MAX_LETTERS: usize = 10_000;

/// Letters that wait for their time.
pub(crate) struct Dispatcher {
    ready: VecDeque<Parcel>,
    dropped: Vec<Arc<Letter>>,
}

impl Dispatcher {
    pub(crate) fn new(_policy: &Policy) -> Self {
        Self { ready: VecDeque::new(), dropped: Vec::new() }
    }

    /// Takes a letter, to be told at its time or not at all.
    pub(crate) fn take(&mut self, letter: Arc<Letter>, _now: Now) {
        if letter.record.extra.contains_key("resolves") {
            self.dropped.push(letter);
        } else {
            self.ready.push_back(Parcel::of(letter));
        }
    }

    /// The letters that are dealt with without being told.
    pub(crate) fn dropped(&mut self) -> Vec<Arc<Letter>> {
        std::mem::take(&mut self.dropped)
    }

    /// What is to be told now.
    pub(crate) fn next(&mut self, _now: Now) -> Option<Parcel> {
        self.ready.pop_front()
    }

    /// When there may be something to tell.
    pub(crate) fn due(&self) -> Option<Instant> {
        None
    }

    /// What became of the last parcel.
    pub(crate) fn settled(&mut self, _told: bool, _now: Now) {}

    /// Nothing more will come: everything is due.
    pub(crate) fn flush(&mut self) {}

    /// Whether it holds as much as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.ready.len() >= MAX_LETTERS
    }

    /// Everything that still waits.
    pub(crate) fn into_letters(self) -> Vec<Arc<Letter>> {
        self.ready.iter().flat_map(|parcel| parcel.letters().to_vec()).collect()
    }
}

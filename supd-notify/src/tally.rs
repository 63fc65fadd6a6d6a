//! What a target has done so far, for whoever measures it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbers of records, unless they say otherwise.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) delivered: Counter,
    /// Messages that the channel took.
    pub(crate) messages: Counter,
    /// Attempts that failed.
    pub(crate) failed: Counter,
    /// Attempts that were not the first of their message.
    pub(crate) retried: Counter,
    /// Deliberately: muted, or the end of a problem that is not to be told.
    pub(crate) dropped: Counter,
    /// Dead letters.
    pub(crate) dead: Counter,
}

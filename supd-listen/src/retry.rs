//! What fails is tried again after a pause, for as long as it takes, and said once.

use std::time::{Duration, Instant};

/// A full disk is not emptied in less.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether something fails, and when to try it again.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    at: Option<Instant>,
}

impl Retry {
    /// When to try again; `None` as long as it works.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is too early for another attempt.
    pub(crate) fn is_early(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at > now)
    }

    /// An attempt has failed. True when that is to be said: the one before had not.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.at.replace(now + PAUSE).is_none()
    }

    /// An attempt has succeeded. True when that is to be said: the one before had not.
    pub(crate) fn worked(&mut self) -> bool {
        self.at.take().is_some()
    }
}

//! What a target has done so far, for whoever measures it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;

use crate::clock::Now;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// What another counter says.
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
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
    health: Mutex<Health>,
}

/// What the last attempts came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    /// Since when no attempt has succeeded, whether it was tried again or given up: either way, nobody has heard.
    pub(crate) failing_since: Option<Instant>,
    /// When the channel last took a message.
    pub(crate) last_delivery: Option<Timestamp>,
}

impl Tally {
    /// An attempt has failed.
    pub(crate) fn attempt_failed(&self, now: Now) {
        self.failed.add(1);
        self.lock().failing_since.get_or_insert(now.instant);
    }

    /// The channel took a message about so many records.
    pub(crate) fn told(&self, records: usize, now: Now) {
        self.messages.add(1);
        self.delivered.add(records);
        *self.lock() = Health { failing_since: None, last_delivery: Some(now.wall) };
    }

    pub(crate) fn health(&self) -> Health {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().expect("no thread panics while it holds this")
    }
}

/// What has come on standard input.
#[derive(Debug, Default)]
pub(crate) struct InputTally {
    /// Records, without the marks of a spool.
    pub(crate) read: Counter,
    /// Lines that were none.
    pub(crate) malformed: Counter,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_target_fails_from_the_first_failure_to_the_next_success() {
        let tally = Tally::default();
        let now = Now::read();
        tally.attempt_failed(now);
        tally.attempt_failed(now + Duration::from_secs(5));
        assert_eq!(tally.health(), Health { failing_since: Some(now.instant), last_delivery: None });
        tally.told(3, now);
        assert_eq!(tally.health(), Health { failing_since: None, last_delivery: Some(now.wall) });
        assert_eq!((tally.failed.get(), tally.messages.get(), tally.delivered.get()), (2, 1, 3));
    }
}

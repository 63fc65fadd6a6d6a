//! How far a consumer has got, and when that is worth writing down. It never reads a clock.

use std::time::{Duration, Instant};

/// The cursor is written at most so often; what was delivered since then is delivered again after a crash.
const PAUSE: Duration = Duration::from_millis(100);
/// After an attempt that failed: a full disk is not emptied in less.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A watermark: records are dealt with in their order.
#[derive(Debug)]
pub(crate) struct Confirmations {
    /// Everything up to here has been dealt with.
    handled: u64,
    /// What the cursor says; `None` before it says anything.
    written: Option<u64>,
    /// It is not written before this.
    not_before: Instant,
}

impl Confirmations {
    /// Begins where the cursor is or, where there is none, after this number.
    pub(crate) fn new(written: Option<u64>, otherwise: u64, now: Instant) -> Self {
        Self { handled: written.unwrap_or(otherwise), written, not_before: now }
    }

    /// Everything up to this number has been dealt with.
    pub(crate) fn confirm(&mut self, seq: u64) {
        self.handled = self.handled.max(seq);
    }

    /// What the cursor does not say yet.
    pub(crate) fn unwritten(&self) -> Option<u64> {
        Some(self.handled).filter(|_| self.written != Some(self.handled))
    }

    /// When to write that.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.unwritten().map(|_| self.not_before)
    }

    /// The cursor says this now.
    pub(crate) fn wrote(&mut self, seq: u64, now: Instant) {
        self.written = Some(seq);
        self.not_before = now + PAUSE;
    }

    /// The cursor could not be written.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.not_before = now + PAUSE_AFTER_FAILURE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_consumer_is_to_be_written_down_at_once() {
        let now = Instant::now();
        let new = Confirmations::new(None, 0, now);
        assert_eq!((new.unwritten(), new.due()), (Some(0), Some(now)));
        let known = Confirmations::new(Some(7), 0, now);
        assert_eq!((known.unwritten(), known.due()), (None, None));
    }

    #[test]
    fn one_record_is_written_at_once_and_many_now_and_then() {
        let now = Instant::now();
        let mut confirmations = Confirmations::new(Some(0), 0, now);
        confirmations.confirm(1);
        assert_eq!((confirmations.unwritten(), confirmations.due()), (Some(1), Some(now)));
        confirmations.wrote(1, now);
        assert_eq!(confirmations.due(), None);
        (2..50).for_each(|seq| confirmations.confirm(seq));
        assert_eq!((confirmations.unwritten(), confirmations.due()), (Some(49), Some(now + PAUSE)));
    }

    #[test]
    fn a_number_that_comes_late_takes_nothing_back() {
        let mut confirmations = Confirmations::new(Some(5), 0, Instant::now());
        confirmations.confirm(3);
        assert_eq!(confirmations.unwritten(), None);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_later() {
        let now = Instant::now();
        let mut confirmations = Confirmations::new(Some(0), 0, now);
        confirmations.confirm(1);
        confirmations.failed(now);
        assert_eq!(
            (confirmations.unwritten(), confirmations.due()),
            (Some(1), Some(now + PAUSE_AFTER_FAILURE))
        );
    }
}

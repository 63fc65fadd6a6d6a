//! How far a consumer has got, and when that is worth writing down. It never reads a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The cursor is written at most so often; what was delivered since then is delivered again after a crash.
const PAUSE: Duration = Duration::from_millis(100);
/// After an attempt that failed: a full disk is not emptied in less.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A watermark below everything that still waits, and above it what does: records are told of together, at a time of
/// their own, and so not in their order.
#[derive(Debug)]
pub(crate) struct Confirmations {
    /// Everything up to here has been dealt with.
    handled: u64,
    /// The largest number that came.
    highest: u64,
    /// What came and waits, and how many records have that number.
    waiting: BTreeMap<u64, usize>,
    /// What waited in an earlier program, and will come again unless a filter was changed.
    expected: BTreeSet<u64>,
    /// The largest number that came to that, and what of it waited.
    earlier: (u64, BTreeSet<u64>),
    /// What the cursor says; `None` before it says anything.
    written: Option<u64>,
    /// It is not written before this.
    not_before: Instant,
}

impl Confirmations {
    /// Begins where the cursor is or, where there is none, after this number.
    pub(crate) fn new(written: Option<u64>, otherwise: u64, now: Instant) -> Self {
        let handled = written.unwrap_or(otherwise);
        Self {
            handled,
            highest: handled,
            waiting: BTreeMap::new(),
            expected: BTreeSet::new(),
            earlier: (handled, BTreeSet::new()),
            written,
            not_before: now,
        }
    }

    /// Goes on where an earlier program was, to which this number was the largest that came, and these waited.
    pub(crate) fn resume(&mut self, highest: u64, waiting: impl IntoIterator<Item = u64>) {
        self.expected = waiting.into_iter().filter(|seq| *seq > self.handled).collect();
        self.highest = self.highest.max(highest);
        self.earlier = (self.highest, self.expected.clone());
    }

    /// Whether it was dealt with before our time.
    pub(crate) fn was_dealt_with(&self, seq: u64) -> bool {
        let (highest, waiting) = &self.earlier;
        seq <= *highest && !waiting.contains(&seq)
    }

    /// A record with this number has come, and waits. Everything has come up to what it `passes`: its own number, or the
    /// one before, where more records of its number follow.
    pub(crate) fn hold(&mut self, seq: u64, passes: u64) {
        *self.waiting.entry(seq).or_default() += 1;
        self.came(passes);
        // What is missing before it was for nobody.
        self.move_on();
    }

    /// It has been dealt with.
    pub(crate) fn release(&mut self, seq: u64) {
        if let Some(records) = self.waiting.get_mut(&seq) {
            *records -= 1;
            if *records == 0 {
                self.waiting.remove(&seq);
            }
        }
        self.move_on();
    }

    /// Nothing else up to this number will come.
    pub(crate) fn pass(&mut self, seq: u64) {
        self.came(seq);
        self.move_on();
    }

    fn came(&mut self, seq: u64) {
        self.highest = self.highest.max(seq);
        // They come in order, so what was expected before it will not come.
        while self.expected.first().is_some_and(|expected| *expected <= seq) {
            self.expected.pop_first();
        }
    }

    fn move_on(&mut self) {
        let first = self.waiting.keys().next().into_iter().chain(self.expected.first()).min();
        let before_waiting = first.map(|seq| seq.saturating_sub(1));
        self.handled = self.handled.max(before_waiting.unwrap_or(self.highest));
    }

    /// Everything up to here has been dealt with.
    pub(crate) fn handled(&self) -> u64 {
        self.handled
    }

    /// The largest number that came.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// The numbers that wait, and those that did and have not come again.
    pub(crate) fn waiting(&self) -> BTreeSet<u64> {
        self.waiting.keys().chain(&self.expected).copied().collect()
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
        confirmations.pass(1);
        assert_eq!((confirmations.unwritten(), confirmations.due()), (Some(1), Some(now)));
        confirmations.wrote(1, now);
        assert_eq!(confirmations.due(), None);
        (2..50).for_each(|seq| confirmations.pass(seq));
        assert_eq!((confirmations.unwritten(), confirmations.due()), (Some(49), Some(now + PAUSE)));
    }

    #[test]
    fn the_watermark_stays_below_what_waits_whatever_is_dealt_with_above() {
        let mut confirmations = Confirmations::new(Some(0), 0, Instant::now());
        [1, 3, 5].into_iter().for_each(|seq| confirmations.hold(seq, seq));
        confirmations.release(5);
        confirmations.pass(9);
        assert_eq!(confirmations.unwritten(), None);
        confirmations.release(1);
        assert_eq!(confirmations.unwritten(), Some(2));
        confirmations.release(3);
        assert_eq!(confirmations.unwritten(), Some(9));
    }

    #[test]
    fn a_successor_knows_what_was_dealt_with_above_the_watermark() {
        let mut confirmations = Confirmations::new(Some(3), 0, Instant::now());
        confirmations.resume(9, [4, 6]);
        let dealt: Vec<u64> = (1..12).filter(|seq| confirmations.was_dealt_with(*seq)).collect();
        assert_eq!(dealt, [1, 2, 3, 5, 7, 8, 9]);
        confirmations.hold(4, 4);
        confirmations.release(4);
        // Six has not come again yet.
        assert_eq!((confirmations.unwritten(), confirmations.waiting()), (Some(5), [6].into()));
        // A filter took it away.
        confirmations.pass(7);
        assert_eq!(confirmations.unwritten(), Some(9));
    }

    #[test]
    fn several_records_of_a_number_are_waited_for() {
        let mut confirmations = Confirmations::new(Some(0), 0, Instant::now());
        [1, 1].into_iter().for_each(|seq| confirmations.hold(seq, seq));
        confirmations.release(1);
        assert_eq!(confirmations.unwritten(), None);
        confirmations.release(1);
        assert_eq!(confirmations.unwritten(), Some(1));
    }

    #[test]
    fn a_number_of_which_more_is_to_come_is_not_passed_until_it_has_or_a_larger_one_comes() {
        let mut confirmations = Confirmations::new(Some(0), 0, Instant::now());
        confirmations.hold(5, 4);
        confirmations.release(5);
        assert_eq!(confirmations.unwritten(), Some(4));
        confirmations.hold(5, 5);
        assert_eq!(confirmations.unwritten(), Some(4));
        confirmations.release(5);
        assert_eq!(confirmations.unwritten(), Some(5));
        confirmations.hold(6, 5);
        confirmations.release(6);
        assert_eq!(confirmations.unwritten(), Some(5));
        // A filter took the other away.
        confirmations.pass(6);
        assert_eq!(confirmations.unwritten(), Some(6));
    }

    #[test]
    fn a_number_that_comes_late_takes_nothing_back() {
        let mut confirmations = Confirmations::new(Some(5), 0, Instant::now());
        confirmations.hold(3, 3);
        assert_eq!(confirmations.unwritten(), None);
        confirmations.release(3);
        assert_eq!(confirmations.unwritten(), None);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_later() {
        let now = Instant::now();
        let mut confirmations = Confirmations::new(Some(0), 0, now);
        confirmations.pass(1);
        confirmations.failed(now);
        assert_eq!(
            (confirmations.unwritten(), confirmations.due()),
            (Some(1), Some(now + PAUSE_AFTER_FAILURE))
        );
    }
}

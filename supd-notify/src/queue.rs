//! Records on their way from standard input to a target. Input is read on while a delivery waits, up to a bound: then
//! the pipe fills, and the spool, or supervisord's own buffer, is what waits.
//!
//! Where there are several targets, each has a queue of its own, and what one does not take must not keep the others
//! waiting: a letter is offered, and refused once the queue has been full for a few moments.
//!
//! Two things hurry the delivery. At the end of input everything is still tried, but a channel that fails is given only
//! the drain timeout, from then or, if that is later, from when it began to fail. SIGTERM ends everything within the
//! drain timeout, and at once when it comes after the end of input: whoever sends it then has waited already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::parcel::Letter;

const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 32 << 20;
/// How long offers wait, all together, until the queue is half empty again: more can come at once than a channel that
/// works takes in that time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what still comes is taken in when it is time to stop: long enough for what stands in pipes.
const REST: Duration = Duration::from_secs(2);

/// What was read, in its order.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A record to deliver.
    Letter(Arc<Letter>),
    /// The number in the spool up to which there is nothing else to deliver.
    Passed(u64),
}

/// What [`Queue::pop`] finds.
#[derive(Debug)]
pub(crate) enum Next {
    Entry(Entry),
    /// Nothing has come in time.
    Nothing,
    /// No more will come.
    End,
}

/// What has come and has not been dealt with: it is queued, or its target has it in hand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) letters: usize,
    pub(crate) oldest: Option<Timestamp>,
}

/// What stands in a queue from which some letters had to be kept out, so that a successor knows which were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// The numbers of the letters that stand in it.
    pub(crate) letters: Vec<u64>,
    /// The largest number that came; whatever else came up to it has been dealt with.
    pub(crate) highest: u64,
}

/// A bounded queue with an end.
pub(crate) struct Queue {
    drain_timeout: Duration,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// How many wait for that.
    waiters: AtomicUsize,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// How many letters from each moment have come and have not been dealt with.
    waiting: BTreeMap<Timestamp, usize>,
    /// When the input ended.
    ended: Option<Instant>,
    /// Set by SIGTERM: when to stop.
    stop: Option<Instant>,
    /// Whether the target knows of that.
    has_told_to_stop: bool,
    /// Whether the input has nothing to read at the moment.
    silent: bool,
    /// Whether anything was taken, or asked for, yet.
    has_begun: bool,
    /// How long offers have waited since it was last half empty.
    waited: Duration,
    /// Whether a letter was refused, and what stands before its number has not been taken yet.
    has_refused: bool,
    /// Whether nobody takes anything any more.
    closed: bool,
}

impl Queue {
    pub(crate) fn new(drain_timeout: Duration) -> Self {
        Self {
            drain_timeout,
            patience: PATIENCE,
            state: Mutex::default(),
            changed: Condvar::new(),
            waiters: AtomicUsize::new(0),
        }
    }

    /// What comes next, waiting for it until this time; the end when no more will come, or it is time to stop and nothing
    /// is there.
    pub(crate) fn pop(&self, until: Option<Instant>) -> Next {
        let mut state = self.lock();
        state.has_begun = true;
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.bytes -= entry.bytes();
                state.has_refused &= !state.entries.is_empty();
                self.wake();
                return Next::Entry(entry);
            }
            // After the deadline, what stands in the pipe is still read, so that it can be buried; only then is it over.
            let is_over = state.is_over() || (state.silent && state.stop.is_some_and(is_past));
            if state.ended.is_some() || is_over {
                return Next::End;
            }
            // Whoever waits for the time to tell of something is to know that there is none left.
            if until.is_some_and(is_past)
                || (state.stop.is_some() && !std::mem::replace(&mut state.has_told_to_stop, true))
            {
                return Next::Nothing;
            }
            let stop_ahead = state.stop.filter(|stop| !is_past(*stop));
            state = self.wait(state, stop_ahead.into_iter().chain(until).min());
        }
    }

    /// Whether it is time to tell everything, because SIGTERM has come.
    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop.is_some()
    }

    /// Whether nothing is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// A letter waits although it did not come this way: an earlier program left it to us.
    pub(crate) fn hold(&self, letter: &Letter) {
        self.lock().hold(letter);
    }

    /// These letters have been dealt with.
    pub(crate) fn release(&self, letters: &[Arc<Letter>]) {
        let mut state = self.lock();
        for letter in letters {
            if let Some(letters) = state.waiting.get_mut(&letter.since) {
                *letters -= 1;
                if *letters == 0 {
                    state.waiting.remove(&letter.since);
                }
            }
        }
    }

    /// What has come and has not been released.
    pub(crate) fn waiting(&self) -> Waiting {
        let state = self.lock();
        Waiting {
            letters: state.waiting.values().sum(),
            oldest: state.waiting.first_key_value().map(|(since, _)| *since),
        }
    }

    /// Such letters as are waiting here.
    pub(crate) fn letters(&self, is_such: impl Fn(&Letter) -> bool) -> Vec<Arc<Letter>> {
        let such = |entry: &Entry| match entry {
            Entry::Letter(letter) if is_such(letter) => Some(Arc::clone(letter)),
            _ => None,
        };
        self.lock().entries.iter().filter_map(such).collect()
    }

    /// What is ahead, if letters were refused that come after it.
    pub(crate) fn ahead(&self) -> Option<Ahead> {
        let state = self.lock();
        state.has_refused.then(|| {
            let mut ahead = Ahead::default();
            for entry in &state.entries {
                let number = match entry {
                    Entry::Letter(letter) => letter.record.seq.inspect(|seq| ahead.letters.push(*seq)),
                    Entry::Passed(seq) => Some(*seq),
                };
                ahead.highest = ahead.highest.max(number.unwrap_or_default());
            }
            ahead
        })
    }

    /// Until when a delivery may be tried: at any time, unless SIGTERM says otherwise or, for a channel that has been
    /// failing since then, the end of input does.
    pub(crate) fn deadline(&self, failing_since: Option<Instant>) -> Option<Instant> {
        self.lock().deadline(failing_since, self.drain_timeout)
    }

    /// Waits for as long as this, as long as that leaves time for another attempt of what has been failing since then;
    /// else false.
    pub(crate) fn pause(&self, time: Duration, failing_since: Instant) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let deadline = state.deadline(Some(failing_since), self.drain_timeout);
            if deadline.is_some_and(is_past) {
                return false;
            }
            if is_past(until) {
                return true;
            }
            state = self.wait(state, deadline.into_iter().chain([until]).min());
        }
    }

    /// Queues a letter once there is room for it.
    pub(crate) fn push(&self, letter: Arc<Letter>) {
        let mut state = self.lock();
        while state.is_full() {
            state = self.wait(state, None);
        }
        self.append(&mut state, Entry::Letter(letter));
    }

    /// Queues a letter, unless the queue is full and offers have waited for long enough; then false.
    pub(crate) fn offer(&self, letter: Arc<Letter>) -> bool {
        let mut state = self.lock();
        if state.entries.len() <= MAX_RECORDS / 2 && state.bytes <= MAX_BYTES / 2 {
            state.waited = Duration::ZERO;
        }
        while state.is_full() {
            // A target that waits for its predecessor is not slow, and that may have dealt with all of this.
            let left = state.has_begun.then(|| self.patience.saturating_sub(state.waited));
            if left.is_some_and(|left| left.is_zero()) {
                state.has_refused = true;
                return false;
            }
            let began = Instant::now();
            state = self.wait(state, left.map(|left| began + left));
            if left.is_some() {
                state.waited += began.elapsed();
            }
        }
        self.append(&mut state, Entry::Letter(letter));
        true
    }

    /// Queues a number, for which there always is room.
    pub(crate) fn pass(&self, seq: u64) {
        let mut state = self.lock();
        // Only the last of several numbers matters: while a delivery waits, marks must not fill the queue.
        if let Some(Entry::Passed(last)) = state.entries.back_mut() {
            *last = seq.max(*last);
            return;
        }
        self.append(&mut state, Entry::Passed(seq));
    }

    fn append(&self, state: &mut State, entry: Entry) {
        if !state.closed && !state.is_over() {
            state.bytes += entry.bytes();
            if let Entry::Letter(letter) = &entry {
                state.hold(letter);
            }
            state.entries.push_back(entry);
            self.wake();
        }
    }

    /// Nothing more is taken in: what comes is let go, and nobody waits for room.
    pub(crate) fn shut(&self) {
        self.lock().closed = true;
        self.wake();
    }

    /// Nobody takes anything any more: what is there and what comes is let go, and nobody waits for room.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.entries.clear();
        state.bytes = 0;
        self.wake();
    }

    pub(crate) fn set_silent(&self, silent: bool) {
        self.lock().silent = silent;
        self.wake();
    }

    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = Some(Instant::now());
        self.wake();
    }

    /// SIGTERM has come.
    pub(crate) fn stop(&self) {
        let has_ended = self.lock().ended.is_some();
        self.stop_within(if has_ended { Duration::ZERO } else { self.drain_timeout });
    }

    /// There is no more time than this.
    pub(crate) fn stop_within(&self, patience: Duration) {
        let mut state = self.lock();
        let stop = Instant::now() + patience;
        state.stop = Some(state.stop.map_or(stop, |earlier| earlier.min(stop)));
        self.wake();
    }

    /// Waits for a change, or until this time.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, until: Option<Instant>) -> MutexGuard<'a, State> {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        state = match until {
            None => self.changed.wait(state).expect(UNPOISONED),
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(state, time).expect(UNPOISONED).0
            }
        };
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Wakes who waits for a change. Each record would cost several system calls if it was tried where nobody does. Whoever
    /// is about to wait says so with the state locked, so the mutex orders what the number is.
    fn wake(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Letter(letter) => letter.line.len(),
            Self::Passed(_) => 0,
        }
    }
}

impl State {
    fn hold(&mut self, letter: &Letter) {
        *self.waiting.entry(letter.since).or_default() += 1;
    }

    fn is_full(&self) -> bool {
        !self.closed && (self.entries.len() >= MAX_RECORDS || self.bytes >= MAX_BYTES)
    }

    /// Whether the input has gone on for so long after the time to stop that it may never end.
    fn is_over(&self) -> bool {
        self.stop.is_some_and(|stop| is_past(stop + REST))
    }

    fn deadline(&self, failing_since: Option<Instant>, drain_timeout: Duration) -> Option<Instant> {
        let by_end = self.ended.zip(failing_since).map(|(ended, since)| ended.max(since) + drain_timeout);
        self.stop.into_iter().chain(by_end).min()
    }
}

fn is_past(time: Instant) -> bool {
    time <= Instant::now()
}

const UNPOISONED: &str = "no thread panics while it holds the queue";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    const LONG: Duration = Duration::from_secs(3600);

    fn letter() -> Arc<Letter> {
        parcel(r#"{"eventname":"TICK_5"}"#).letters()[0].clone()
    }

    fn full() -> Queue {
        let queue = Queue { patience: Duration::from_millis(100), ..Queue::new(LONG) };
        (0..MAX_RECORDS).for_each(|_| queue.push(letter()));
        queue
    }

    #[test]
    fn a_full_queue_refuses_letters_after_some_moments_and_then_at_once_until_it_is_half_empty() {
        let queue = full();
        assert!(matches!(queue.pop(None), Next::Entry(_)));
        assert!(queue.offer(letter()), "there is room for one");
        let began = Instant::now();
        assert!(!queue.offer(letter()));
        assert!(began.elapsed() >= queue.patience);
        assert!(!queue.offer(letter()));
        assert!(queue.lock().waited >= queue.patience, "there is nothing left to wait");
        (0..=MAX_RECORDS / 2).for_each(|_| drop(queue.pop(None)));
        assert!(queue.offer(letter()));
        assert!(queue.lock().waited.is_zero());
    }

    #[test]
    fn there_always_is_room_for_a_number() {
        let queue = full();
        queue.pass(7);
        (0..MAX_RECORDS).for_each(|_| drop(queue.pop(None)));
        assert!(matches!(queue.pop(None), Next::Entry(Entry::Passed(7))));
    }

    #[test]
    fn who_offers_waits_until_the_first_letter_is_taken_however_long_that_takes() {
        let queue = Queue { patience: Duration::ZERO, ..full() };
        std::thread::scope(|scope| {
            let offer = scope.spawn(|| queue.offer(letter()));
            queue.pop(None);
            assert!(offer.join().unwrap());
        });
        assert!(!queue.offer(letter()));
    }

    #[test]
    fn what_was_refused_is_known_from_what_stands_before_it() {
        let queue = Queue { patience: Duration::ZERO, ..Queue::new(LONG) };
        let numbered =
            |seq: u64| parcel(&format!(r#"{{"seq":{seq},"eventname":"TICK_5"}}"#)).letters()[0].clone();
        (1..=MAX_RECORDS as u64).for_each(|seq| queue.push(numbered(seq)));
        queue.pop(None);
        queue.push(letter());
        assert_eq!(queue.ahead(), None);
        assert!(!queue.offer(numbered(20_000)));
        queue.pass(20_000);
        let all: Vec<u64> = (2..=MAX_RECORDS as u64).collect();
        assert_eq!(queue.ahead(), Some(Ahead { letters: all, highest: 20_000 }));
        while let Next::Entry(_) = queue.pop(Some(Instant::now())) {}
        assert_eq!(queue.ahead(), None);
    }

    #[test]
    fn input_that_never_ends_is_not_taken_in_for_ever() {
        let queue = Queue::new(Duration::ZERO);
        queue.stop_within(Duration::ZERO);
        queue.push(letter());
        assert!(matches!(queue.pop(None), Next::Entry(_)), "what stands in the pipe is");
        queue.push(letter());
        queue.lock().stop = Instant::now().checked_sub(REST);
        queue.push(letter());
        assert!(matches!(queue.pop(None), Next::Entry(_)));
        assert!(matches!(queue.pop(None), Next::End));
    }

    #[test]
    fn nobody_waits_for_room_in_a_queue_that_was_closed() {
        let queue = full();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.push(letter()));
            queue.close();
        });
        assert!(queue.offer(letter()) && queue.is_empty());
    }

    #[test]
    fn the_end_of_input_hurries_only_a_channel_that_fails() {
        let queue = Queue::new(Duration::ZERO);
        let now = Instant::now();
        assert!(queue.pause(Duration::ZERO, now));
        queue.end();
        assert_eq!(queue.deadline(None), None);
        assert!(queue.deadline(Some(now)).is_some_and(is_past));
        assert_eq!(queue.deadline(Some(now + LONG)), Some(now + LONG), "it works until then");
        assert!(!queue.pause(LONG, now));
        assert!(matches!(queue.pop(None), Next::End));
    }

    #[test]
    fn numbers_keep_their_place_among_the_letters_and_only_the_last_of_several_is_kept() {
        let queue = Queue::new(LONG);
        queue.pass(1);
        queue.push(letter());
        // More than there is room for.
        (2..30_000).for_each(|seq| queue.pass(seq));
        assert_eq!(queue.letters(|_| true).len(), 1);
        assert!(matches!(queue.pop(None), Next::Entry(Entry::Passed(1))));
        assert!(matches!(queue.pop(None), Next::Entry(Entry::Letter(_))));
        assert!(matches!(queue.pop(None), Next::Entry(Entry::Passed(29_999))));
        assert!(matches!(queue.pop(Some(Instant::now())), Next::Nothing));
    }

    #[test]
    fn a_letter_waits_until_it_is_released_not_only_until_it_is_taken() {
        let queue = Queue::new(LONG);
        let letter =
            |ts: &str| parcel(&format!(r#"{{"ts":"{ts}","eventname":"TICK_5"}}"#)).letters()[0].clone();
        let [late, early] = ["2026-01-05T08:00:05Z", "2026-01-05T08:00:00Z"].map(letter);
        for letter in [&late, &late, &early] {
            queue.push(Arc::clone(letter));
        }
        while let Next::Entry(_) = queue.pop(Some(Instant::now())) {}
        assert_eq!(queue.waiting(), Waiting { letters: 3, oldest: Some(early.since) });
        queue.release(&[Arc::clone(&early), Arc::clone(&late)]);
        assert_eq!(queue.waiting(), Waiting { letters: 1, oldest: Some(late.since) });
        queue.release(&[late]);
        assert_eq!(queue.waiting(), Waiting::default());
    }

    #[test]
    fn sigterm_after_the_end_of_input_means_now() {
        let queue = Queue::new(LONG);
        queue.stop();
        assert!(queue.deadline(None).is_some_and(|deadline| deadline > Instant::now() + LONG / 2));
        let queue = Queue::new(LONG);
        queue.end();
        queue.stop();
        assert!(queue.deadline(None).is_some_and(is_past));
    }
}

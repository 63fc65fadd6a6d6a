//! A target: a channel with its policy, its queue and its place in the spool. Each has a thread of its own, so that one
//! that hangs delays no other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supd_core::Record;
use supd_core::describe::Sentence;
use supd_core::spool::{ConsumerName, Lock};
use supd_core::words::counted;

use crate::backoff;
use crate::channel::{Channel, Failure};
use crate::clock::Now;
use crate::cursor::{self, Cursor};
use crate::dead_letter::{self, DeadLetter};
use crate::dispatch::{Dealt, Dispatcher};
use crate::parcel::{Letter, Parcel};
use crate::policy::Policy;
use crate::queue::{Entry, Next, Queue};
use crate::state::{Memory, State};
use crate::tally::Tally;

/// A server may ask for more patience, but not for so much that it comes to silence.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// How long we wait for an earlier program to end that has our state: longer than it usually drains.
const PREDECESSOR: Duration = Duration::from_secs(8);

/// Where a target's records are numbered, and under which name it confirms them.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) spool: PathBuf,
    pub(crate) consumer: ConsumerName,
    pub(crate) from_start: bool,
}

/// What a target is made of.
pub(crate) struct Target {
    /// What messages call it: the channel's name, or the configuration's for it.
    pub(crate) name: String,
    pub(crate) channel: Box<dyn Channel>,
    pub(crate) policy: Policy,
    pub(crate) queue: Arc<Queue>,
    pub(crate) dead_letter: Option<Arc<DeadLetter>>,
    pub(crate) place: Option<Place>,
    /// Where it keeps what it has to remember.
    pub(crate) state: Option<PathBuf>,
    pub(crate) tally: Arc<Tally>,
}

impl Target {
    /// Delivers what is queued until no more comes. The tally says what became of it.
    ///
    /// # Errors
    /// What keeps it from using its spool.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let cursor = match &self.place {
            None => None,
            Some(place) => {
                let Some(cursor) =
                    Cursor::open(&place.spool, &place.consumer, place.from_start, &self.queue)?
                else {
                    return Ok(());
                };
                Some(cursor)
            }
        };
        let dispatcher = Dispatcher::new(self.policy.clone());
        let mut courier = Courier {
            memory: None,
            lock: None,
            target: self,
            cursor,
            dispatcher,
            held: Vec::new(),
            failing: None,
        };
        courier.remember()?;
        courier.deliver_all();
        Ok(())
    }
}

/// A target at work.
struct Courier {
    target: Target,
    cursor: Option<Cursor>,
    memory: Option<Memory>,
    /// Held for as long as the state is ours.
    lock: Option<Lock>,
    dispatcher: Dispatcher,
    /// Letters that an earlier program left in its state, and that still wait.
    held: Vec<Arc<Letter>>,
    /// Set while attempts do not succeed.
    failing: Option<Failing>,
}

/// Why the last attempt did not succeed, and since when none does.
struct Failing {
    reason: String,
    since: Instant,
}

/// What became of a parcel.
enum Outcome {
    Delivered,
    /// Another attempt would not succeed, or there have been enough.
    Failed(String),
    /// There is no time for another attempt.
    OutOfTime(String),
}

impl Courier {
    /// Goes on where an earlier program was.
    fn remember(&mut self) -> anyhow::Result<()> {
        let Some(path) = &self.target.state else { return Ok(()) };
        if self.cursor.is_none() {
            let shown = format!("has state '{}'", path.display());
            let ask = || Memory::lock(path);
            match cursor::wait_for(ask, &shown, &self.target.queue, Some(PREDECESSOR))? {
                Ok(lock) => self.lock = Some(lock),
                // Two who write it would each lose what the other knows.
                Err(holder) => {
                    log::warn!("{holder} still {shown}; going on without one");
                    return Ok(());
                }
            }
        }
        let now = Now::read();
        let (memory, state) = Memory::open(path, now.instant)?;
        if let Some(cursor) = &mut self.cursor {
            cursor.resume(&state);
        }
        let dealt = Dealt { highest: state.highest, waiting: state.waiting.into_iter().collect() };
        self.dispatcher.restore(state.dispatcher, dealt, now);
        for line in state.held {
            match Record::from_line(line.as_bytes()) {
                Ok(record) => self.held.push(Letter::new(record, line.into_bytes()).into()),
                Err(error) => log::error!("read state '{}': {error} in '{line}'; skipped", path.display()),
            }
        }
        self.memory = Some(memory);
        for letter in self.held.clone() {
            self.target.queue.hold(&letter);
            self.take(letter);
        }
        Ok(())
    }

    fn deliver_all(mut self) {
        let mut ended = false;
        loop {
            // All that is there, before anything is told of it.
            while !ended && self.dispatcher.wants_more() && !self.target.queue.is_empty() {
                ended = !self.take_next(Some(Instant::now()));
            }
            let now = Now::read();
            if ended || self.target.queue.is_stopping() {
                self.dispatcher.flush(self.can_keep(), now);
            } else if self.dispatcher.is_full() {
                self.dispatcher.hurry(now);
            }
            if let Some(parcel) = self.dispatcher.next(now) {
                if let Some(reason) = self.send(&parcel) {
                    self.keep(Some(parcel), &reason);
                    break;
                }
            } else if ended {
                self.keep(None, "their time has not come");
                break;
            } else {
                ended = !self.take_next(self.dispatcher.due().into_iter().chain(self.write_due()).min());
            }
            self.write_when_due(Instant::now());
        }
        self.write();
        if let Some(cursor) = self.cursor {
            cursor.close();
        }
    }

    /// Whether what waits can go on waiting when we end.
    fn can_keep(&self) -> bool {
        self.cursor.is_some() || self.memory.is_some()
    }

    /// When to write what a successor has to know.
    fn write_due(&self) -> Option<Instant> {
        let state = self.memory.as_ref().and_then(Memory::due);
        let cursor = self.cursor.as_ref().and_then(Cursor::due);
        let due = state.into_iter().chain(cursor).min()?;
        Some(self.memory.as_ref().map_or(due, |memory| memory.not_before().max(due)))
    }

    fn write_when_due(&mut self, now: Instant) {
        if self.write_due().is_some_and(|due| due <= now) {
            self.write();
        }
    }

    /// Writes it: the state first, because what the cursor covers is not seen again.
    fn write(&mut self) {
        let now = Now::read();
        if let Some(memory) = &mut self.memory {
            let mut state = State { dispatcher: self.dispatcher.snapshot(now), ..State::default() };
            if let Some(cursor) = &self.cursor {
                cursor.describe(&mut state, self.target.queue.ahead());
            }
            let line = |letter: &Arc<Letter>| String::from_utf8_lossy(&letter.line).into_owned();
            state.held = self.held.iter().map(line).collect();
            memory.write(&state, now.instant);
        }
        if let Some(cursor) = &mut self.cursor {
            cursor.write(now.instant);
        }
    }

    /// Takes what comes next, if it comes until then, or at all; false at the end.
    fn take_next(&mut self, until: Option<Instant>) -> bool {
        match self.target.queue.pop(until) {
            Next::Entry(Entry::Letter(letter)) => {
                if self.cursor.as_mut().is_some_and(|cursor| cursor.skips(&letter.record)) {
                    self.target.queue.release(&[letter]);
                    return true;
                }
                let numbers = letter.record.seq.zip(letter.passes());
                if let (Some(cursor), Some((seq, passes))) = (&mut self.cursor, numbers) {
                    cursor.hold(seq, passes);
                }
                self.take(letter);
            }
            Next::Entry(Entry::Passed(seq)) => {
                if let Some(cursor) = &mut self.cursor {
                    cursor.pass(seq);
                }
            }
            Next::Nothing => {}
            Next::End => return false,
        }
        true
    }

    fn take(&mut self, letter: Arc<Letter>) {
        self.dispatcher.take(letter, Now::read());
        self.release_dropped();
    }

    fn release_dropped(&mut self) {
        let dropped = self.dispatcher.dropped();
        self.target.tally.dropped.add(dropped.len());
        self.release(&dropped);
    }

    /// Sends a parcel; when there is no time for it, why not.
    fn send(&mut self, parcel: &Parcel) -> Option<String> {
        match self.deliver(parcel) {
            Outcome::Delivered => {
                log::debug!("delivered to {}: {}", self.target.name, title(parcel));
                self.target.tally.told(parcel.letters().len(), Now::read());
                self.dispatcher.arrived(Now::read());
            }
            Outcome::Failed(reason) => {
                let serial =
                    parcel.record().serial.map_or(String::new(), |serial| format!(" (serial {serial})"));
                log::error!("deliver to {}: {reason}; gave up '{}'{serial}", self.target.name, title(parcel));
                parcel.letters().iter().for_each(|letter| self.bury(letter, &reason));
            }
            Outcome::OutOfTime(reason) => return Some(reason),
        }
        self.dispatcher.settle(parcel.letters());
        self.release(parcel.letters());
        self.release_dropped();
        None
    }

    /// These letters have been dealt with.
    fn release(&mut self, letters: &[Arc<Letter>]) {
        self.target.queue.release(letters);
        if let Some(memory) = &mut self.memory {
            memory.changed();
        }
        self.held.retain(|held| !letters.iter().any(|letter| Arc::ptr_eq(held, letter)));
        if let Some(cursor) = &mut self.cursor {
            letters.iter().filter_map(|letter| letter.record.seq).for_each(|seq| cursor.release(seq));
        }
    }

    /// Tries until it succeeds or there is no more point in it.
    fn deliver(&mut self, parcel: &Parcel) -> Outcome {
        let Policy { timeout, retry_for, .. } = self.target.policy;
        let started = Instant::now();
        let mut ceilings = backoff::ceilings();
        loop {
            let failing_since = self.failing.as_ref().map(|failing| failing.since);
            let deadline = self.target.queue.deadline(failing_since);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                let reason = self.failing.as_ref().map(|failing| failing.reason.clone());
                return Outcome::OutOfTime(reason.unwrap_or_else(|| "it was time to stop".to_owned()));
            }
            // An attempt of a channel that works gets all its time: cut short, it might have arrived all the same.
            let timeout = left.filter(|_| failing_since.is_some()).map_or(timeout, |left| left.min(timeout));
            let (reason, retry_after) = match self.target.channel.deliver(parcel, timeout) {
                Ok(receipt) => {
                    log::debug!("{}: {}", self.target.name, receipt.0);
                    if self.failing.take().is_some() {
                        log::info!("deliver to {}: it works again", self.target.name);
                    }
                    return Outcome::Delivered;
                }
                // The channel works: it said no.
                Err(Failure::Permanent { reason }) => {
                    self.failing = None;
                    self.target.tally.attempt_failed(Now::read());
                    return Outcome::Failed(reason);
                }
                Err(Failure::Temporary { reason, retry_after }) => (reason, retry_after.unwrap_or_default()),
            };
            self.target.tally.attempt_failed(Now::read());
            let since = failing_since.unwrap_or_else(Instant::now);
            self.failing = Some(Failing { reason: reason.clone(), since });
            let ceiling = ceilings.next().unwrap_or(backoff::LONGEST);
            let pause = backoff::jitter(ceiling).max(retry_after.min(LONGEST_WISH));
            if started.elapsed() + pause >= retry_for {
                return Outcome::Failed(reason);
            }
            log::warn!("deliver to {}: {reason}; next attempt in {pause:.1?}", self.target.name);
            self.write();
            if !self.target.queue.pause(pause, since) {
                return Outcome::OutOfTime(reason);
            }
            self.target.tally.retried.add(1);
        }
    }

    /// There is no time for this parcel and what comes after it: it stays in the spool or in the state, or goes to the
    /// dead letters.
    fn keep(&mut self, parcel: Option<Parcel>, reason: &str) {
        let mut letters = parcel.map_or(Vec::new(), |parcel| parcel.letters().to_vec());
        letters.extend(self.dispatcher.waiting());
        let name = &self.target.name;
        let stay = |count: usize, place: &str| {
            let stay = if count == 1 { "stays" } else { "stay" };
            if count > 0 {
                let records = counted(count as u64, "record");
                log::warn!("deliver to {name}: {reason}; {records} {stay} in the {place} for the next start");
            }
        };
        if let Some(cursor) = &self.cursor {
            // From here on the spool has what comes.
            self.target.queue.shut();
            letters.extend(self.target.queue.letters(|letter| !cursor.covers(letter.record.seq)));
            let all = letters.len();
            // What has no number is not found there again.
            letters.retain(|letter| {
                letter.record.seq.is_none() || self.held.iter().any(|held| Arc::ptr_eq(held, letter))
            });
            stay(all - letters.len(), "spool");
        } else {
            loop {
                match self.target.queue.pop(None) {
                    Next::Entry(Entry::Letter(letter)) => letters.push(letter),
                    Next::Entry(Entry::Passed(_)) | Next::Nothing => {}
                    Next::End => break,
                }
            }
        }
        if self.memory.is_some() {
            stay(letters.len(), "state");
            self.held = letters;
        } else if !letters.is_empty() {
            let records = counted(letters.len() as u64, "record");
            log::error!("deliver to {name}: {reason}; gave up {records}");
            letters.iter().for_each(|letter| self.bury(letter, reason));
            self.release(&letters);
        }
    }

    fn bury(&self, letter: &Letter, reason: &str) {
        let Target { name, dead_letter, tally, .. } = &self.target;
        dead_letter::bury(letter, name, reason, dead_letter.as_deref(), tally);
    }
}

fn title(parcel: &Parcel) -> String {
    Sentence::of(parcel.record()).on(None)
}

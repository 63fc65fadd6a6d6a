//! When to tell what: letters wait for their group's turn, for a recovery to last, for the night to end, or for the rate
//! of messages to allow one more. It never reads a clock.
//!
//! ```text
//! take --> group --its turn--> ready --rate, quiet hours--> next
//!   \--> dropped: muted, or the end of a problem that is not to be told
//! ```

mod digest;
mod group;
mod rate;
mod snapshot;
mod trouble;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use supd_core::describe::{self, Severity};
use supd_core::{Kind, State};

use self::group::{Group, Name};
use self::rate::Window;
pub(crate) use self::snapshot::Snapshot;
use self::trouble::{End, Key, LATELY, Process};
use crate::clock::Now;
use crate::parcel::{Background, Letter, Parcel};
use crate::policy::{Policy, Repeat};

/// It holds no more letters than that; then they are told of early, in one message.
const MAX_LETTERS: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

/// More processes in trouble at once, and the recovery of the rest is not told.
const MAX_PROCESSES: usize = 65_536;

/// Letters that wait for their time.
pub(crate) struct Dispatcher {
    policy: Policy,
    zone: TimeZone,
    groups: HashMap<Name, Group>,
    processes: HashMap<Key, Process>,
    /// What had its group's turn, each with what to tell.
    ready: VecDeque<(Name, Vec<Parcel>)>,
    window: Window,
    /// When to look at what; some of it may be due later by then, or gone.
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    /// Until when nothing is told, because of the rate or the hour.
    blocked: Option<Instant>,
    /// What has been held up is told in one.
    together: bool,
    /// Neither the rate nor the hour holds it up.
    hurried: bool,
    /// Whether records tell of recoveries, so that it is known what is still down.
    hears_of_recoveries: bool,
    /// Which processes the last parcel told of.
    told: Vec<Key>,
    dropped: Vec<Arc<Letter>>,
    letters: usize,
    bytes: usize,
    /// What came up to here had been counted before a restart.
    counted: u64,
}

/// What is to be looked at at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// First, so that a recovery is told of together with what its group has to tell at the same time.
    Process(Key),
    Group(Name),
}

impl Dispatcher {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            zone: policy.quiet.map_or(TimeZone::UTC, |_| TimeZone::system()),
            window: Window::new(policy.rate),
            policy,
            groups: HashMap::new(),
            processes: HashMap::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            blocked: None,
            together: false,
            hurried: false,
            hears_of_recoveries: false,
            told: Vec::new(),
            dropped: Vec::new(),
            letters: 0,
            bytes: 0,
            counted: 0,
        }
    }

    /// Takes a letter, to be told at its time or not at all.
    pub(crate) fn take(&mut self, letter: Arc<Letter>, now: Now) {
        self.letters += 1;
        self.bytes += letter.line.len();
        let is_muted = self.is_muted(&letter, now);
        let (mut lately, mut since) = (0, None);
        if let Some(key) = letter.record.process_key().filter(|_| self.follows_processes()) {
            if is_end(&letter) {
                self.hears_of_recoveries = true;
                if self.take_end(&key, &letter, now) {
                    return;
                }
            } else if describe::is_problem(&letter.record) {
                (lately, since) = self.take_problem(key, &letter, is_muted, now);
            }
        }
        // The end of a problem is there to close it; when it is to be told, that has happened by now.
        if is_muted || letter.record.extra.contains_key("resolves") {
            self.drop(letter);
            return;
        }
        let lately = (lately > 1).then_some((lately as u64, LATELY));
        self.add(Parcel::of(letter).with(Background { lately, since }), now);
    }

    /// The letters that are dealt with without being told.
    pub(crate) fn dropped(&mut self) -> Vec<Arc<Letter>> {
        std::mem::take(&mut self.dropped)
    }

    /// What is to be told now.
    pub(crate) fn next(&mut self, now: Now) -> Option<Parcel> {
        self.look(now);
        self.blocked = None;
        if self.ready.is_empty() {
            (self.together, self.hurried) = (false, false);
            return None;
        }
        let left = self.window.left(now.instant);
        if !self.hurried {
            let night = self.policy.quiet.and_then(|quiet| quiet.end(now.wall, &self.zone));
            let night = night.map(|end| now.at(end));
            self.blocked = night.or(if left == 0 { self.window.frees() } else { None });
            if self.blocked.is_some() {
                self.together = true;
                return None;
            }
        }
        let all = self.together || (self.hurried && self.ready.len() > left);
        let count = if all { self.ready.len() } else { 1 };
        let parcels: Vec<Parcel> = self.ready.drain(..count).flat_map(|(_, parcels)| parcels).collect();
        self.window.count(now.instant);
        let parcel = combine(parcels, now);
        self.letters -= parcel.letters().len();
        self.bytes -= parcel.letters().iter().map(|letter| letter.line.len()).sum::<usize>();
        self.told = if self.processes.is_empty() { Vec::new() } else { parcel.processes() };
        Some(parcel)
    }

    /// When there may be something to tell.
    pub(crate) fn due(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        self.blocked.into_iter().chain(timer).min()
    }

    /// What was told last has arrived: the time until a reminder begins now.
    pub(crate) fn arrived(&mut self, now: Now) {
        let Some(interval) = self.reminds() else { return };
        for key in std::mem::take(&mut self.told) {
            let trouble = self.processes.get_mut(&key).and_then(|process| process.trouble.as_mut());
            if let Some(trouble) = trouble.filter(|trouble| trouble.announced) {
                trouble.remind = Some(now.instant + interval);
                self.timers.push(Reverse((now.instant + interval, Timer::Process(key))));
            }
        }
    }

    /// There is no room for more: everything is told now, in one.
    pub(crate) fn hurry(&mut self, now: Now) {
        self.release_all(now);
        (self.together, self.hurried) = (true, true);
    }

    /// Nothing more will come: everything has its turn now. What waits for the night to end goes on waiting where it
    /// `can_stay`, and so does a recovery that has yet to last.
    pub(crate) fn flush(&mut self, can_stay: bool, now: Now) {
        self.release_all(now);
        self.hurried =
            !can_stay || self.policy.quiet.and_then(|quiet| quiet.end(now.wall, &self.zone)).is_none();
        if !can_stay {
            let ending = |(key, process): (&Key, &Process)| {
                process.trouble.as_ref()?.end.as_ref().map(|_| key.clone())
            };
            let keys: Vec<Key> = self.processes.iter().filter_map(ending).collect();
            keys.into_iter().for_each(|key| self.recover(&key, now));
        }
    }

    /// Whether another letter could change what is told: where each is told by itself, they can as well wait outside.
    pub(crate) fn wants_more(&self) -> bool {
        !self.is_full() && (self.groups_events() || self.ready.is_empty())
    }

    /// Whether it holds as much as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.letters >= MAX_LETTERS || self.bytes >= MAX_BYTES
    }

    /// Everything that waits.
    pub(crate) fn waiting(&self) -> Vec<Arc<Letter>> {
        let ready = self.ready.iter().flat_map(|(_, parcels)| parcels);
        let pending = self.groups.values().flat_map(Group::pending);
        let ends = self.processes.values().filter_map(|process| process.trouble.as_ref()?.end.as_ref());
        let letters = ready.chain(pending).flat_map(|parcel| parcel.letters().iter().map(Arc::clone));
        letters.chain(ends.map(|end| Arc::clone(&end.letter))).collect()
    }
}

impl Dispatcher {
    /// Whether events wait for others that are to be told with them.
    fn groups_events(&self) -> bool {
        !self.policy.group_interval.is_zero() || !self.policy.group_wait.is_zero()
    }

    /// Whether it matters how a process does.
    fn follows_processes(&self) -> bool {
        self.policy.resolve.is_some() || self.policy.repeat != Repeat::Never
    }

    fn is_muted(&self, letter: &Letter, now: Now) -> bool {
        self.policy.mute_until.is_none_or(|until| now.wall < until)
            && self.policy.mute.iter().any(|pattern| pattern.matches(&letter.record))
    }

    /// How often to remind, if that is known to be right.
    fn reminds(&self) -> Option<std::time::Duration> {
        match self.policy.repeat {
            Repeat::Every(interval) => Some(interval),
            Repeat::WhereRecoveriesAreTold(interval) => Some(interval).filter(|_| self.hears_of_recoveries),
            Repeat::Never => None,
        }
    }

    /// Notes a problem; how many there have been lately, and since when, if it is not the first.
    fn take_problem(
        &mut self,
        key: Key,
        letter: &Letter,
        is_muted: bool,
        now: Now,
    ) -> (usize, Option<Timestamp>) {
        if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&key) {
            return (0, None);
        }
        let is_new = letter.record.seq.is_none_or(|seq| seq > self.counted);
        let remind = self.policy.mute_until.filter(|_| is_muted).map(|until| now.at(until));
        let process = self.processes.entry(key.clone()).or_default();
        let trouble = process.problem(&letter.record, is_new, now);
        let since = Some(trouble.since).filter(|_| trouble.count > 1);
        // It did not last.
        let end = trouble.end.take();
        if is_muted {
            trouble.remind = remind.filter(|_| !trouble.announced).or(trouble.remind);
        } else {
            trouble.announced = true;
        }
        let lately = process.lately(now.instant);
        if let Some(end) = end {
            self.drop(end.letter);
        }
        self.timers.extend(remind.map(|at| Reverse((at, Timer::Process(key.clone())))));
        self.timers.push(Reverse((now.instant + LATELY, Timer::Process(key))));
        (lately, since)
    }

    /// Notes the end of a problem, if there is one; false when the record is to be told like any other.
    fn take_end(&mut self, key: &Key, letter: &Arc<Letter>, now: Now) -> bool {
        let Some(process) = self.processes.get_mut(key) else { return false };
        let Some(trouble) = &mut process.trouble else { return false };
        let Some(lasting) = self.policy.resolve.filter(|_| trouble.announced) else {
            process.trouble = None;
            return false;
        };
        let is_stopped = letter.record.kind() == Kind::ProcessState(State::Stopped);
        let due = if is_stopped { now.instant } else { now.instant + lasting };
        let earlier = trouble.end.replace(End { letter: Arc::clone(letter), due });
        self.timers.push(Reverse((due, Timer::Process(key.clone()))));
        if let Some(earlier) = earlier {
            self.drop(earlier.letter);
        }
        true
    }

    fn drop(&mut self, letter: Arc<Letter>) {
        self.letters -= 1;
        self.bytes -= letter.line.len();
        self.dropped.push(letter);
    }

    /// Gives a parcel to its group.
    fn add(&mut self, parcel: Parcel, now: Now) {
        let name = Name::of(parcel.record(), &self.policy.group_by);
        if !self.groups_events() {
            self.ready.push_back((name, vec![parcel]));
            return;
        }
        let due = self.groups.entry(name.clone()).or_default().add(parcel, now.instant, &self.policy);
        if due <= now.instant {
            self.release(name, now);
        } else {
            self.timers.push(Reverse((due, Timer::Group(name))));
        }
    }

    /// It is a group's turn.
    fn release(&mut self, name: Name, now: Now) {
        let Some(group) = self.groups.get_mut(&name) else { return };
        if group.pending().is_empty() {
            return;
        }
        let parcels = group.release(now.instant, &self.policy);
        self.timers.push(Reverse((group.calm(now.instant), Timer::Group(name.clone()))));
        self.ready.push_back((name, parcels));
    }

    fn release_all(&mut self, now: Now) {
        let names: Vec<Name> = self.groups.keys().cloned().collect();
        names.into_iter().for_each(|name| self.release(name, now));
    }

    /// Looks at everything whose time has come.
    fn look(&mut self, now: Now) {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now.instant) {
            match self.timers.pop() {
                Some(Reverse((_, Timer::Group(name)))) => self.look_at_group(name, now),
                Some(Reverse((_, Timer::Process(key)))) => self.look_at_process(key, now),
                None => break,
            }
        }
    }

    fn look_at_group(&mut self, name: Name, now: Now) {
        let Some(group) = self.groups.get(&name) else { return };
        if group.is_due(now.instant) {
            self.release(name, now);
        } else if group.is_forgettable(now.instant) {
            self.groups.remove(&name);
        }
    }

    fn look_at_process(&mut self, key: Key, now: Now) {
        let reminds = self.reminds();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(trouble) = &mut process.trouble else {
            if process.lately(now.instant) == 0 {
                self.processes.remove(&key);
            }
            return;
        };
        if trouble.end.as_ref().is_some_and(|end| end.due <= now.instant) {
            self.recover(&key, now);
        } else if trouble.end.is_none() && trouble.remind.is_some_and(|at| at <= now.instant) {
            trouble.remind = reminds.map(|interval| now.instant + interval);
            trouble.announced = true;
            let parcel = trouble.reminder(&key, now);
            self.timers.extend(trouble.remind.map(|at| Reverse((at, Timer::Process(key)))));
            self.ready.push_back((Name::of(parcel.record(), &self.policy.group_by), vec![parcel]));
        }
    }

    /// A process has recovered: that is told, with what waits about its group, unless the last recovery has just been.
    fn recover(&mut self, key: &Key, now: Now) {
        let Some(process) = self.processes.get_mut(key) else { return };
        let Some(trouble) = &mut process.trouble else { return };
        let Some(end) = trouble.end.clone() else { return };
        let parcel = trouble.over(&end, now);
        let name = Name::of(parcel.record(), &self.policy.group_by);
        if self.policy.group_interval.is_zero() {
            process.trouble = None;
            self.ready.push_back((name, vec![parcel]));
            return;
        }
        let group = self.groups.entry(name.clone()).or_default();
        let due = group.recovery_due(now.instant);
        if due > now.instant && !self.hurried {
            trouble.end = Some(End { due, ..end });
            self.timers.push(Reverse((due, Timer::Process(key.clone()))));
            return;
        }
        process.trouble = None;
        group.recovered = Some(now.instant);
        group.add(parcel, now.instant, &self.policy);
        self.release(name, now);
    }
}

/// RUNNING or STOPPED: whatever it was, it is over.
fn is_end(letter: &Letter) -> bool {
    matches!(letter.record.kind(), Kind::ProcessState(State::Running | State::Stopped))
}

/// One parcel that tells what these tell.
fn combine(mut parcels: Vec<Parcel>, now: Now) -> Parcel {
    if parcels.len() == 1 {
        return parcels.remove(0);
    }
    let letters = parcels.iter().flat_map(|parcel| parcel.letters().iter().map(Arc::clone)).collect();
    // A recovery says how many problems there were.
    let last = parcels.last().map(Parcel::record).filter(|record| record.kind() == Kind::Recovered);
    let all_of_one = last.filter(|last| {
        let key = last.process_key();
        let is_that = |parcel: &Parcel| {
            let record = parcel.record();
            record.process_key() == key
                && (record.kind() == Kind::Recovered || describe::severity(record) > Severity::Good)
        };
        parcels.iter().all(is_that)
            && parcels.iter().filter(|parcel| parcel.record().kind() == Kind::Recovered).count() == 1
    });
    let record = match all_of_one {
        Some(last) => last.clone(),
        None => digest::digest(&parcels, now.wall),
    };
    Parcel::about(record, letters)
}

//! When to tell what: letters wait for their group's turn, for a recovery to last, for the night to end, or for the rate
//! of messages to allow one more. It never reads a clock.
//!
//! ```text
//! take --> group --its turn--> ready --rate, quiet hours--> next
//!   \--> dropped: muted, or the end of a problem that is not to be told
//! ```

mod digest;
mod group;
mod process;
mod rate;
mod snapshot;
mod timers;
mod trouble;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use supd_core::describe;

use self::digest::combine;
use self::group::{Group, Name};
use self::process::is_end;
use self::rate::Window;
pub(crate) use self::snapshot::{Dealt, Snapshot};
use self::timers::Timers;
use self::trouble::{Key, LATELY, Process};
use crate::clock::Now;
use crate::parcel::{Background, Letter, Parcel};
use crate::policy::Policy;

/// It holds no more letters than that; then they are told of early, in one message.
const MAX_LETTERS: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

/// More groups that have not calmed down, and what is not of one of them is told as if nothing were grouped.
const MAX_GROUPS: usize = 65_536;

/// How long nobody looks at the clock on the wall, where something waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Letters that wait for their time.
pub(crate) struct Dispatcher {
    policy: Policy,
    zone: TimeZone,
    groups: HashMap<Name, Group>,
    processes: HashMap<Key, Process>,
    /// What had its group's turn, together with what is to be told with it.
    ready: VecDeque<Vec<Parcel>>,
    window: Window,
    /// When to look at what; it may be due later by then, or gone.
    timers: Timers<Timer>,
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
    /// What had been dealt with, and counted, before a restart.
    earlier: Dealt,
}

/// What is to be looked at at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
            timers: Timers::new(),
            blocked: None,
            together: false,
            hurried: false,
            hears_of_recoveries: false,
            told: Vec::new(),
            dropped: Vec::new(),
            letters: 0,
            bytes: 0,
            earlier: Dealt::default(),
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
            // Looked at again before that: the clock on the wall may be set, or the machine may sleep.
            let night = night.map(|end| now.at(end).min(now.instant + LOOK_AGAIN));
            self.blocked = night.or(if left == 0 { self.window.frees() } else { None });
            if self.blocked.is_some() {
                self.together = true;
                return None;
            }
        }
        let all = self.together || (self.hurried && self.ready.len() > left);
        let count = if all { self.ready.len() } else { 1 };
        let parcels: Vec<Parcel> = self.ready.drain(..count).flatten().collect();
        self.window.count(now.instant);
        let parcel = combine(parcels, now);
        self.letters -= parcel.letters().len();
        self.bytes -= parcel.letters().iter().map(|letter| letter.line.len()).sum::<usize>();
        self.told = if self.processes.is_empty() { Vec::new() } else { parcel.processes() };
        Some(parcel)
    }

    /// When there may be something to tell.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.blocked.into_iter().chain(self.timers.next()).min()
    }

    /// What was told last has arrived: the time until a reminder begins now.
    pub(crate) fn arrived(&mut self, now: Now) {
        let Some(interval) = self.reminds() else { return };
        for key in std::mem::take(&mut self.told) {
            let trouble = self.processes.get_mut(&key).and_then(|process| process.trouble.as_mut());
            if let Some(trouble) = trouble.filter(|trouble| trouble.announced) {
                trouble.remind = Some(now.instant + interval);
                self.timers.set(Timer::Process(key), now.instant + interval);
            }
        }
    }

    /// These letters have been dealt with: told of, given up or dropped.
    pub(crate) fn settle(&mut self, letters: &[Arc<Letter>]) {
        for letter in letters {
            let process = letter.record.process_key().and_then(|key| self.processes.get_mut(&key));
            if let Some(end) = process.and_then(|process| process.deal(letter)) {
                self.drop(end);
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
        let ready = self.ready.iter().flatten();
        let pending = self.groups.values().flat_map(Group::pending);
        let ends = self.processes.values().filter_map(|process| process.trouble.as_ref()?.end.as_ref());
        let letters = ready.chain(pending).flat_map(|parcel| parcel.letters().iter().map(Arc::clone));
        let silent = self.processes.values().flat_map(Process::silent_ends).map(Arc::clone);
        letters.chain(ends.map(|end| Arc::clone(&end.letter))).chain(silent).collect()
    }
}

impl Dispatcher {
    /// Whether events wait for others that are to be told with them.
    fn groups_events(&self) -> bool {
        !self.policy.group_interval.is_zero() || !self.policy.group_wait.is_zero()
    }

    fn is_muted(&self, letter: &Letter, now: Now) -> bool {
        self.policy.mute_until.is_none_or(|until| now.wall < until)
            && self.policy.mute.iter().any(|pattern| pattern.matches(&letter.record))
    }

    fn drop(&mut self, letter: Arc<Letter>) {
        self.letters -= 1;
        self.bytes -= letter.line.len();
        self.settle(&[Arc::clone(&letter)]);
        self.dropped.push(letter);
    }

    /// Gives a parcel to its group.
    fn add(&mut self, parcel: Parcel, now: Now) {
        if !self.groups_events() {
            self.ready.push_back(vec![parcel]);
            return;
        }
        let name = Name::of(parcel.record(), &self.policy.group_by);
        if !has_room(&self.groups, &name) {
            self.ready.push_back(vec![parcel]);
            return;
        }
        let due = self.groups.entry(name.clone()).or_default().add(parcel, now.instant, &self.policy);
        if due <= now.instant {
            self.release(name, now);
        } else {
            self.timers.set(Timer::Group(name), due);
        }
    }

    /// It is a group's turn.
    fn release(&mut self, name: Name, now: Now) {
        let Some(group) = self.groups.get_mut(&name) else { return };
        if group.pending().is_empty() {
            return;
        }
        let parcels = group.release(now.instant, &self.policy);
        self.timers.set(Timer::Group(name), group.next_look(now.instant));
        self.ready.push_back(parcels);
    }

    fn release_all(&mut self, now: Now) {
        let names: Vec<Name> = self.groups.keys().cloned().collect();
        names.into_iter().for_each(|name| self.release(name, now));
    }

    /// Looks at everything whose time has come.
    fn look(&mut self, now: Now) {
        while let Some(timer) = self.timers.take(now.instant) {
            match timer {
                Timer::Group(name) => self.look_at_group(name, now),
                Timer::Process(key) => self.look_at_process(key, now),
            }
        }
    }

    fn look_at_group(&mut self, name: Name, now: Now) {
        let Some(group) = self.groups.get(&name) else { return };
        if group.is_due(now.instant) {
            self.release(name, now);
        } else if group.is_forgettable(now.instant) {
            self.groups.remove(&name);
        } else {
            let next = group.next_look(now.instant);
            self.timers.set(Timer::Group(name), next);
        }
    }
}

/// Whether a group of this name is known, or may become so.
fn has_room(groups: &HashMap<Name, Group>, name: &Name) -> bool {
    groups.len() < MAX_GROUPS || groups.contains_key(name)
}

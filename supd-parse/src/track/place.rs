//! The processes of one supervisord, and its time: that of its records and, while they do not come, the monotonic clock's
//! from the last one on. Hosts have clocks of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Bound;
use std::time::{Duration, Instant};

use supd_core::State;

use super::added::Millis;
use super::process::{Change, Flapping, Limits, Process};

/// A supervisord's processes.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// By group and name, so that a group is together.
    processes: BTreeMap<Box<str>, Known>,
    /// The latest moment that a record told of.
    pub(super) latest: Option<i64>,
    /// Whether a record has come since the input was silent.
    is_fresh: bool,
    /// What moment it was when the input fell silent.
    anchor: Option<(i64, Instant)>,
    /// When processes that flap will have been RUNNING for long enough.
    calm: BTreeSet<(i64, Box<str>)>,
    /// How often supervisord was seen to start.
    pub(super) lifetime: u64,
}

/// A process, and which of its records were seen.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) process: Process,
    /// Grows with each record of any process.
    pub(super) seen: u64,
    boot: Option<Box<str>>,
    serial: Option<u64>,
    lifetime: u64,
    /// What stands for it in `calm`.
    calm: Option<i64>,
}

/// Where an event stands among others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin<'a> {
    pub(super) boot: Option<&'a str>,
    pub(super) serial: Option<u64>,
}

/// A process that flaps no more.
#[derive(Debug)]
pub(super) struct Calmed {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) flapping: Flapping,
    /// Since when it is as it is now.
    pub(super) at: Option<i64>,
    pub(super) restarts: u64,
    /// How long it has been RUNNING; unknown where it is gone.
    pub(super) uptime: Option<Millis>,
    pub(super) boot: Option<Box<str>>,
}

impl Known {
    /// Whether this event is one that was not seen, and comes after those that were. What is the first of another
    /// supervisord begins anew.
    pub(super) fn admits(&mut self, origin: Origin<'_>, lifetime: u64) -> bool {
        let is_other = match (&self.boot, origin.boot) {
            (Some(known), Some(boot)) => **known != *boot,
            (None, None) => self.lifetime != lifetime,
            _ => false,
        };
        if is_other {
            self.process.begin_anew();
            self.serial = None;
        }
        if is_other || self.boot.is_none() {
            self.boot = origin.boot.map(Into::into);
        }
        self.lifetime = lifetime;
        if self.serial.zip(origin.serial).is_some_and(|(known, serial)| serial <= known) {
            return false;
        }
        self.serial = origin.serial.or(self.serial);
        true
    }
}

/// The key of two texts: a process's group and name, or a place's host and server.
pub(super) fn key(first: &str, second: &str, key: &mut String) {
    key.clear();
    // With its length no text can pass for the end of the one before it.
    let _ = write!(key, "{}:", first.len());
    key.push_str(first);
    key.push_str(second);
}

/// The two texts of a key.
pub(super) fn parts(key: &str) -> (&str, &str) {
    let parts = key.split_once(':').and_then(|(length, texts)| texts.split_at_checked(length.parse().ok()?));
    parts.unwrap_or(("", key))
}

impl Place {
    pub(super) fn len(&self) -> usize {
        self.processes.len()
    }

    pub(super) fn get(&mut self, key: &str) -> Option<&mut Known> {
        self.processes.get_mut(key)
    }

    /// A process, whether it was known or not.
    pub(super) fn know(&mut self, key: &str) -> &mut Known {
        if !self.processes.contains_key(key) {
            let known = Known { lifetime: self.lifetime, ..Known::default() };
            self.processes.insert(key.into(), known);
        }
        self.processes.get_mut(key).expect("it was put there")
    }

    /// Where nothing names or tells of a supervisord's start, its serials do, when they begin anew with a process that
    /// is started for the first time: a late event alone is no start.
    pub(super) fn look_for_start(&mut self, key: &str, origin: Origin<'_>, change: &Change) {
        if (change.state, change.from) != (State::Starting, Some(State::Stopped)) || origin.boot.is_some() {
            return;
        }
        let Some(known) = self.processes.get(key) else { return };
        let begins_anew = known.serial.zip(origin.serial).is_some_and(|(known, serial)| serial < known);
        if begins_anew && known.boot.is_none() && known.lifetime == self.lifetime {
            self.lifetime += 1;
        }
    }

    /// A record has come, from this moment.
    pub(super) fn came(&mut self, at: Option<i64>) {
        self.is_fresh = true;
        self.latest = self.latest.max(at);
    }

    /// Sets when a process will flap no more, if it does.
    pub(super) fn set_calm(&mut self, key: &str, limits: &Limits) {
        let Some(known) = self.processes.get_mut(key) else { return };
        let calm = known.process.calm(limits);
        if calm == known.calm {
            return;
        }
        if let Some(earlier) = std::mem::replace(&mut known.calm, calm) {
            self.calm.remove(&(earlier, key.into()));
        }
        self.calm.extend(calm.map(|calm| (calm, key.into())));
    }

    /// The processes that have been RUNNING for long enough by then.
    pub(super) fn calmed(&mut self, at: i64, limits: &Limits) -> Vec<Calmed> {
        let mut calmed = Vec::new();
        while self.calm.first().is_some_and(|(due, _)| *due <= at) {
            let Some((due, key)) = self.calm.pop_first() else { break };
            let Some(known) = self.processes.get_mut(&key) else { continue };
            known.calm = None;
            let since = known.process.running;
            let Some(flapping) = known.process.flapping.take() else { continue };
            calmed.push(calm(&key, known, flapping, Some(due), since, limits));
        }
        calmed
    }

    /// Forgets a group; those of its processes that flapped.
    pub(super) fn remove_group(&mut self, group: &str, limits: &Limits) -> Vec<Calmed> {
        let mut begin = String::new();
        key(group, "", &mut begin);
        let from =
            self.processes.range::<str, _>((Bound::Included(&*begin), Bound::Unbounded)).map(|(key, _)| key);
        let keys: Vec<Box<str>> = from.take_while(|key| key.starts_with(&begin)).cloned().collect();
        let mut calmed = Vec::new();
        for key in keys {
            let Some(mut known) = self.remove(&key) else { continue };
            if let Some(flapping) = known.process.flapping.take() {
                calmed.push(calm(&key, &mut known, flapping, self.latest, None, limits));
            }
        }
        calmed
    }

    fn remove(&mut self, key: &str) -> Option<Known> {
        let known = self.processes.remove(key)?;
        if let Some(calm) = known.calm {
            self.calm.remove(&(calm, key.into()));
        }
        Some(known)
    }

    /// When each process was seen last.
    pub(super) fn seen(&self) -> impl Iterator<Item = u64> {
        self.processes.values().map(|known| known.seen)
    }

    /// Forgets processes that were not seen after this.
    pub(super) fn forget(&mut self, seen: u64) {
        let old = self.processes.iter().filter(|(_, known)| known.seen <= seen);
        let keys: Vec<Box<str>> = old.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| drop(self.remove(key)));
    }

    /// The input is silent: what moment it is here.
    pub(super) fn idle(&mut self, now: Instant) -> Option<i64> {
        if self.calm.is_empty() {
            return None;
        }
        if std::mem::take(&mut self.is_fresh) {
            self.anchor = self.latest.map(|latest| (latest, now));
        }
        let (latest, since) = self.anchor?;
        Some(latest.saturating_add(i64::try_from(now.duration_since(since).as_millis()).unwrap_or(i64::MAX)))
    }

    /// When a process will flap no more, if no record comes before.
    pub(super) fn due(&self) -> Option<Instant> {
        let (calm, _) = self.calm.first()?;
        let (latest, since) = self.anchor?;
        since.checked_add(Duration::from_millis(u64::try_from(calm - latest).unwrap_or(0)))
    }
}

fn calm(
    key: &str,
    known: &mut Known,
    flapping: Flapping,
    at: Option<i64>,
    running: Option<i64>,
    limits: &Limits,
) -> Calmed {
    let (group, name) = parts(key);
    Calmed {
        group: group.to_owned(),
        name: name.to_owned(),
        flapping,
        at,
        restarts: known.process.restarts(at, limits),
        uptime: Millis::between(running, at),
        boot: known.boot.clone(),
    }
}

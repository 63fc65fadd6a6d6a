//! How the dispatcher follows processes: it notes problems and their ends, and tells of recoveries and of what is still
//! down. It never reads a clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use supd_core::{Kind, State};

use super::group::Name;
use super::trouble::{End, Key, LATELY, is_stop};
use super::{Dispatcher, Timer, has_room};
use crate::clock::Now;
use crate::parcel::Letter;
use crate::policy::Repeat;

/// More processes in trouble at once, and the recovery of the rest is not told.
const MAX_PROCESSES: usize = 65_536;

/// SUPD_STABLE comes at the end of its window, and a little later than the clock says: where it does, it ends the trouble.
const STABLE_FIRST: Duration = Duration::from_secs(60);

impl Dispatcher {
    /// Whether it matters how a process does.
    pub(super) fn follows_processes(&self) -> bool {
        self.policy.resolve.is_some() || self.policy.repeat != Repeat::Never
    }

    /// How often to remind, if that is known to be right.
    pub(super) fn reminds(&self) -> Option<Duration> {
        match self.policy.repeat {
            Repeat::Every(interval) => Some(interval),
            Repeat::WhereRecoveriesAreTold(interval) => Some(interval).filter(|_| self.hears_of_recoveries),
            Repeat::Never => None,
        }
    }

    /// Notes a problem; how many there have been lately, and since when, if it is not the first.
    pub(super) fn take_problem(
        &mut self,
        key: Key,
        letter: &Letter,
        is_muted: bool,
        now: Now,
    ) -> (usize, Option<Timestamp>) {
        if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&key) {
            return (0, None);
        }
        let is_new = letter.record.seq.is_none_or(|seq| !self.earlier.covers(seq));
        let remind = self.policy.mute_until.filter(|_| is_muted).map(|until| now.at(until));
        let process = self.processes.entry(key.clone()).or_default();
        let trouble = process.problem(&letter.record, is_new, now);
        let since = Some(trouble.since).filter(|_| trouble.count > 1);
        // It did not last.
        let end = trouble.end.take();
        trouble.calm = None;
        if is_muted {
            trouble.remind = remind.filter(|_| !trouble.announced).or(trouble.remind);
        } else {
            trouble.announced = true;
        }
        let lately = process.lately(now.instant);
        let next = process.next_look(now.instant).unwrap_or(now.instant + LATELY);
        if let Some(end) = end {
            self.drop(end.letter);
        }
        self.timers.set(Timer::Process(key), next);
        (lately, since)
    }

    /// Notes the end of a problem, if there is one; false when the record is to be told like any other.
    pub(super) fn take_end(&mut self, key: &Key, letter: &Arc<Letter>, now: Now) -> bool {
        let Some(process) = self.processes.get_mut(key) else { return false };
        let Some(trouble) = &mut process.trouble else { return false };
        let record = &letter.record;
        let is_sure = is_stop(record) || record.kind() == Kind::Stable;
        let flapping = trouble.flapping.filter(|_| !is_sure);
        let Some(lasting) = self.policy.resolve.filter(|_| trouble.announced) else {
            if let Some(window) = flapping {
                let calm = now.instant + window + STABLE_FIRST;
                trouble.calm = Some(calm);
                self.timers.set(Timer::Process(key.clone()), calm);
                return false;
            }
            self.timers.set(Timer::Process(key.clone()), now.instant + LATELY);
            // Where the problem comes again after a restart, its end has to.
            if trouble.dealt < trouble.count && letter.record.extra.contains_key("resolves") {
                process.end(Arc::clone(letter), false);
                return true;
            }
            process.trouble = None;
            return false;
        };
        // That it is stable may never be told: the stream may not come from --track any more.
        let lasting = flapping.map_or(lasting, |window| lasting.max(window + STABLE_FIRST));
        let due = if is_sure { now.instant } else { now.instant + lasting };
        let earlier = trouble.end.replace(End { letter: Arc::clone(letter), due });
        self.timers.set(Timer::Process(key.clone()), due);
        if let Some(earlier) = earlier {
            self.drop(earlier.letter);
        }
        true
    }

    pub(super) fn look_at_process(&mut self, key: Key, now: Now) {
        let reminds = self.reminds();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let is_forgotten = process.forget(now.instant);
        match &mut process.trouble {
            None if is_forgotten && process.over.is_empty() => {
                self.processes.remove(&key);
                return;
            }
            Some(trouble) if trouble.end.as_ref().is_some_and(|end| end.due <= now.instant) => {
                self.recover(&key, now);
            }
            Some(trouble) if trouble.calm.is_some_and(|at| at <= now.instant) => {
                // While a problem has not been dealt with it would come again after a restart, and have no end.
                trouble.calm = Some(now.instant + LATELY);
                if trouble.dealt == trouble.count {
                    process.trouble = None;
                    self.timers.set(Timer::Process(key.clone()), now.instant + LATELY);
                }
            }
            Some(trouble) if trouble.is_open() && trouble.remind.is_some_and(|at| at <= now.instant) => {
                trouble.remind = reminds.map(|interval| now.instant + interval);
                trouble.announced = true;
                let parcel = trouble.reminder(&key, now);
                self.ready.push_back(vec![parcel]);
            }
            _ => {}
        }
        let next = self.processes.get(&key).and_then(|process| process.next_look(now.instant));
        next.into_iter().for_each(|at| self.timers.set(Timer::Process(key.clone()), at));
    }

    /// A process has recovered: that is told, with what waits about its group, unless the last recovery has just been.
    pub(super) fn recover(&mut self, key: &Key, now: Now) {
        let Some(process) = self.processes.get_mut(key) else { return };
        let Some(trouble) = &mut process.trouble else { return };
        let Some(end) = trouble.end.clone() else { return };
        let parcel = trouble.over(&end, now);
        let name = Name::of(parcel.record(), &self.policy.group_by);
        if self.policy.group_interval.is_zero() || !has_room(&self.groups, &name) {
            process.end(end.letter, true);
            self.timers.set(Timer::Process(key.clone()), now.instant + LATELY);
            self.ready.push_back(vec![parcel]);
            return;
        }
        let group = self.groups.entry(name.clone()).or_default();
        let due = group.recovery_due(now.instant);
        if due > now.instant && !self.hurried {
            trouble.end = Some(End { due, ..end });
            self.timers.set(Timer::Process(key.clone()), due);
            return;
        }
        process.end(end.letter, true);
        self.timers.set(Timer::Process(key.clone()), now.instant + LATELY);
        group.recovered = Some(now.instant);
        group.add(parcel, now.instant, &self.policy);
        self.release(name, now);
    }
}

/// RUNNING, STOPPED or stable: whatever it was, it is over, unless the process flaps.
pub(super) fn is_end(letter: &Letter) -> bool {
    matches!(letter.record.kind(), Kind::ProcessState(State::Running | State::Stopped) | Kind::Stable)
}

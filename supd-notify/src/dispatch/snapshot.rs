//! What a dispatcher has to remember across a restart: who was told what, and what is still open. Times are the wall's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supd_core::describe::Severity;

use super::group::{Group, Name};
use super::trouble::{FLAPPING, Key, MAX_FLAPPING, Process, Trouble};
use super::{Dispatcher, Timer};
use crate::clock::Now;

/// A dispatcher without what it holds.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Snapshot {
    hears_of_recoveries: bool,
    groups: Vec<GroupState>,
    troubles: Vec<TroubleState>,
}

/// Which records had been dealt with when a snapshot was made. They may come again all the same, when there was no time
/// to write the cursor, and are not to be counted twice.
#[derive(Debug, Default)]
pub(crate) struct Dealt {
    /// The largest number that had come.
    pub(crate) highest: u64,
    /// What of that waited.
    pub(crate) waiting: BTreeSet<u64>,
}

impl Dealt {
    pub(super) fn covers(&self, seq: u64) -> bool {
        seq <= self.highest && !self.waiting.contains(&seq)
    }
}

impl Snapshot {
    /// Whether something is open, and so counted.
    pub(crate) fn has_troubles(&self) -> bool {
        !self.troubles.is_empty()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct GroupState {
    name: Name,
    told: String,
    interval_ms: u64,
    worst: Option<Severity>,
    recovered: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TroubleState {
    host: String,
    server: String,
    groupname: String,
    processname: String,
    since: String,
    count: u64,
    what: String,
    severity: Severity,
    #[serde(default)]
    flapping: bool,
    #[serde(default)]
    window_ms: Option<u64>,
    #[serde(default)]
    calm: Option<String>,
    announced: bool,
    remind: Option<String>,
}

impl Dispatcher {
    /// What is to be remembered.
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        let wall = |instant: Instant| format!("{:.3}", now.wall_at(instant));
        let group = |(name, group): (&Name, &Group)| {
            Some(GroupState {
                name: name.clone(),
                told: wall(group.told?),
                interval_ms: group.interval.as_millis().try_into().unwrap_or(u64::MAX),
                worst: group.worst,
                recovered: group.recovered.map(wall),
            })
        };
        let trouble = |(key, process): (&Key, &Process)| {
            let trouble = process.known()?;
            let [host, server, groupname, processname] = key.clone();
            Some(TroubleState {
                host,
                server,
                groupname,
                processname,
                since: trouble.since.to_string(),
                count: trouble.dealt,
                what: trouble.what.clone(),
                severity: trouble.severity,
                flapping: trouble.flapping.is_some(),
                window_ms: trouble.flapping.and_then(|window| window.as_millis().try_into().ok()),
                calm: trouble.calm.map(wall),
                announced: trouble.announced,
                remind: trouble.remind.map(wall),
            })
        };
        let mut groups: Vec<GroupState> = self.groups.iter().filter_map(group).collect();
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        let mut troubles: Vec<TroubleState> = self.processes.iter().filter_map(trouble).collect();
        troubles
            .sort_by(|one, other| one.since.cmp(&other.since).then(one.processname.cmp(&other.processname)));
        Snapshot { hears_of_recoveries: self.hears_of_recoveries, groups, troubles }
    }

    /// Goes on where an earlier one was, which had dealt with these.
    pub(crate) fn restore(&mut self, snapshot: Snapshot, earlier: Dealt, now: Now) {
        self.earlier = earlier;
        self.hears_of_recoveries = snapshot.hears_of_recoveries;
        for state in snapshot.groups {
            let Some(told) = moment(&state.told) else { continue };
            let interval = Duration::from_millis(state.interval_ms);
            let mut group = Group::default();
            group.told = Some(now.past(told));
            group.interval = interval.clamp(self.policy.group_interval, self.policy.group_interval_max);
            group.worst = state.worst;
            group.recovered = state.recovered.as_deref().and_then(moment).map(|at| now.past(at));
            self.timers.set(Timer::Group(state.name.clone()), group.calm(now.instant));
            self.groups.insert(state.name, group);
        }
        for state in snapshot.troubles {
            let Some(since) = moment(&state.since) else { continue };
            let key = [state.host, state.server, state.groupname, state.processname];
            let remind = state.remind.as_deref().and_then(moment).map(|at| now.at(at));
            let calm = state.calm.as_deref().and_then(moment).map(|at| now.at(at));
            let window = state.window_ms.map_or(FLAPPING, Duration::from_millis).min(MAX_FLAPPING);
            let trouble = Trouble {
                since,
                count: state.count,
                dealt: state.count,
                what: state.what,
                severity: state.severity,
                flapping: state.flapping.then_some(window),
                announced: state.announced,
                remind,
                end: None,
                calm,
            };
            // The earlier one sets the other.
            remind
                .into_iter()
                .chain(calm)
                .min()
                .into_iter()
                .for_each(|at| self.timers.set(Timer::Process(key.clone()), at));
            self.processes.entry(key).or_default().trouble = Some(trouble);
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

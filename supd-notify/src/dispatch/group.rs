//! Events that are told of together, and when. It never reads a clock.

use std::time::{Duration, Instant};

use supd_core::Record;
use supd_core::describe::{self, Severity};

use crate::parcel::Parcel;
use crate::policy::{Key, Policy};

/// After so many intervals without a message a group is as good as new.
const CALM: u32 = 10;

/// What a group's events have in common: the values of the policy's keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Name(Vec<Option<String>>);

impl Name {
    pub(super) fn of(record: &Record, keys: &[Key]) -> Self {
        let payload = &record.payload;
        let value = |key: &Key| match key {
            Key::Host => record.host.clone(),
            Key::Server => record.server.clone(),
            Key::Group => payload.groupname.clone(),
            // What is not about a process is about its group, supervisord or the spool.
            Key::Process => Some(describe::subject(record)),
            Key::Event => Some(record.eventname.clone()),
            Key::Severity => Some(describe::severity(record).name().to_owned()),
            Key::All => None,
        };
        Self(keys.iter().map(value).collect())
    }
}

/// A group, from its first event until it has calmed down.
///
/// ```text
/// new --event--> waits group_wait --> told --event--> waits group_interval --> told …
/// ```
#[derive(Debug, Default)]
pub(super) struct Group {
    /// What is to be told.
    pending: Vec<Parcel>,
    /// When.
    due: Option<Instant>,
    /// When something was told last, or left to be.
    pub(super) told: Option<Instant>,
    /// How long after that the next may be; it grows while the group does not calm down.
    pub(super) interval: Duration,
    /// The worst that was told.
    pub(super) worst: Option<Severity>,
    /// When a recovery was told last.
    pub(super) recovered: Option<Instant>,
}

impl Group {
    /// Takes what is to be told; when that will be.
    pub(super) fn add(&mut self, parcel: Parcel, now: Instant, policy: &Policy) -> Instant {
        let severity = describe::severity(parcel.record());
        let due = match self.told.map(|told| told + self.interval) {
            // What is worse than anything told so far does not wait for its turn.
            Some(turn) if turn > now => {
                let is_worse = severity >= Severity::Error && self.worst.is_none_or(|worst| severity > worst);
                if is_worse { now } else { turn }
            }
            _ => now + policy.group_wait,
        };
        self.pending.push(parcel);
        let due = self.due.map_or(due, |earlier| earlier.min(due));
        self.due = Some(due);
        due
    }

    /// When a recovery may be told: at once, unless one was just told.
    pub(super) fn recovery_due(&self, now: Instant) -> Instant {
        let turn = self.recovered.map(|recovered| recovered + self.interval);
        // Together with what waits anyway, when that comes first.
        turn.map_or(now, |turn| self.due.map_or(turn, |due| due.min(turn))).max(now)
    }

    /// Whether something is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Takes out what is to be told now.
    pub(super) fn release(&mut self, now: Instant, policy: &Policy) -> Vec<Parcel> {
        self.due = None;
        let parcels = std::mem::take(&mut self.pending);
        match self.told {
            Some(told) if now < told + self.interval => {}
            Some(told) if now < told + self.interval.saturating_mul(CALM) => {
                self.interval =
                    self.interval.saturating_mul(2).clamp(policy.group_interval, policy.group_interval_max);
            }
            _ => {
                self.interval = policy.group_interval;
                self.worst = None;
            }
        }
        self.told = Some(now);
        self.worst = parcels.iter().map(|parcel| describe::severity(parcel.record())).max().max(self.worst);
        parcels
    }

    /// When it can be forgotten, if nothing comes.
    pub(super) fn calm(&self, now: Instant) -> Instant {
        self.told.map_or(now, |told| told + self.interval.saturating_mul(CALM))
    }

    /// When to look at it next: when something is due, or else when it can be forgotten.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        self.due.unwrap_or_else(|| self.calm(now))
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        self.pending.is_empty() && self.calm(now) <= now
    }

    /// What waits.
    pub(super) fn pending(&self) -> &[Parcel] {
        &self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Audience;
    use crate::parcel::parcel;
    use crate::policy::Options;

    const SECOND: Duration = Duration::from_secs(1);

    fn crash() -> Parcel {
        parcel(r#"{"eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"a","expected":false}"#)
    }

    fn fatal() -> Parcel {
        parcel(r#"{"eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"a"}"#)
    }

    fn policy() -> Policy {
        Options::default().policy(Audience::People)
    }

    #[test]
    fn the_first_is_due_at_once_and_the_next_after_the_interval() {
        let (policy, now) = (policy(), Instant::now());
        let mut group = Group::default();
        assert_eq!(group.add(crash(), now, &policy), now);
        assert_eq!(group.release(now, &policy).len(), 1);
        assert_eq!(group.add(crash(), now + SECOND, &policy), now + 30 * SECOND);
        assert_eq!(group.add(crash(), now + 2 * SECOND, &policy), now + 30 * SECOND);
        assert!(!group.is_due(now + 29 * SECOND) && group.is_due(now + 30 * SECOND));
        assert_eq!(group.release(now + 30 * SECOND, &policy).len(), 2);
    }

    #[test]
    fn what_is_worse_than_anything_told_leaves_at_once_but_only_once() {
        let (policy, now) = (policy(), Instant::now());
        let mut group = Group::default();
        group.add(crash(), now, &policy);
        group.release(now, &policy);
        group.add(crash(), now + SECOND, &policy);
        assert_eq!(group.add(fatal(), now + 2 * SECOND, &policy), now + 2 * SECOND);
        assert_eq!(group.release(now + 2 * SECOND, &policy).len(), 2);
        assert_eq!(group.add(fatal(), now + 3 * SECOND, &policy), now + 32 * SECOND);
    }

    #[test]
    fn the_interval_grows_while_the_group_does_not_calm_down() {
        let (policy, mut now) = (policy(), Instant::now());
        let mut group = Group::default();
        let mut gaps = Vec::new();
        for _ in 0..12 {
            // A crash each second, and so one when it is due.
            let due = group.add(crash(), now, &policy);
            gaps.push(due.duration_since(now).as_secs());
            now = due;
            group.release(now, &policy);
        }
        assert_eq!(gaps, [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
        let calm = group.calm(now);
        assert!(!group.is_forgettable(now) && group.is_forgettable(calm));
        assert_eq!(group.add(crash(), calm, &policy), calm);
        group.release(calm, &policy);
        assert_eq!(group.add(crash(), calm, &policy), calm + 30 * SECOND);
    }

    #[test]
    fn a_group_is_named_by_the_keys_that_were_asked_for() {
        let name = |keys: &[Key], host: &str| {
            let text = format!(
                r#"{{"host":"{host}","eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"g"}}"#
            );
            Name::of(&Record::from_line(text.as_bytes()).unwrap(), keys)
        };
        assert_ne!(name(&[Key::Host, Key::Process], "x"), name(&[Key::Host, Key::Process], "y"));
        assert_eq!(name(&[Key::Process], "x"), name(&[Key::Process], "y"));
        assert_eq!(name(&[Key::All], "x"), name(&[Key::All], "y"));
        assert_eq!(
            name(&[Key::Process, Key::Severity], "x"),
            Name(vec![Some("g:a".into()), Some("critical".into())])
        );
    }
}

//! `--track`: follows each process across its events, adds to its records what one event cannot tell, and derives records
//! of our own from what several tell together.
//!
//! Processes are told apart by host, server, group and name. Of 16,384 the ones that were silent for longest are
//! forgotten, and of each, restarts beyond the last 1,000.

mod added;
mod place;
mod process;
mod told;
mod warm_up;

pub(crate) mod options;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Instant;

use jiff::Timestamp;
use supd_core::fields::{Field, Fields as _};
use supd_core::{Kind, Record, State};

pub(crate) use self::added::Added;
use self::place::{Origin, Place, key};
use self::process::{Change, Effect, Limits};
pub(crate) use self::warm_up::WarmUp;
use crate::item::Item;

/// No more processes than these are known at a time.
const MAX_PROCESSES: usize = 16_384;
/// So many are forgotten at once, since looking for the oldest takes its time.
const FORGOTTEN: usize = MAX_PROCESSES / 8;

/// What is known of all processes.
#[derive(Debug)]
pub(crate) struct Tracker {
    limits: Limits,
    /// None is without processes, so that there are no more of them.
    places: HashMap<Box<str>, Place>,
    /// How many processes there are.
    processes: usize,
    /// How many of their records have come.
    records: u64,
    names: Names,
}

/// Where a record belongs; the memory serves the next one.
#[derive(Debug, Default)]
struct Names {
    place: String,
    process: String,
}

/// What a record gives rise to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What had happened by then.
    pub(crate) before: Vec<Record>,
    /// It is one of those that we derive, and have derived ourselves.
    pub(crate) is_known: bool,
    /// What is derived from it.
    pub(crate) after: Vec<Record>,
}

impl Told {
    /// All there is to tell, with the record it is told by, in order.
    pub(crate) fn with(self, item: Item<'_>) -> impl Iterator<Item = Item<'_>> {
        let Self { before, is_known, after } = self;
        let item = Some(item).filter(|_| !is_known);
        before.into_iter().map(Item::from).chain(item).chain(after.into_iter().map(Item::from))
    }

    /// What a record's time reveals is dealt with before the record is, and has its number: a consumer that was ended
    /// between them gets both again.
    fn number_before(&mut self, item: &Item<'_>) {
        let Some(seq) = number(item, "seq").filter(|_| !self.before.is_empty()) else { return };
        let after = if self.is_known {
            number(item, "derived").unwrap_or_default()
        } else {
            self.after.len() as u64 + 1
        };
        for (record, more) in self.before.iter_mut().rev().zip(after..) {
            record.seq = Some(seq);
            if more > 0 {
                record.extra.insert("derived".into(), more.into());
            }
        }
    }
}

impl Tracker {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, places: HashMap::new(), processes: 0, records: 0, names: Names::default() }
    }

    /// Takes a record, and adds to it what it does not tell by itself.
    pub(crate) fn take(&mut self, item: &mut Item<'_>) -> Told {
        let mut told = self.follow(item);
        told.number_before(item);
        told
    }

    fn follow(&mut self, item: &mut Item<'_>) -> Told {
        let kind = item.kind();
        let at = item.text("ts").and_then(|ts| ts.parse::<Timestamp>().ok()).map(|ts| ts.as_millisecond());
        let mut told = Told { before: self.time_passes(at, item), ..Told::default() };
        let Some(name) = item.text("processname") else {
            match kind {
                Kind::ProcessGroup => self.remove_group(item, &mut told),
                Kind::SupervisorStateChange => self.supervisord(item),
                _ => {}
            }
            return told;
        };
        key(&item.text("groupname").unwrap_or_default(), &name, &mut self.names.process);
        drop(name);
        match kind {
            Kind::ProcessState(state) => self.change(state, at, item, &mut told),
            kind if kind.is_ours() => told.is_known = self.derives(kind),
            _ => self.mention(at, item),
        }
        told
    }

    /// Goes to the place that a record is from; what time has brought about there.
    fn time_passes(&mut self, at: Option<i64>, item: &Item<'_>) -> Vec<Record> {
        let text = |key| item.text(key).unwrap_or_default();
        key(&text("host"), &text("server"), &mut self.names.place);
        let Some(place) = self.places.get_mut(&*self.names.place) else { return Vec::new() };
        place.came(at);
        let calmed = at.map_or(Vec::new(), |at| place.calmed(at, &self.limits));
        calmed.into_iter().map(|calmed| told::stable(&self.names.place, calmed, &self.limits)).collect()
    }

    fn derives(&mut self, kind: Kind) -> bool {
        let place = self.places.get_mut(&*self.names.place);
        matches!(kind, Kind::Restarted | Kind::Flapping | Kind::Stable)
            && place.is_some_and(|place| place.get(&self.names.process).is_some())
    }

    /// A process has entered a state.
    fn change(&mut self, state: State, at: Option<i64>, item: &mut Item<'_>, told: &mut Told) {
        self.make_room();
        self.records += 1;
        let boot = item.text("boot");
        let origin = Origin { boot: boot.as_deref(), serial: number(item, "serial") };
        let (added, effect) = self.apply(change_of(state, at, item), origin);
        drop(boot);
        told.after = self.derive(item, &effect, &added);
        add(item, added, &mut told.after);
    }

    /// What is known of the process after a change, and what follows from that.
    fn apply(&mut self, mut change: Change, origin: Origin<'_>) -> (Added, Effect) {
        let Self { limits, places, names, .. } = self;
        if !places.contains_key(&*names.place) {
            places.insert(names.place.as_str().into(), Place::default());
        }
        let place = places.get_mut(&*names.place).expect("it was put there");
        place.came(change.at);
        change.at = change.at.or(place.latest);
        place.look_for_start(&names.process, origin, &change);
        let (before, lifetime) = (place.len(), place.lifetime);
        let known = place.know(&names.process);
        known.seen = self.records;
        let is_news = known.admits(origin, lifetime);
        let effect = if is_news { known.process.apply(&change, limits) } else { Effect::default() };
        let added = Added {
            // What comes late would be contradicted by what is known.
            state: known.process.state.filter(|state| *state == change.state),
            restarts: Some(known.process.restarts(change.at, limits)),
            flapping: known.process.flapping.is_some(),
            uptime: effect.uptime,
            downtime: effect.downtime,
            derived: 0,
        };
        place.set_calm(&names.process, limits);
        self.processes += place.len() - before;
        (added, effect)
    }

    fn derive(&self, item: &Item<'_>, effect: &Effect, added: &Added) -> Vec<Record> {
        let limits = &self.limits;
        let restarted = effect.restarted.as_ref().map(|restart| told::restarted(item, restart, added));
        let flapping = effect.flaps.as_ref().map(|flapping| told::flapping(item, flapping, added, limits));
        let restarts = added.restarts.unwrap_or_default();
        let stopped = effect.stopped.as_ref().map(|flapping| told::stopped(item, flapping, restarts, limits));
        [restarted, flapping, stopped].into_iter().flatten().collect()
    }

    /// A record of a process that tells nothing of its state.
    fn mention(&mut self, at: Option<i64>, item: &mut Item<'_>) {
        self.records += 1;
        let place = self.places.get_mut(&*self.names.place);
        let latest = place.as_ref().and_then(|place| place.latest);
        let mut added = Added { restarts: Some(0), ..Added::default() };
        if let Some(known) = place.and_then(|place| place.get(&self.names.process)) {
            known.seen = self.records;
            added.state = known.process.state;
            added.restarts = Some(known.process.restarts(at.or(latest), &self.limits));
            added.flapping = known.process.flapping.is_some();
        }
        item.add(added);
    }

    /// What the processes of a group that is no more were like matters no more.
    fn remove_group(&mut self, item: &mut Item<'_>, told: &mut Told) {
        if !item.eventname().ends_with("REMOVED") {
            return;
        }
        let group = item.text("groupname").unwrap_or_default();
        let Some(place) = self.places.get_mut(&*self.names.place) else { return };
        let before = place.len();
        let calmed = place.remove_group(&group, &self.limits);
        self.processes -= before - place.len();
        let stopped = |calmed: place::Calmed| {
            let mut record = told::stopped(item, &calmed.flapping, calmed.restarts, &self.limits);
            record.payload.processname = Some(calmed.name);
            record
        };
        told.after = calmed.into_iter().map(stopped).collect();
        drop(group);
        if place.len() == 0 {
            // A place without processes would not be counted, and hosts can be as many as processes.
            self.places.remove(&*self.names.place);
        }
        if !told.after.is_empty() {
            add(item, Added::default(), &mut told.after);
        }
    }

    /// Where records do not name their supervisord's lifetime, its start does.
    fn supervisord(&mut self, item: &Item<'_>) {
        if let Some(place) = self.places.get_mut(&*self.names.place)
            && item.eventname().ends_with("RUNNING")
        {
            place.lifetime += 1;
        }
    }

    fn make_room(&mut self) {
        if self.processes < MAX_PROCESSES {
            return;
        }
        let mut seen: Vec<u64> = self.places.values().flat_map(Place::seen).collect();
        let (_, oldest, _) = seen.select_nth_unstable(FORGOTTEN);
        self.places.values_mut().for_each(|place| place.forget(*oldest));
        self.places.retain(|_, place| place.len() > 0);
        self.processes = self.places.values().map(Place::len).sum();
    }

    /// The input is silent: what time alone brings about.
    pub(crate) fn idle(&mut self, now: Instant) -> Vec<Record> {
        let mut told = Vec::new();
        for (name, place) in &mut self.places {
            let calmed = place.idle(now).map_or(Vec::new(), |at| place.calmed(at, &self.limits));
            told.extend(calmed.into_iter().map(|calmed| told::stable(name, calmed, &self.limits)));
        }
        told
    }

    /// When it is to be told of silence again, if no record comes before.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.places.values().filter_map(Place::due).min()
    }
}

fn number(item: &Item<'_>, key: &str) -> Option<u64> {
    item.get(key)?.number()
}

fn change_of(state: State, at: Option<i64>, item: &Item<'_>) -> Change {
    let expected = match item.get("expected") {
        Some(Field::Flag(expected)) => Some(expected),
        _ => None,
    };
    let from = item.text("from_state").and_then(|name| State::of(&name));
    Change { state, from, expected, pid: number(item, "pid"), at }
}

/// Adds to a record, and where several have one number, to all but the last how many follow: that number is dealt with
/// only when all of them are.
fn add(item: &mut Item<'_>, mut added: Added, after: &mut [Record]) {
    if number(item, "seq").is_some() {
        added.derived = after.len();
        let count = after.len();
        for (at, record) in after.iter_mut().enumerate().take(count.saturating_sub(1)) {
            record.extra.insert("derived".into(), (count - 1 - at).into());
        }
    }
    item.add(added);
}

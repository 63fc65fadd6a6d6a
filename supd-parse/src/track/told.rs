//! The records that are derived: what several events tell together.

use jiff::Timestamp;
use supd_core::fields::Fields as _;
use supd_core::{Record, State};

use super::added::{Added, Millis};
use super::place::{Calmed, parts};
use super::process::{Flapping, Limits, Restart};
use crate::item::Item;

/// A record of our own with the origin of another, whose event it is derived from.
pub(super) fn derived(item: &Item<'_>, eventname: &str) -> Record {
    let text = |key| item.text(key).map(|text| text.into_owned());
    let number = |key| item.get(key).and_then(|field| field.number());
    let mut record = Record {
        ts: text("ts"),
        host: text("host"),
        boot: text("boot"),
        seq: number("seq"),
        server: text("server"),
        serial: number("serial"),
        pool: text("pool"),
        eventname: eventname.to_owned(),
        ..Record::default()
    };
    record.payload.processname = text("processname");
    record.payload.groupname = text("groupname");
    record
}

/// `SUPD_RESTARTED`: a process that had ended is RUNNING again.
pub(super) fn restarted(item: &Item<'_>, restart: &Restart, added: &Added) -> Record {
    let mut record = derived(item, "SUPD_RESTARTED");
    let end = restart.end;
    record.payload.from_state = end.state.map(|state| state.name().to_owned());
    record.payload.expected = end.expected;
    record.payload.pid = item.get("pid").and_then(|field| field.number());
    Added { uptime: restart.uptime, derived: 0, ..*added }.replace_in(&mut record.extra);
    since(&mut record, end.since);
    record
}

/// `SUPD_FLAPPING`: a process has been restarted too often.
pub(super) fn flapping(item: &Item<'_>, flapping: &Flapping, added: &Added, limits: &Limits) -> Record {
    let mut record = derived(item, "SUPD_FLAPPING");
    Added { state: added.state, restarts: added.restarts, flapping: true, ..Added::default() }
        .replace_in(&mut record.extra);
    row(&mut record, flapping, limits);
    record
}

/// `SUPD_STABLE`, derived from the event that put an end to the flapping: the process was stopped, or is no more.
pub(super) fn stopped(item: &Item<'_>, flapping: &Flapping, restarts: u64, limits: &Limits) -> Record {
    let mut record = derived(item, "SUPD_STABLE");
    Added { state: Some(State::Stopped), restarts: Some(restarts), ..Added::default() }
        .replace_in(&mut record.extra);
    row(&mut record, flapping, limits);
    record.extra.insert("stopped".into(), true.into());
    record
}

/// `SUPD_STABLE`, which time has brought about: it has the `seq` of the record whose time reveals it, if there is one.
pub(super) fn stable(place: &str, calmed: Calmed, limits: &Limits) -> Record {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (host, server) = parts(place);
    let mut record = Record {
        ts: calmed.at.and_then(moment),
        host: some(host),
        boot: calmed.boot.map(Into::into),
        server: some(server),
        eventname: "SUPD_STABLE".to_owned(),
        ..Record::default()
    };
    record.payload.processname = Some(calmed.name);
    record.payload.groupname = some(&calmed.group);
    let (state, restarts) = (Some(State::Running), Some(calmed.restarts));
    Added { state, restarts, uptime: calmed.uptime, ..Added::default() }.replace_in(&mut record.extra);
    row(&mut record, &calmed.flapping, limits);
    record
}

fn row(record: &mut Record, flapping: &Flapping, limits: &Limits) {
    record.extra.insert("count".into(), flapping.count.into());
    let window = u64::try_from(limits.flap).unwrap_or_default();
    record.extra.insert("window".into(), Millis(window).into());
    since(record, Some(flapping.since));
}

fn since(record: &mut Record, since: Option<i64>) {
    if let Some(since) = since.and_then(moment) {
        record.extra.insert("since".into(), since.into());
    }
}

/// A moment as records have it.
fn moment(millis: i64) -> Option<String> {
    Some(format!("{:.3}", Timestamp::from_millisecond(millis).ok()?))
}

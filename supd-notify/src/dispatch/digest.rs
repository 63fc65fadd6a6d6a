//! One record that tells of many.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use supd_core::Record;
use supd_core::describe::{self, Severity};

use crate::parcel::Parcel;

/// So many kinds of events are listed, the worst ones; of the rest it says how many there are.
const LISTED: usize = 20;

/// Events that differ in their time only.
struct Row<'a> {
    /// The last one.
    record: &'a Record,
    severity: Severity,
    count: u64,
    first: Option<&'a str>,
    last: Option<&'a str>,
}

/// `SUPD_DIGEST`: what these tell, in one. Its `count` is that of the events, `events` lists them by process and kind, the
/// worst first, and `more` says how many kinds are not listed.
pub(super) fn digest(parcels: &[Parcel], now: Timestamp) -> Record {
    let records: Vec<&Record> = parcels.iter().map(Parcel::record).collect();
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places = HashMap::new();
    for record in &records {
        let kind = (
            describe::subject(record),
            &record.host,
            &record.server,
            &record.eventname,
            record.payload.expected,
        );
        let ts = record.ts.as_deref();
        let place = *places.entry(kind).or_insert_with(|| {
            rows.push(Row { record, severity: describe::severity(record), count: 0, first: ts, last: ts });
            rows.len() - 1
        });
        let row = &mut rows[place];
        row.record = record;
        row.count += 1;
        row.last = ts.or(row.last);
    }
    // Of those that are equally bad, the one that came first.
    rows.sort_by_key(|row| std::cmp::Reverse(row.severity));
    let worst = rows.iter().map(|row| row.severity).max().unwrap_or(Severity::Info);
    let more = rows.len().saturating_sub(LISTED);
    let moments = || records.iter().filter_map(|record| record.ts.as_deref());
    let mut own = shared(&records, now);
    let extra = &mut own.extra;
    extra.insert("count".into(), records.len().into());
    extra.insert("first_ts".into(), moments().min().into());
    extra.insert("last_ts".into(), moments().max().into());
    extra.insert("severity".into(), worst.name().into());
    extra.insert("events".into(), rows.iter().take(LISTED).map(Row::value).collect());
    if more > 0 {
        extra.insert("more".into(), more.into());
    }
    own
}

/// A record with what all of these have in common.
fn shared(records: &[&Record], now: Timestamp) -> Record {
    fn common<'a>(
        records: &[&'a Record],
        field: impl Fn(&'a Record) -> Option<&'a String>,
    ) -> Option<String> {
        let first = field(records.first()?)?;
        records.iter().all(|record| field(record) == Some(first)).then(|| first.clone())
    }
    let mut own = Record {
        ts: Some(format!("{now:.3}")),
        host: common(records, |record| record.host.as_ref()),
        server: common(records, |record| record.server.as_ref()),
        eventname: "SUPD_DIGEST".into(),
        seq: records.iter().filter_map(|record| record.seq).max(),
        ..Record::default()
    };
    own.payload.groupname = common(records, |record| record.payload.groupname.as_ref());
    // A name alone says nothing: two groups may each have a process of that name.
    own.payload.processname = own
        .payload
        .groupname
        .is_some()
        .then(|| common(records, |record| record.payload.processname.as_ref()))
        .flatten();
    own
}

impl Row<'_> {
    fn value(&self) -> Value {
        let record = self.record;
        // Which try it was makes no difference here.
        let mut general =
            Record { eventname: record.eventname.clone(), extra: record.extra.clone(), ..Record::default() };
        general.payload.expected = record.payload.expected;
        general.payload.channel = record.payload.channel.clone();
        general.payload.r#type = record.payload.r#type.clone();
        if self.count == 1 {
            general.payload.tries = record.payload.tries;
        }
        let row = json!({
            "host": record.host,
            "server": record.server,
            "groupname": record.payload.groupname,
            "processname": record.payload.processname,
            "eventname": record.eventname,
            "what": describe::what(&general),
            "severity": self.severity.name(),
            "count": self.count,
            "first_ts": self.first,
            "last_ts": self.last,
        });
        let Value::Object(row) = row else { unreachable!("it was written as an object") };
        row.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn event(process: &str, event: &str, second: u8) -> Parcel {
        parcel(&format!(
            r#"{{"ts":"2026-01-05T08:00:{second:02}.000Z","host":"db1","seq":{second},"eventname":"PROCESS_STATE_{event}","processname":"{process}","groupname":"web","tries":{second},"expected":false}}"#
        ))
    }

    #[test]
    fn it_counts_by_process_and_kind_and_lists_the_worst_first() {
        let parcels = [
            event("a", "BACKOFF", 1),
            event("a", "BACKOFF", 2),
            event("b", "EXITED", 3),
            event("a", "FATAL", 4),
        ];
        let digest = digest(&parcels, "2026-01-05T08:01:00Z".parse().unwrap());
        assert_eq!((digest.host.as_deref(), digest.payload.groupname.as_deref()), (Some("db1"), Some("web")));
        assert_eq!((digest.payload.processname.as_deref(), digest.seq), (None, Some(4)));
        assert_eq!(
            (&digest.extra["count"], &digest.extra["severity"], digest.extra.get("more")),
            (&json!(4), &json!("critical"), None)
        );
        let rows: Vec<String> = digest.extra["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {} {} {}", row["processname"], row["what"], row["count"], row["last_ts"]))
            .collect();
        assert_eq!(
            rows.join("\n"),
            [
                r#""a" "could not be started; supervisord gave up" 1 "2026-01-05T08:00:04.000Z""#,
                r#""b" "exited unexpectedly" 1 "2026-01-05T08:00:03.000Z""#,
                r#""a" "exited too quickly" 2 "2026-01-05T08:00:02.000Z""#
            ]
            .join("\n")
        );
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let parcels: Vec<Parcel> = (0..50).map(|n| event(&format!("p{n}"), "EXITED", n)).collect();
        let digest = digest(&parcels, Timestamp::UNIX_EPOCH);
        assert_eq!(digest.extra["events"].as_array().unwrap().len(), LISTED);
        assert_eq!((&digest.extra["count"], &digest.extra["more"]), (&json!(50), &json!(30)));
    }
}

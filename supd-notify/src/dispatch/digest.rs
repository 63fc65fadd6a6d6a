//! One record that tells of many.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use supd_core::describe::{self, Severity};
use supd_core::digest::{Digest, Entry};
use supd_core::{Kind, Record};

use crate::clock::Now;
use crate::parcel::Parcel;

/// So many kinds of events are listed, the worst ones; of the rest it says how many there are.
const LISTED: usize = 20;

/// One parcel that tells what these tell.
pub(super) fn combine(mut parcels: Vec<Parcel>, now: Now) -> Parcel {
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
        None => digest(&parcels, now.wall),
    };
    Parcel::about(record, letters)
}

/// `SUPD_DIGEST`: what these tell, in one: how many events, and by process and kind which, the worst first.
fn digest(parcels: &[Parcel], now: Timestamp) -> Record {
    let records: Vec<&Record> = parcels.iter().map(Parcel::record).collect();
    let mut entries: Vec<Entry> = Vec::new();
    let mut places = HashMap::new();
    for record in &records {
        let what = describe::deed(record);
        let kind = (describe::subject(record), &record.host, &record.server, &record.eventname, what);
        let place = *places.entry(kind).or_insert_with_key(|(subject, .., what)| {
            entries.push(entry(record, subject, what));
            entries.len() - 1
        });
        let entry = &mut entries[place];
        entry.count += 1;
        entry.last_ts = record.ts.clone().or(entry.last_ts.take());
    }
    // Of those that are equally bad, the one that came first.
    entries.sort_by_key(|entry| Reverse(entry.severity));
    let moments = || records.iter().filter_map(|record| record.ts.clone());
    let processes: HashSet<_> = records.iter().filter_map(|record| record.process_key()).collect();
    let hosts: HashSet<_> = records.iter().filter_map(|record| record.host.as_ref()).collect();
    let more = entries.len().saturating_sub(LISTED) as u64;
    let mut own = shared(&records, now);
    own.extra = Digest {
        count: records.len() as u64,
        first_ts: moments().min(),
        last_ts: moments().max(),
        severity: entries.first().and_then(|entry| entry.severity),
        processes: Some(processes.len() as u64),
        hosts: Some(hosts.len() as u64),
        events: entries.into_iter().take(LISTED).collect(),
        more,
    }
    .into_extra();
    own
}

fn entry(record: &Record, subject: &str, what: &str) -> Entry {
    Entry {
        host: record.host.clone(),
        groupname: record.payload.groupname.clone(),
        processname: record.payload.processname.clone(),
        subject: record.payload.processname.is_none().then(|| subject.to_owned()),
        eventname: Some(record.eventname.clone()),
        what: what.to_owned(),
        severity: Some(describe::severity(record)),
        count: 0,
        first_ts: record.ts.clone(),
        last_ts: record.ts.clone(),
        recovered: record.kind() == Kind::Recovered,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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

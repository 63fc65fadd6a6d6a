//! The books: what supervisord had for a pool, and what became of every event of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::Sent;

/// What one chain did with what was sent. Of everything that was sent and wanted, each event was delivered, dropped or
/// lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) sent: usize,
    /// Events that arrived, each counted once.
    pub(super) delivered: usize,
    /// Further deliveries of the same events.
    pub(super) duplicates: usize,
    /// Events that supervisord's log says it discarded. One that was rejected first, because its listener had died, may
    /// have arrived all the same; it counts as delivered.
    pub(super) dropped: usize,
    /// Serials that neither arrived nor were discarded.
    pub(super) lost: Vec<u64>,
    /// Serials whose first delivery came after that of a later event.
    pub(super) disordered: Vec<u64>,
    /// Serials of records that say something else than supervisord did.
    pub(super) altered: Vec<u64>,
    /// Serials that supervisord never sent, or that the chain should not have let through.
    pub(super) foreign: Vec<u64>,
    /// Lines that are no record of an event.
    pub(super) strange: Vec<String>,
    /// Poolserials in holes that a SUPD_GAP declares.
    pub(super) declared: BTreeSet<u64>,
    /// Poolserials that were dropped after the first delivery, and so must be declared. What was dropped before it
    /// nobody could miss.
    pub(super) holes: BTreeSet<u64>,
}

impl Account {
    /// Reads the delivered lines against what was sent, of which the chain wants some, and what was discarded.
    pub(super) fn of(
        sent: &[Sent],
        wanted: impl Fn(&Sent) -> bool,
        discarded: &BTreeSet<u64>,
        out: &str,
    ) -> Self {
        let wanted: BTreeMap<u64, &Sent> =
            sent.iter().filter(|event| wanted(event)).map(|event| (event.serial, event)).collect();
        let last = sent.last().map_or(0, |event| event.serial);
        let mut account = Self { sent: wanted.len(), declared: declared(out), ..Self::default() };
        let (mut arrived, mut highest) = (BTreeSet::new(), 0);
        for line in out.lines() {
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            if record["eventname"] == "SUPD_GAP" {
                continue;
            }
            let Some(serial) = record["serial"].as_u64() else {
                account.strange.push(line.to_owned());
                continue;
            };
            if serial > last {
                continue;
            }
            let Some(event) = wanted.get(&serial) else {
                account.foreign.push(serial);
                continue;
            };
            if !says(&record, event) {
                account.altered.push(serial);
            }
            if !arrived.insert(serial) {
                account.duplicates += 1;
                continue;
            }
            if serial < highest {
                account.disordered.push(serial);
            }
            highest = highest.max(serial);
        }
        account.delivered = arrived.len();
        let first = arrived.first().copied().unwrap_or(u64::MAX);
        for event in wanted.values().filter(|event| !arrived.contains(&event.serial)) {
            if !discarded.contains(&event.serial) {
                account.lost.push(event.serial);
                continue;
            }
            account.dropped += 1;
            if event.serial > first {
                account.holes.insert(event.poolserial);
            }
        }
        account
    }

    /// Holes that nobody was told of.
    pub(super) fn undeclared(&self) -> impl Iterator<Item = &u64> {
        self.holes.difference(&self.declared)
    }

    /// Poolserials that were declared missing, and were not dropped.
    pub(super) fn unfounded(&self) -> impl Iterator<Item = &u64> {
        self.declared.difference(&self.holes)
    }

    pub(super) fn balances(&self) -> bool {
        self.faults().is_empty()
    }

    /// What is wrong, in words.
    pub(super) fn faults(&self) -> Vec<String> {
        let some = |what: &str, numbers: Vec<u64>| {
            let first = &numbers[..numbers.len().min(20)];
            (!numbers.is_empty()).then(|| format!("{} {what}, such as {first:?}", numbers.len()))
        };
        let serials = [
            some("lost", self.lost.clone()),
            some("out of order", self.disordered.clone()),
            some("altered", self.altered.clone()),
            some("never sent, or not wanted", self.foreign.clone()),
            some("dropped and not declared", self.undeclared().copied().collect()),
            some("declared and not dropped", self.unfounded().copied().collect()),
        ];
        let strange = self.strange.iter().map(|line| format!("not the record of an event: {line}"));
        serials.into_iter().flatten().chain(strange).collect()
    }
}

/// Poolserials that the SUPD_GAPs among these lines declare missing.
pub(super) fn declared(out: &str) -> BTreeSet<u64> {
    let mut declared = BTreeSet::new();
    for line in out.lines().filter(|line| line.contains("SUPD_GAP")) {
        let gap: Value = serde_json::from_str(line).unwrap_or_default();
        if gap["eventname"] == "SUPD_GAP"
            && let (Some(after), Some(before)) = (gap["after"].as_u64(), gap["before"].as_u64())
        {
            declared.extend(after + 1..before);
        }
    }
    declared
}

/// Serials that supervisord discarded from a pool, as its log says.
pub(super) fn discarded(log: &str, pool: &str) -> BTreeSet<u64> {
    let says = format!(" pool {pool} event buffer overflowed, discarding event ");
    log.lines().filter_map(|line| line.split_once(&says)?.1.parse().ok()).collect()
}

/// Whether a record holds what supervisord sent.
fn says(record: &Value, event: &Sent) -> bool {
    let (tokens, data) = match event.payload.split_once('\n') {
        Some((tokens, data)) => (tokens, Some(data)),
        None => (event.payload.as_str(), None),
    };
    let holds = |(key, value): (&str, &str)| match &record[key] {
        Value::String(text) => text == value,
        Value::Number(number) => number.to_string() == value,
        Value::Bool(yes) => (if *yes { "1" } else { "0" }) == value,
        _ => false,
    };
    record["eventname"] == *event.eventname
        && record["poolserial"] == event.poolserial
        && record["data"].as_str() == data
        && tokens.split(' ').filter_map(|token| token.split_once(':')).all(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(serials: impl IntoIterator<Item = u64>) -> Vec<Sent> {
        let event = |serial| Sent {
            serial,
            poolserial: serial,
            eventname: "PROCESS_LOG_STDOUT".into(),
            payload: format!("processname:a groupname:a pid:7 channel:stdout\né {serial}\n"),
        };
        serials.into_iter().map(event).collect()
    }

    fn line(serial: u64) -> String {
        let start = format!(r#"{{"serial":{serial},"poolserial":{serial},"eventname":"PROCESS_LOG_STDOUT""#);
        let process = r#","processname":"a","groupname":"a","pid":7,"channel":"stdout""#;
        format!("{start}{process},\"data\":\"é {serial}\\n\"}}\n")
    }

    fn account(serials: &[u64], discarded: &[u64], more: &str) -> Account {
        let out: String = serials.iter().map(|serial| line(*serial)).collect();
        Account::of(&sent(0..5), |_| true, &discarded.iter().copied().collect(), &(out + more))
    }

    #[test]
    fn the_books_balance_when_everything_arrived_in_order() {
        let account = account(&[0, 1, 1, 2, 3, 2, 3, 4, 5], &[], "");
        assert!(account.balances(), "{account:?}");
        assert_eq!((account.sent, account.delivered, account.duplicates), (5, 5, 3));
    }

    #[test]
    fn what_did_not_arrive_is_lost_unless_supervisord_discarded_it() {
        let lossy = account(&[0, 2, 4], &[3], "");
        assert_eq!((&lossy.lost[..], lossy.dropped, lossy.undeclared().count()), (&[1][..], 1, 1));
        assert!(!lossy.balances());
        let declared =
            account(&[0, 1, 2, 4], &[3], r#"{"eventname":"SUPD_GAP","after":2,"before":4,"missing":1}"#);
        assert!(declared.balances(), "{declared:?}");
    }

    #[test]
    fn what_was_discarded_and_arrived_all_the_same_is_delivered() {
        let account = account(&[0, 1, 2, 3, 4], &[2], "");
        assert!(account.balances() && account.dropped == 0, "{account:?}");
    }

    #[test]
    fn nobody_can_miss_what_was_dropped_before_the_first_delivery() {
        assert!(account(&[2, 3, 4], &[0, 1], "").balances());
    }

    #[test]
    fn a_gap_without_a_drop_is_unfounded() {
        let gap = r#"{"eventname":"SUPD_GAP","after":0,"before":2,"missing":1}"#;
        assert_eq!(account(&[0, 1, 2, 3, 4], &[], gap).unfounded().count(), 1);
    }

    #[test]
    fn disorder_alteration_and_strangers_are_seen() {
        assert_eq!(account(&[0, 2, 1, 3, 4], &[], "").disordered, [1]);
        let other = line(1).replace('é', "e");
        assert_eq!(account(&[0, 1, 2, 3, 4], &[], &other).altered, [1]);
        assert_eq!(account(&[0, 1, 2, 3, 4], &[], "{\"torn").strange, ["{\"torn"]);
        let not_1 = |event: &Sent| event.serial != 1;
        let of_1 = Account::of(&sent(0..2), not_1, &BTreeSet::new(), &(line(0) + &line(1)));
        assert_eq!((&of_1.foreign[..], of_1.sent), (&[1][..], 1));
    }

    #[test]
    fn the_log_names_the_pool_and_the_serial() {
        let log = "2026-01-05 08:00:00,000 ERRO pool a event buffer overflowed, discarding event 7\n\
                   2026-01-05 08:00:00,000 ERRO pool aa event buffer overflowed, discarding event 8\n";
        assert_eq!(discarded(log, "a"), BTreeSet::from([7]));
    }
}

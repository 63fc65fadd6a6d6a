//! Serials for events from several places, so that none looks like another one redelivered.
//!
//! As long as there is one source (one file, one pass, one supervisord) it keeps its numbers. From the second on, every
//! new event gets the next free one: but an event that its source holds twice, as supervisord redelivers it, keeps one.

use std::collections::{HashMap, VecDeque};

use supd_core::{Header, Record};

/// supd-listen remembers as many.
const REMEMBERED: usize = 4096;

/// One supervisord in one file, read once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    /// Counts files and passes.
    pass: usize,
    host: Option<String>,
    boot: Option<String>,
}

#[derive(Debug, Default)]
struct Source {
    /// The numbers that its last events were given, by what they were.
    given: HashMap<(u64, String), (u64, u64)>,
    order: VecDeque<(u64, String)>,
    /// By pool: the largest poolserial that it had of its own.
    poolserials: HashMap<String, u64>,
}

/// Gives out serials and poolserials.
#[derive(Debug, Default)]
pub(crate) struct Renumber {
    sources: HashMap<Origin, Source>,
    /// Whether there has been more than one source.
    several: bool,
    next: u64,
    next_poolserials: HashMap<String, u64>,
}

impl Renumber {
    /// Gives an event its numbers. `pass` counts files and passes over them.
    pub(crate) fn apply(&mut self, pass: usize, record: &Record, header: &mut Header) {
        let origin = Origin { pass, host: record.host.clone(), boot: record.boot.clone() };
        if !self.sources.contains_key(&origin) {
            self.several |= !self.sources.is_empty();
            // A source that was read to its end is not asked again.
            self.sources.retain(|known, _| known.pass == pass);
        }
        let source = self.sources.entry(origin).or_default();
        let key = (header.serial, header.eventname.clone());
        if let Some(&(serial, poolserial)) = source.given.get(&key) {
            (header.serial, header.poolserial) = (serial, poolserial);
            return;
        }
        let next_poolserial = self.next_poolserials.entry(header.pool.clone()).or_default();
        let last = source.poolserials.insert(header.pool.clone(), header.poolserial);
        if self.several {
            header.serial = self.next;
            // A hole in its own numbers stays one.
            let missing = last.map_or(0, |last| header.poolserial.saturating_sub(last.saturating_add(1)));
            header.poolserial = next_poolserial.saturating_add(missing);
        }
        self.next = self.next.max(header.serial.saturating_add(1));
        *next_poolserial = (*next_poolserial).max(header.poolserial.saturating_add(1));
        source.order.push_back(key.clone());
        source.given.insert(key, (header.serial, header.poolserial));
        if source.order.len() > REMEMBERED
            && let Some(oldest) = source.order.pop_front()
        {
            source.given.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(events: &[(usize, &str, u64, u64)]) -> Vec<(u64, u64)> {
        let mut renumber = Renumber::default();
        let apply = |&(pass, host, serial, poolserial): &(usize, &str, u64, u64)| {
            let record = Record { host: Some(host.to_owned()), ..Record::default() };
            let mut header = Header { serial, poolserial, eventname: "E".into(), ..Header::default() };
            renumber.apply(pass, &record, &mut header);
            (header.serial, header.poolserial)
        };
        events.iter().map(apply).collect()
    }

    #[test]
    fn one_source_keeps_its_numbers_redelivered_ones_too() {
        let events = [(0, "h", 7, 3), (0, "h", 9, 4), (0, "h", 9, 4), (0, "h", 2, 0)];
        assert_eq!(numbers(&events), [(7, 3), (9, 4), (9, 4), (2, 0)]);
    }

    #[test]
    fn a_second_pass_goes_on_where_the_first_ended() {
        let events = [(0, "h", 5, 5), (0, "h", 8, 7), (1, "h", 5, 5), (1, "h", 5, 5), (1, "h", 8, 7)];
        assert_eq!(
            numbers(&events),
            [(5, 5), (8, 7), (9, 8), (9, 8), (10, 10)],
            "the hole in poolserial stays"
        );
    }

    #[test]
    fn two_hosts_in_one_file_never_share_a_number() {
        let events = [(0, "a", 1, 1), (0, "b", 1, 1), (0, "a", 2, 2), (0, "b", 2, 2)];
        assert_eq!(numbers(&events), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    }
}

//! `--problems`: what needs somebody, and the event that says it is over.

use std::collections::HashMap;

use supd_core::fields::Fields as _;
use supd_core::{Kind, Record, State, describe};

use crate::item::Item;

/// More processes than this in trouble at once, and the recovery of the rest goes unmarked: memory stays bounded
/// whatever names come.
const REMEMBERED: usize = 65_536;

/// Processes in trouble, with the serial of the last problem of each.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    open: HashMap<[String; 4], u64>,
}

impl Problems {
    /// Whether a record is a problem, or the first RUNNING or STOPPED after one, which it marks.
    pub(crate) fn passes(&mut self, item: &mut Item<'_>) -> bool {
        let kind = item.kind();
        let Some(record) = item.record() else { return false };
        if describe::is_problem(&record) {
            self.remember(&record);
            return true;
        }
        if !matches!(kind, Kind::ProcessState(State::Running | State::Stopped)) {
            return false;
        }
        let Some(serial) = record.process_key().and_then(|key| self.open.remove(&key)) else {
            return false;
        };
        drop(record);
        if let Some(record) = item.change() {
            record.extra.insert("resolves".into(), serial.into());
        }
        true
    }

    fn remember(&mut self, record: &Record) {
        let (Some(key), Some(serial)) = (record.process_key(), record.serial) else {
            return;
        };
        if self.open.len() < REMEMBERED || self.open.contains_key(&key) {
            self.open.insert(key, serial);
        }
    }
}

#[cfg(test)]
mod tests {
    use supd_core::flat::Scanner;

    use super::*;

    /// Feeds `process STATE serial` and gives the serials that passed, with what they resolve.
    fn passed(events: &[(&str, &str, u64)]) -> Vec<(u64, Option<u64>)> {
        let mut problems = Problems::default();
        let pass = |&(process, state, serial): &(&str, &str, u64)| {
            let expected = if state == "EXITED" { r#","expected":false"# } else { "" };
            let text = format!(
                r#"{{"serial":{serial},"eventname":"PROCESS_STATE_{state}","processname":"{process}","groupname":"g"{expected}}}"#
            );
            let mut scanner = Scanner::default();
            let mut item = Item::read(&mut scanner, text.as_bytes()).unwrap();
            let passes = problems.passes(&mut item);
            passes.then(|| (serial, item.get("resolves").and_then(|serial| serial.number())))
        };
        events.iter().filter_map(pass).collect()
    }

    #[test]
    fn the_first_running_or_stopped_after_a_problem_passes_and_says_what_it_resolves() {
        let events = [
            ("a", "RUNNING", 1),
            ("a", "EXITED", 2),
            ("b", "RUNNING", 3),
            ("a", "STARTING", 4),
            ("a", "RUNNING", 5),
            ("a", "RUNNING", 6),
        ];
        assert_eq!(passed(&events), [(2, None), (5, Some(2))]);
    }

    #[test]
    fn the_last_problem_of_a_row_is_the_one_resolved() {
        let events = [("a", "BACKOFF", 1), ("a", "BACKOFF", 2), ("a", "FATAL", 3), ("a", "STOPPED", 4)];
        assert_eq!(passed(&events), [(1, None), (2, None), (3, None), (4, Some(3))]);
    }
}

//! `--problems`: what needs somebody, and the event that says it is over.

use std::collections::HashMap;

use supd_core::fields::{Field, Fields as _};
use supd_core::{Kind, State, describe};

use crate::item::Item;

/// More processes than this in trouble at once, and the recovery of the rest goes unmarked: memory stays bounded
/// whatever names come.
const REMEMBERED: usize = 65_536;

/// What tells processes apart across a fleet.
const KEY: [&str; 4] = ["host", "server", "groupname", "processname"];

/// Processes in trouble, with the serial of the last problem of each.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    open: HashMap<Vec<u8>, u64>,
    /// Where the key of the record in hand is put together.
    key: Vec<u8>,
    /// Whether nothing is remembered, and what may be a problem or its end passes.
    only_candidates: bool,
}

impl Problems {
    /// Leaves out what is neither a problem nor its end, whatever was before: for another, behind it, to decide about.
    pub(crate) fn only_candidates() -> Self {
        Self { only_candidates: true, ..Self::default() }
    }

    /// Whether a record is a problem, or the end of one, which it marks: the first RUNNING or STOPPED afterwards or, of
    /// flapping, SUPD_STABLE.
    pub(crate) fn passes(&mut self, item: &mut Item<'_>) -> bool {
        let kind = item.kind();
        if self.only_candidates {
            return is_candidate(kind, item);
        }
        if is_problem(kind, item) {
            self.remember(item);
            return true;
        }
        if !matches!(kind, Kind::ProcessState(State::Running | State::Stopped) | Kind::Stable) {
            return false;
        }
        let Some(serial) = self.forget(item) else { return false };
        item.resolve(serial);
        true
    }

    fn remember(&mut self, item: &Item<'_>) {
        let serial = item.get("serial").and_then(|serial| serial.number());
        let (Some(()), Some(serial)) = (self.find_key(item), serial) else { return };
        if let Some(known) = self.open.get_mut(&self.key) {
            *known = serial;
        } else if self.open.len() < REMEMBERED {
            self.open.insert(self.key.clone(), serial);
        }
    }

    fn forget(&mut self, item: &Item<'_>) -> Option<u64> {
        if self.open.is_empty() {
            return None;
        }
        self.find_key(item)?;
        self.open.remove(&self.key)
    }

    /// Puts the key of its process together; `None` for an event without a process.
    fn find_key(&mut self, item: &Item<'_>) -> Option<()> {
        item.text("processname")?;
        self.key.clear();
        // That a process flaps is a problem by itself: being RUNNING is no end of it, being stable is.
        self.key.push(matches!(item.kind(), Kind::Flapping | Kind::Stable).into());
        for name in KEY {
            let text = item.text(name).unwrap_or_default();
            // With its length no text can pass for the end of the one before it.
            self.key.extend_from_slice(&text.len().to_ne_bytes());
            self.key.extend_from_slice(text.as_bytes());
        }
        Some(())
    }
}

fn is_problem(kind: Kind, item: &Item<'_>) -> bool {
    let expected = match item.get("expected") {
        Some(Field::Flag(expected)) => Some(expected),
        _ => None,
    };
    match describe::severity_of_kind(kind, expected) {
        Some(severity) => severity.is_problem(),
        None => item.record().is_some_and(|record| describe::is_problem(&record)),
    }
}

fn is_candidate(kind: Kind, item: &Item<'_>) -> bool {
    match kind {
        Kind::ProcessState(State::Exited) => item.get("expected") != Some(Field::Flag(true)),
        Kind::ProcessState(State::Starting | State::Stopping) => false,
        Kind::ProcessLog | Kind::ProcessCommunication | Kind::RemoteCommunication => false,
        Kind::SupervisorStateChange | Kind::Tick | Kind::ProcessGroup => false,
        _ => true,
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
            let family = if state.starts_with("SUPD") { "" } else { "PROCESS_STATE_" };
            let text = format!(
                r#"{{"serial":{serial},"eventname":"{family}{state}","processname":"{process}","groupname":"g"{expected}}}"#
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

    #[test]
    fn flapping_is_over_when_that_is_said_and_not_before() {
        let events = [
            ("a", "EXITED", 2),
            ("a", "RUNNING", 4),
            ("a", "SUPD_RESTARTED", 4),
            ("a", "SUPD_FLAPPING", 4),
            ("a", "RUNNING", 5),
            ("a", "EXITED", 6),
            ("a", "RUNNING", 8),
            ("b", "SUPD_STABLE", 9),
            ("a", "SUPD_STABLE", 9),
            ("a", "SUPD_STABLE", 10),
        ];
        let expected = [(2, None), (4, Some(2)), (4, None), (6, None), (8, Some(6)), (9, Some(4))];
        assert_eq!(passed(&events), expected);
    }
}

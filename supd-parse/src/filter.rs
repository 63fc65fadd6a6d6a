//! Which records pass.

use std::convert::Infallible;

use supd_core::reader::Item;
use supd_core::{EventPattern, Kind, Record, State};
use wildmatch::WildMatch;

use crate::problems::Problems;

/// A glob on `name`, or on `group:name` when it holds a colon: names cannot.
#[derive(Debug, Clone)]
pub(crate) struct ProcessPattern {
    group: Option<WildMatch>,
    name: WildMatch,
}

impl ProcessPattern {
    /// Takes any text.
    pub(crate) fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once(':') {
            Some((group, name)) => Self { group: Some(WildMatch::new(group)), name: WildMatch::new(name) },
            None => Self { group: None, name: WildMatch::new(text) },
        })
    }

    fn matches(&self, record: &Record) -> bool {
        let is =
            |glob: &WildMatch, name: &Option<String>| name.as_ref().is_some_and(|name| glob.matches(name));
        is(&self.name, &record.payload.processname)
            && self.group.as_ref().is_none_or(|group| is(group, &record.payload.groupname))
    }
}

/// A glob on the group's name.
#[derive(Debug, Clone)]
pub(crate) struct GroupPattern(WildMatch);

impl GroupPattern {
    /// Takes any text.
    pub(crate) fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(Self(WildMatch::new(text)))
    }

    fn matches(&self, record: &Record) -> bool {
        record.payload.groupname.as_ref().is_some_and(|name| self.0.matches(name))
    }
}

/// What the command line asked for. An empty list asks for nothing, so everything passes it.
#[derive(Debug)]
pub(crate) struct Filter {
    events: Vec<EventPattern>,
    processes: Vec<ProcessPattern>,
    groups: Vec<GroupPattern>,
    unexpected: bool,
    problems: Option<Problems>,
}

impl Filter {
    pub(crate) fn new(
        events: Vec<EventPattern>,
        processes: Vec<ProcessPattern>,
        groups: Vec<GroupPattern>,
        unexpected: bool,
        problems: bool,
    ) -> Self {
        Self { events, processes, groups, unexpected, problems: problems.then(Problems::default) }
    }

    /// Whether a record passes; it may be marked on the way.
    pub(crate) fn passes(&mut self, item: &mut Item<'_>) -> bool {
        let record = &item.record;
        any(&self.events, |event| event.covers(&record.eventname))
            && any(&self.processes, |process| process.matches(record))
            && any(&self.groups, |group| group.matches(record))
            && (!self.unexpected || is_unexpected(record))
            // Last, so that it remembers only problems that are passed on.
            && self.problems.as_mut().is_none_or(|problems| problems.passes(item))
    }
}

fn any<T>(alternatives: &[T], holds: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn is_unexpected(record: &Record) -> bool {
    record.kind() == Kind::ProcessState(State::Exited) && record.payload.expected == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(process: &str, group: &str) -> Record {
        let text = format!(
            r#"{{"eventname":"PROCESS_STATE_FATAL","processname":"{process}","groupname":"{group}"}}"#
        );
        Record::from_line(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_process_is_named_alone_or_with_its_group() {
        let matches = |glob: &str, process, group| {
            ProcessPattern::parse(glob).unwrap().matches(&record(process, group))
        };
        assert!(matches("web_*", "web_00", "web"));
        assert!(matches("web:*", "web_00", "web"));
        assert!(matches("w?b:web_00", "web_00", "web"));
        assert!(!matches("web", "web_00", "web"));
        assert!(!matches("api:*", "web_00", "web"));
    }

    #[test]
    fn an_event_without_a_process_matches_no_process() {
        let tick = Record::from_line(br#"{"eventname":"TICK_5"}"#).unwrap();
        assert!(!ProcessPattern::parse("*").unwrap().matches(&tick));
        assert!(!GroupPattern::parse("*").unwrap().matches(&tick));
    }
}

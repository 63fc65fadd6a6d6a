//! Which records pass.

use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::reader::Item;
use supd_core::{EventPattern, Kind, Record, State};

use crate::problems::Problems;

/// What the command line asked for. An empty list asks for nothing, so everything passes it.
#[derive(Debug)]
pub(crate) struct Filter {
    events: Vec<EventPattern>,
    processes: Vec<ProcessPattern>,
    groups: Vec<Glob>,
    unexpected: bool,
    problems: Option<Problems>,
    ticks: bool,
}

impl Filter {
    pub(crate) fn new(
        events: Vec<EventPattern>,
        processes: Vec<ProcessPattern>,
        groups: Vec<Glob>,
        unexpected: bool,
        problems: bool,
    ) -> Self {
        let problems = problems.then(Problems::default);
        Self { events, processes, groups, unexpected, problems, ticks: false }
    }

    /// The same, and TICK events pass in any case.
    pub(crate) fn with_ticks(self, ticks: bool) -> Self {
        Self { ticks, ..self }
    }

    /// Whether a record passes; it may be marked on the way.
    pub(crate) fn passes(&mut self, item: &mut Item<'_>) -> bool {
        let record = &item.record;
        if self.ticks && record.kind() == Kind::Tick {
            return true;
        }
        any(&self.events, |event| event.covers(&record.eventname))
            && any(&self.processes, |process| process.matches(record))
            && any(&self.groups, |group| group.matches(record.payload.groupname.as_deref()))
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

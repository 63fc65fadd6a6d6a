//! Which records pass, as far as the record alone tells.

pub(crate) mod options;

use supd_core::fields::{Field, Fields};
use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::{EventPattern, Kind, State};

use crate::item::Item;

/// What the command line asked for. An empty list asks for nothing, so everything passes it.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    events: Vec<EventPattern>,
    processes: Vec<ProcessPattern>,
    groups: Vec<Glob>,
    unexpected: bool,
}

impl Select {
    /// Whether a record passes.
    pub(crate) fn passes(&self, item: &Item<'_>) -> bool {
        any(&self.events, |event| event.covers(&item.eventname()))
            && any(&self.processes, |process| {
                process.matches_names(item.text("processname").as_deref(), item.text("groupname").as_deref())
            })
            && any(&self.groups, |group| group.matches(item.text("groupname").as_deref()))
            && (!self.unexpected || is_unexpected(item))
    }
}

fn any<T>(alternatives: &[T], holds: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn is_unexpected(item: &Item<'_>) -> bool {
    item.kind() == Kind::ProcessState(State::Exited) && item.get("expected") == Some(Field::Flag(false))
}

//! Which records pass, as far as the record alone tells.

mod grep;
mod literals;
pub(crate) mod options;
#[cfg(test)]
mod properties;
pub(crate) mod search;
mod window;

use supd_core::fields::{Field, Fields};
use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::{EventPattern, Kind, State};

use crate::item::Item;
use crate::select::grep::Grep;
use crate::select::window::Window;

/// What the command line asked for. An empty list asks for nothing, so everything passes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Select {
    events: Vec<EventPattern>,
    processes: Vec<ProcessPattern>,
    groups: Vec<Glob>,
    hosts: Vec<Glob>,
    servers: Vec<Glob>,
    from_states: Vec<State>,
    states: Vec<State>,
    unexpected: bool,
    window: Window,
    grep: Option<Grep>,
    /// Whether what meets the conditions is what does not pass.
    invert: bool,
}

impl Select {
    /// Whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            events,
            processes,
            groups,
            hosts,
            servers,
            from_states,
            states,
            unexpected,
            window,
            grep,
            invert,
        } = self;
        let names = events.is_empty() && processes.is_empty() && groups.is_empty();
        let places = hosts.is_empty() && servers.is_empty() && from_states.is_empty() && states.is_empty();
        names && places && !unexpected && window.is_empty() && grep.is_none() && !invert
    }

    /// Whether a record passes.
    pub(crate) fn passes(&mut self, item: &Item<'_>) -> bool {
        self.holds(item) != self.invert
    }

    /// Whether all conditions hold; one on a key that the record does not have does not.
    fn holds(&mut self, item: &Item<'_>) -> bool {
        any(&self.events, |event| event.covers(&item.eventname()))
            && any(&self.processes, |process| {
                process.matches_names(item.text("processname").as_deref(), item.text("groupname").as_deref())
            })
            && any(&self.groups, |group| group.matches(item.text("groupname").as_deref()))
            && any(&self.hosts, |host| host.matches(item.text("host").as_deref()))
            && any(&self.servers, |server| server.matches(item.text("server").as_deref()))
            && any(&self.from_states, |state| {
                item.text("from_state").is_some_and(|left| left == state.name())
            })
            && any(&self.states, |state| entered(item, *state))
            && (!self.unexpected || is_unexpected(item))
            && self.window.holds(item)
            && self.grep.as_mut().is_none_or(|grep| grep.matches(item))
    }
}

fn any<T>(alternatives: &[T], holds: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn is_unexpected(item: &Item<'_>) -> bool {
    item.kind() == Kind::ProcessState(State::Exited) && item.get("expected") == Some(Field::Flag(false))
}

/// Whether the process went to this state: by the event's name, or as a program that derives events writes it.
fn entered(item: &Item<'_>, state: State) -> bool {
    match item.kind() {
        Kind::ProcessState(entered) => entered == state,
        _ => item.text("state").is_some_and(|entered| entered == state.name()),
    }
}

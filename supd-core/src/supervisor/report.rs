//! What can be told of a supervisord's listeners: the lines of its log, as values.

use std::fmt;

use super::dispatcher::ListenerState;
use super::subprocess::Change;

/// Something that happened to a listener or to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A process entered another state.
    Process {
        /// Its name.
        process: String,
        /// The states, and what its event says.
        change: Change,
    },
    /// What supervisord expects of a listener changed.
    Listener {
        /// Its name.
        process: String,
        /// The state that was left.
        from: ListenerState,
        /// The state that was entered.
        to: ListenerState,
    },
    /// An event was written to a listener, as far as its pipe took it.
    Sent {
        /// Its name.
        process: String,
        /// The event's.
        serial: u64,
        /// The event's.
        eventname: String,
    },
    /// A listener accepted an event.
    Accepted {
        /// Its name.
        process: String,
        /// The event's.
        serial: u64,
    },
    /// A listener rejected an event, with this body; or broke the protocol, or ended, with the event in hand.
    Rejected {
        /// Its name.
        process: String,
        /// The event's.
        serial: u64,
        /// The body of its result, where there was one.
        result: Option<Vec<u8>>,
    },
    /// A listener broke the protocol, with this.
    Poisoned {
        /// Its name.
        process: String,
        /// What it had written, and had not been understood.
        output: Vec<u8>,
    },
    /// A full buffer lost an event.
    Dropped {
        /// The pool's name.
        pool: String,
        /// The event's.
        serial: u64,
        /// The event's.
        eventname: String,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { process, change } => {
                write!(f, "{process} {} -> {}", change.from.name(), change.to.name())
            }
            Self::Listener { process, from, to } => write!(f, "{process} {from} -> {to}"),
            Self::Sent { process, serial, .. } => write!(f, "{process} sent {serial}"),
            Self::Accepted { process, serial } => write!(f, "{process} accepted {serial}"),
            Self::Rejected { process, serial, .. } => write!(f, "{process} rejected {serial}"),
            Self::Poisoned { process, output } => {
                write!(f, "{process} poisoned by '{}'", output[..output.len().min(200)].escape_ascii())
            }
            Self::Dropped { pool, serial, .. } => write!(f, "{pool} dropped {serial}"),
        }
    }
}

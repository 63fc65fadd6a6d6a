//! Which supervisord is played: what differs between them as far as a listener can see it.

use crate::event::Event;
use crate::kind::Kind;
use crate::wire::LenUnit;

/// An implementation of supervisord.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// supervisord 4 under Python 3: lengths in characters
    #[default]
    Python3,
    /// supervisord 4 under Python 2.7: lengths in characters or bytes, depending on the event
    Python2,
    /// The reimplementation in Go: lengths in bytes, no UNKNOWN state, other rules for numbers and buffers
    Go,
}

impl Profile {
    /// The number of the first event, in this supervisord and in each pool.
    pub fn first_serial(self) -> u64 {
        match self {
            Self::Python3 | Self::Python2 => 0,
            Self::Go => 1,
        }
    }

    /// What `len` counts in an event of this kind.
    pub fn len_unit(self, kind: Kind) -> LenUnit {
        match (self, kind) {
            (Self::Python3, _) | (Self::Python2, Kind::ProcessLog | Kind::ProcessCommunication) => {
                LenUnit::Chars
            }
            (Self::Python2 | Self::Go, _) => LenUnit::Bytes,
        }
    }

    /// The event as this supervisord would send it, if it has it at all.
    pub(super) fn adapt(self, mut event: Event) -> Option<Event> {
        if self == Self::Go {
            match Kind::of(&event.header.eventname) {
                Kind::ProcessGroup | Kind::SupervisorStateChange => return None,
                Kind::ProcessLog => {
                    event.payload.channel = None;
                    "PROCESS_LOG_STDOUT".clone_into(&mut event.header.eventname);
                }
                _ => {}
            }
        }
        Some(event)
    }
}

//! Where messages go, one file a channel: adding one is a file here and what the compiler then asks for in `args`.

pub(crate) mod email;
pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod slack;
pub(crate) mod webhook;

use std::fmt;
use std::time::Duration;

use crate::parcel::Parcel;

/// A way to reach people, or their programs.
pub(crate) trait Channel: Send {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// Whom it reaches, which decides on what is usual for it.
    fn audience(&self) -> Audience;

    /// What would be sent.
    fn preview(&self, parcel: &Parcel) -> Result<String, Failure>;

    /// Sends a parcel, within this time.
    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure>;
}

/// Who gets what a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// They want one message about many events.
    People,
    /// They want each record, as it came.
    Programs,
}

/// What the other side answered: `the server answered 200 OK: ok`. One line, without secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt(pub(crate) String);

/// Why a parcel was not delivered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Another attempt may succeed.
    Temporary {
        reason: String,
        /// What the other side asked for.
        retry_after: Option<Duration>,
    },
    /// It never will.
    Permanent { reason: String },
}

impl Failure {
    pub(crate) fn temporary(reason: impl fmt::Display) -> Self {
        Self::Temporary { reason: reason.to_string(), retry_after: None }
    }

    pub(crate) fn permanent(reason: impl fmt::Display) -> Self {
        Self::Permanent { reason: reason.to_string() }
    }

    /// The same, with its reason in other words.
    pub(crate) fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Temporary { reason, retry_after } => {
                Self::Temporary { reason: reword(&reason), retry_after }
            }
            Self::Permanent { reason } => Self::Permanent { reason: reword(&reason) },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Temporary { reason, .. } | Self::Permanent { reason }) = self;
        f.write_str(reason)
    }
}

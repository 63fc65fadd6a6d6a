//! Where messages go, one file a channel: adding one is a file here and what the compiler then asks for in `args`.

pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod slack;
pub(crate) mod webhook;

use std::fmt;
use std::time::Duration;

use crate::queue::Letter;

/// A way to reach people.
pub(crate) trait Channel {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// What would be sent.
    fn preview(&self, letter: &Letter) -> Result<String, Failure>;

    /// Sends a letter, within this time.
    fn deliver(&mut self, letter: &Letter, timeout: Duration) -> Result<(), Failure>;
}

/// Why a letter was not delivered.
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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Temporary { reason, .. } | Self::Permanent { reason }) = self;
        f.write_str(reason)
    }
}

#[cfg(test)]
pub(crate) fn letter(json: &str) -> Letter {
    Letter { record: supd_core::Record::from_line(json.as_bytes()).unwrap(), line: json.into() }
}

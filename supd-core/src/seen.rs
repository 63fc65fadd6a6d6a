//! What an earlier listener wrote of an event, as far as it tells whether one has come before.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::gaps::Gap;

/// The origin of a record, and of a `SUPD_GAP` what it declares; the rest of the line is passed over.
#[derive(Debug, Deserialize)]
pub struct Seen<'a> {
    #[serde(borrow)]
    ts: Option<Cow<'a, str>>,
    /// One lifetime of one supervisord.
    #[serde(borrow)]
    pub boot: Option<Cow<'a, str>>,
    /// The listener's pool.
    #[serde(borrow)]
    pub pool: Option<Cow<'a, str>>,
    /// Number of the event in its supervisord; an event of our own has none.
    pub serial: Option<u64>,
    /// Number of the event in the pool.
    pub poolserial: Option<u64>,
    /// Such as `PROCESS_STATE_EXITED`.
    #[serde(borrow)]
    pub eventname: Cow<'a, str>,
    after: Option<u64>,
    before: Option<u64>,
}

impl<'a> Seen<'a> {
    /// Reads a line that a listener wrote; `None` when it is something else.
    pub fn from_line(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// When it was received.
    pub fn ts(&self) -> Option<Timestamp> {
        self.ts.as_ref()?.parse().ok()
    }

    /// The poolserials that it declares as missing.
    pub fn gap(&self) -> Option<Gap> {
        let (after, before) = (self.after?, self.before?);
        (self.eventname == "SUPD_GAP" && after < before).then_some(Gap { after, before })
    }
}

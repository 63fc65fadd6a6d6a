//! What goes to a channel at once: a record that came, or one of our own about several.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use supd_core::Record;

/// A record that came, and its bytes.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) record: Record,
    /// Without its newline.
    pub(crate) line: Vec<u8>,
    /// How long it has waited for us: since its `ts`, or since we read it, when it has none.
    pub(crate) since: Timestamp,
}

impl Letter {
    pub(crate) fn new(record: Record, line: Vec<u8>) -> Self {
        let since = record.ts.as_deref().and_then(|ts| ts.parse().ok()).unwrap_or_else(Timestamp::now);
        Self { record, line, since }
    }

    /// The number in the spool up to which everything has come, once this has. Where records that are derived from the
    /// same event follow, with the same number (`derived` says how many), that is the one before it.
    pub(crate) fn passes(&self) -> Option<u64> {
        let more = self.record.extra.get("derived").and_then(Value::as_u64).is_some_and(|more| more > 0);
        self.record.seq.map(|seq| seq.saturating_sub(u64::from(more)))
    }
}

/// What is known of a process beside the record about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Background {
    /// How many of its problems came in the last such span, this one included.
    pub(crate) lately: Option<(u64, Duration)>,
    /// Since when it has not been well.
    pub(crate) since: Option<Timestamp>,
}

/// What to tell, and which letters are dealt with once it is told.
#[derive(Debug)]
pub(crate) struct Parcel {
    content: Arc<Letter>,
    letters: Vec<Arc<Letter>>,
    background: Background,
}

impl Parcel {
    /// A letter as it came.
    pub(crate) fn of(letter: Arc<Letter>) -> Self {
        Self { content: Arc::clone(&letter), letters: vec![letter], background: Background::default() }
    }

    /// A record of our own that tells of these letters.
    pub(crate) fn about(record: Record, letters: Vec<Arc<Letter>>) -> Self {
        let mut line = Vec::new();
        record.write_line(&mut line);
        line.pop();
        Self { content: Letter::new(record, line).into(), letters, background: Background::default() }
    }

    /// The same, with what is known beside it.
    pub(crate) fn with(self, background: Background) -> Self {
        Self { background, ..self }
    }

    /// What to tell.
    pub(crate) fn record(&self) -> &Record {
        &self.content.record
    }

    /// The same as a line of NDJSON, without its newline; a letter's own bytes.
    pub(crate) fn line(&self) -> &[u8] {
        &self.content.line
    }

    /// What is known beside it.
    pub(crate) fn background(&self) -> Background {
        self.background
    }

    /// The letters that are dealt with once it is told.
    pub(crate) fn letters(&self) -> &[Arc<Letter>] {
        &self.letters
    }

    /// The processes that it tells of: host, server, group and name of each.
    pub(crate) fn processes(&self) -> Vec<[String; 4]> {
        let letters = self.letters.iter().map(|letter| &letter.record);
        let keys: BTreeSet<_> = letters.chain([self.record()]).filter_map(Record::process_key).collect();
        keys.into_iter().collect()
    }
}

#[cfg(test)]
pub(crate) fn parcel(json: &str) -> Parcel {
    Parcel::of(Letter::new(Record::from_line(json.as_bytes()).unwrap(), json.into()).into())
}

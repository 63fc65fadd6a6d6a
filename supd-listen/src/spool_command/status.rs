//! `supd-listen spool status`: a spool at a glance, for people or as JSON.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supd_core::spool::disk::Directory;
use supd_core::spool::log::Index;
use supd_core::spool::{Reader, Standing, standings};
use supd_core::{Record, cli, describe, words};

/// A spool as somebody looked at it.
struct Status {
    path: String,
    /// Whether somebody writes to it, and then the pid, where it can be told.
    writer: Option<Option<u32>>,
    segments: usize,
    bytes: u64,
    records: Option<Records>,
    consumers: Vec<Consumer>,
}

/// The records that are there, by number and time.
struct Records {
    first: u64,
    last: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

struct Consumer {
    name: String,
    confirmed: Option<u64>,
    /// How many records it has not confirmed.
    behind: u64,
    /// When the oldest of them was written.
    since: Option<Timestamp>,
    holder: Option<Option<u32>>,
}

/// The status of a spool, as text.
pub(super) fn status(path: &Path, json: bool) -> anyhow::Result<String> {
    let status = Status::of(path)?;
    Ok(if json { format!("{}\n", status.json()) } else { status.text(Timestamp::now()) })
}

impl Status {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let (index, writer) = super::look(path)?;
        let time = |number| {
            let time = time_of_first_after(number, path, &index);
            time.with_context(|| format!("read spool '{}'", path.display()))
        };
        let (first, next) = (index.first(), index.next());
        let records = if first < next {
            Some(Records { first, last: next - 1, oldest: time(first - 1)?, newest: time(next - 2)? })
        } else {
            None
        };
        let consumer = |(name, standing): (String, Standing)| {
            let confirmed = standing.position;
            let from = confirmed.unwrap_or(0).max(first - 1);
            let behind = (next - 1).saturating_sub(from);
            let since = if behind > 0 { time(from)? } else { None };
            anyhow::Ok(Consumer { name, confirmed, behind, since, holder: standing.holder })
        };
        Ok(Self {
            path: path.display().to_string(),
            writer,
            segments: index.segments().len(),
            bytes: index.size(),
            records,
            consumers: standings(path)?.into_iter().map(consumer).collect::<Result<_, _>>()?,
        })
    }

    fn json(&self) -> Value {
        let records = self.records.as_ref();
        let consumers = self.consumers.iter().map(|consumer| {
            json!({
                "name": consumer.name,
                "confirmed": consumer.confirmed,
                "behind": consumer.behind,
                "oldest_unconfirmed_ts": consumer.since.map(rfc3339),
                "running": consumer.holder.is_some(),
                "pid": consumer.holder.flatten(),
            })
        });
        json!({
            "spool": self.path,
            "running": self.writer.is_some(),
            "pid": self.writer.flatten(),
            "segments": self.segments,
            "bytes": self.bytes,
            "first_seq": records.map(|records| records.first),
            "last_seq": records.map(|records| records.last),
            "oldest_ts": records.and_then(|records| records.oldest).map(rfc3339),
            "newest_ts": records.and_then(|records| records.newest).map(rfc3339),
            "consumers": consumers.collect::<Vec<_>>(),
        })
    }

    fn text(&self, now: Timestamp) -> String {
        let writer = match self.writer {
            None => "nobody writes to it".to_owned(),
            Some(None) => "written by a process".to_owned(),
            Some(Some(pid)) => format!("written by process {pid}"),
        };
        let mut text = format!(
            "spool {}: {writer}\n{}, {}\n",
            describe::printable(&self.path),
            words::counted(self.segments as u64, "segment"),
            cli::amount(self.bytes)
        );
        match &self.records {
            None => text += "no records\n",
            Some(records) => {
                let time = |time: Option<Timestamp>| time.map_or("no time".to_owned(), rfc3339);
                text += &format!(
                    "records {} to {}, {} to {}\n",
                    records.first,
                    records.last,
                    time(records.oldest),
                    time(records.newest)
                );
            }
        }
        if self.consumers.is_empty() {
            text += "no consumer has confirmed anything, so each start hands everything on again; end the pipeline in supd-notify, \
                     or use --confirm-on-write\n";
            return text;
        }
        let name = |consumer: &Consumer| consumer.name.len();
        let width = self.consumers.iter().map(name).max().unwrap_or_default();
        for consumer in &self.consumers {
            text += &format!("{:width$}  {}\n", consumer.name, consumer.text(now));
        }
        text
    }
}

impl Consumer {
    fn text(&self, now: Timestamp) -> String {
        let confirmed = match self.confirmed {
            None => "has confirmed nothing yet".to_owned(),
            Some(number) => format!("has confirmed up to {number}"),
        };
        let behind = match (self.behind, self.since) {
            (0, _) => "up to date".to_owned(),
            (behind, None) => format!("{behind} behind"),
            (behind, Some(since)) => {
                let age = now.duration_since(since).max(SignedDuration::ZERO);
                format!("{behind} behind, the oldest for {:#}", SignedDuration::from_secs(age.as_secs()))
            }
        };
        let runs = match self.holder {
            None => "not running".to_owned(),
            Some(None) => "running".to_owned(),
            Some(Some(pid)) => format!("running as process {pid}"),
        };
        format!("{confirmed}; {behind}; {runs}")
    }
}

fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// When the first record after this number was written, as it says itself.
fn time_of_first_after(number: u64, path: &Path, index: &Index) -> io::Result<Option<Timestamp>> {
    let mut lines = Vec::new();
    match Reader::after(number).read(&Directory::to_read(path), index, &mut lines) {
        // It has been removed since we looked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let line = lines.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let record = Record::from_line(line).ok();
    Ok(record.and_then(|record| record.ts?.parse().ok()))
}

//! Where records go that could not be delivered: a file of the records as they were, each with where to, why not, and
//! when. It may be rotated at any time, and several processes may write to it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use jiff::Timestamp;
use supd_core::append;

use crate::channel::file::write_line;
use crate::parcel::Letter;
use crate::tally::Tally;
use crate::undelivered::Undelivered;

/// The file. It is opened anew for each line, and locked meanwhile: `retry` moves it away, and what was written to it
/// after that would be lost.
pub(crate) struct DeadLetter {
    path: PathBuf,
    unwritten: AtomicU64,
}

impl DeadLetter {
    /// Makes sure that the file can be written, before anything needs it.
    ///
    /// # Errors
    /// When it cannot, or another process keeps it locked; with the name.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        append::lock(path).with_context(|| format!("open dead letter file '{}'", path.display()))?;
        Ok(Self { path: path.to_owned(), unwritten: AtomicU64::new(0) })
    }

    /// Adds a letter that a target did not get.
    ///
    /// # Errors
    /// As [`DeadLetter::append`].
    pub(crate) fn write(&self, letter: &Letter, target: &str, reason: &str) -> anyhow::Result<()> {
        self.append(&Undelivered::new(target, reason, Timestamp::now()).added_to(letter))
    }

    /// Adds a line as it is, or nothing of it.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn append(&self, line: &[u8]) -> anyhow::Result<()> {
        let written = append::lock(&self.path).and_then(|mut file| write_line(&mut file, line));
        if written.is_err() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        written.with_context(|| format!("write dead letter file '{}'", self.path.display()))
    }

    /// How many lines could not be written.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Waits until what was written is on disk; what was moved away meanwhile is another's to look after.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        match File::open(&self.path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced.with_context(|| format!("sync dead letter file '{}'", self.path.display())),
        }
    }
}

/// Puts a letter where it can be found: the dead letter file, or where messages go.
pub(crate) fn bury(
    letter: &Letter,
    target: &str,
    reason: &str,
    dead_letter: Option<&DeadLetter>,
    tally: &Tally,
) {
    tally.dead.add(1);
    let why_here = match dead_letter.map(|dead_letter| dead_letter.write(letter, target, reason)) {
        Some(Ok(())) => return,
        Some(Err(error)) => format!("{error:#}"),
        None => "there is no --dead-letter".to_owned(),
    };
    log::error!("{why_here}; so here is the record: {}", String::from_utf8_lossy(&letter.line));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use supd_core::Record;

    use super::*;
    use crate::parcel::parcel;

    #[test]
    fn each_line_is_a_record_that_says_where_to_why_not_and_when() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead.ndjson");
        let dead = DeadLetter::open(&path).unwrap();
        let letter = &parcel(r#"{ "eventname":"TICK_5", "when":5 }"#).letters()[0].clone();
        dead.write(letter, "slack", "404").unwrap();
        fs::rename(&path, dir.path().join("dead.1")).unwrap();
        dead.write(letter, "pager", "503").unwrap();
        for (name, expected) in [("dead.1", ("slack", "404")), ("dead.ndjson", ("pager", "503"))] {
            let line = fs::read_to_string(dir.path().join(name)).unwrap();
            assert!(line.starts_with(r#"{ "eventname":"TICK_5", "when":5 ,"undelivered":{"target":""#));
            let record = Record::from_line(line.as_bytes()).unwrap();
            let undelivered = &record.extra["undelivered"];
            let said = |key: &str| undelivered[key].as_str().unwrap();
            assert_eq!((said("target"), said("reason")), expected);
            said("time").parse::<Timestamp>().unwrap();
        }
        assert_eq!(dead.unwritten(), 0);
    }
}

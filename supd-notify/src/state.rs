//! What a target remembers across a restart, in a file of its own: who was told what, what is still open, which records
//! beyond the cursor have been dealt with and, where there is no spool, the records that wait.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use supd_core::replace::{self, Survives};
use supd_core::spool::{Asked, Lock};

use crate::dispatch::Snapshot;

/// The state is written at most so often.
const PAUSE: Duration = Duration::from_millis(100);
/// Writing it takes at most this part of the time, however much there is to remember.
const SHARE: u32 = 10;
/// After an attempt that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What stands in the file, as JSON.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// What the cursor is to say. One that says less was moved back, to have records again, or there was no time to write
    /// it: then some come twice.
    pub(crate) cursor: u64,
    /// The largest number that came; those up to it that do not wait have been dealt with.
    pub(crate) highest: u64,
    /// The numbers that wait.
    pub(crate) waiting: Vec<u64>,
    pub(crate) dispatcher: Snapshot,
    /// Records that wait and stand nowhere else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<String>,
}

/// The file.
struct StateFile {
    path: PathBuf,
    /// What it holds.
    written: Vec<u8>,
}

impl StateFile {
    /// Reads what an earlier program left; one that cannot be read is said, and counts as nothing.
    ///
    /// # Errors
    /// When the directory cannot be written, for another reason than that the disk is full: that passes, and what is to
    /// be delivered may be just that.
    fn open(path: &Path) -> anyhow::Result<(Self, State)> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text.with_context(|| format!("read state '{}'", path.display()))?,
        };
        let mut state = State::default();
        if !text.is_empty() {
            match serde_json::from_slice(&text) {
                Ok(read) => state = read,
                Err(error) => {
                    log::warn!("read state '{}': {error}; what was open before is not known", path.display());
                }
            }
        }
        let file = Self { path: path.to_owned(), written: text };
        match file.put(&file.written) {
            Err(error) if !is_of_a_full_disk(&error) => Err(error),
            _ => Ok((file, state)),
        }
    }

    /// Puts the state into place in one step, if it has changed.
    ///
    /// # Errors
    /// The system's, with the name.
    fn write(&mut self, state: &State) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(state).expect("it has no keys but strings");
        text.push(b'\n');
        if text != self.written {
            self.put(&text)?;
            self.written = text;
        }
        Ok(())
    }

    fn put(&self, text: &[u8]) -> anyhow::Result<()> {
        // Log text may stand in it.
        replace::put(&self.path, text, 0o600, Survives::PowerFailure)
            .with_context(|| format!("write state '{}'", self.path.display()))
    }
}

/// The file, and when to write it.
pub(crate) struct Memory {
    file: StateFile,
    due: Option<Instant>,
    written: Instant,
    /// It is not written before this, for the sake of what else there is to do.
    not_before: Instant,
    is_failing: bool,
}

impl Memory {
    /// As [`StateFile::open`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn open(path: &Path, now: Instant) -> anyhow::Result<(Self, State)> {
        let (file, state) = StateFile::open(path)?;
        Ok((Self { file, due: None, written: now, not_before: now, is_failing: false }, state))
    }

    /// Asks to be the only one who has this state, where no consumer's place in a spool sees to that.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn lock(path: &Path) -> anyhow::Result<Asked<Lock>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Lock::ask(&path.with_file_name(format!(".{name}.lock")))
    }

    /// When there is something to write.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is not to be written before this.
    pub(crate) fn not_before(&self) -> Instant {
        self.not_before
    }

    /// There is something to write.
    pub(crate) fn changed(&mut self) {
        self.due.get_or_insert(self.written + PAUSE);
    }

    /// Writes the state, on which work began `now`. That it cannot be written is no reason not to deliver.
    pub(crate) fn write(&mut self, state: &State, now: Instant) {
        let written = self.file.write(state);
        self.due = None;
        self.written = now;
        self.not_before = now + now.elapsed() * SHARE;
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.due = Some(now + PAUSE_AFTER_FAILURE);
                if !std::mem::replace(&mut self.is_failing, true) {
                    log::warn!("{error:#}; until it can be, a restart does not know what was told");
                }
            }
        }
    }
}

/// That passes, and what is to be delivered may be just that.
fn is_of_a_full_disk(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_damaged_counts_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (mut file, state) = StateFile::open(&path).unwrap();
        assert_eq!(state, State::default());
        let state = State { cursor: 3, highest: 7, waiting: vec![4, 6], ..State::default() };
        file.write(&state).unwrap();
        assert_eq!(StateFile::open(&path).unwrap().1, state);
        for damaged in [&b"{\"cursor\":"[..], b"\0\0", b"\xff\xfe"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(StateFile::open(&path).unwrap().1, State::default());
        }
        StateFile::open(&dir.path().join("no/such")).err().unwrap();
        // Root could put a file in its place.
        let error = StateFile::open(Path::new("/dev/null")).err().unwrap();
        assert_eq!(format!("{error:#}"), "write state '/dev/null': it is no regular file");
    }

    #[test]
    fn a_full_disk_keeps_nobody_from_starting() {
        let error =
            |kind: io::ErrorKind| anyhow::Error::from(io::Error::from(kind)).context("write state 'x'");
        assert!(is_of_a_full_disk(&error(io::ErrorKind::StorageFull)));
        assert!(!is_of_a_full_disk(&error(io::ErrorKind::PermissionDenied)));
    }
}

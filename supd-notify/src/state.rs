//! What a target remembers across a restart, in a file of its own: who was told what, what is still open, which records
//! beyond the cursor have been dealt with and, where there is no spool, the records that wait.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::dispatch::Snapshot;

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
pub(crate) struct StateFile {
    path: PathBuf,
    /// What it holds.
    written: String,
}

impl StateFile {
    /// Reads what an earlier program left; one that cannot be read is said, and counts as nothing.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, State)> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("read state '{}'", path.display()))?,
        };
        let mut state = State::default();
        if !text.is_empty() {
            match serde_json::from_str(&text) {
                Ok(read) => state = read,
                Err(error) => {
                    log::warn!("read state '{}': {error}; what was open before is not known", path.display());
                }
            }
        }
        let file = Self { path: path.to_owned(), written: text };
        file.put(&file.written)?;
        Ok((file, state))
    }

    /// Puts the state into place in one step, if it has changed.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn write(&mut self, state: &State) -> anyhow::Result<()> {
        let text = serde_json::to_string(state).expect("it has no keys but strings") + "\n";
        if text != self.written {
            self.put(&text)?;
            self.written = text;
        }
        Ok(())
    }

    fn put(&self, text: &str) -> anyhow::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let new = self.path.with_file_name(format!(".{name}.new"));
        let write = || {
            let mut file = private(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("write state '{}'", self.path.display()))
    }
}

/// Log text may stand in it.
fn private(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
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
        fs::write(&path, "{\"cursor\":").unwrap();
        assert_eq!(StateFile::open(&path).unwrap().1, State::default());
        StateFile::open(&dir.path().join("no/such")).err().unwrap();
    }
}

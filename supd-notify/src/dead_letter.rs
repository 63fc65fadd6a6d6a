//! Where records go that could not be delivered: a file of the records as they were.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::channel::file::append_line;

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

    pub(crate) fn write(&self, line: &[u8]) -> anyhow::Result<()> {
        append_line(&self.path, line)
            .with_context(|| format!("write dead letter file '{}'", self.path.display()))
    }
}

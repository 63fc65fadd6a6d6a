//! A file with a text that the command line names.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;

/// A file whose text is read once, however many ask for it: it may be a pipe, as `<(…)` gives.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    path: PathBuf,
    text: Arc<OnceLock<String>>,
}

impl TextFile {
    /// What messages call it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its text; an error says what was to be read.
    ///
    /// # Errors
    /// The system's, with the name; that it is no UTF-8.
    pub(crate) fn text(&self, what: &str) -> anyhow::Result<&str> {
        if let Some(text) = self.text.get() {
            return Ok(text);
        }
        let text = fs::read_to_string(&self.path)
            .with_context(|| format!("read {what} '{}'", self.path.display()))?;
        Ok(self.text.get_or_init(|| text))
    }
}

impl From<OsString> for TextFile {
    fn from(path: OsString) -> Self {
        Self { path: path.into(), text: Arc::default() }
    }
}

//! Secrets: from a file or the environment, never from the command line, where every user of the machine sees them.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use secrecy::SecretString;
use serde::Deserialize;

/// Where a secret is: `{ env = "VARIABLE" }` or `{ file = "PATH" }` in a configuration; a file on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// A variable of the environment.
    Env(String),
    /// A file, whose whole content it is.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(Self::File(path.into()))
    }
}

/// Reads a secret from its source, else from the variable that is usual for it; `None` when there is none. Blanks around
/// it do not count.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(what: &str, source: Option<&Source>, usual: &str) -> anyhow::Result<Option<SecretString>> {
    let text = match source {
        Some(Source::File(path)) => {
            Some(fs::read_to_string(path).with_context(|| format!("read {what} file '{}'", path.display()))?)
        }
        Some(Source::Env(variable)) => std::env::var(variable).ok(),
        None => std::env::var(usual).ok(),
    };
    let trimmed = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(trimmed.map(SecretString::from))
}

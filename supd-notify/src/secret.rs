//! Secrets: from a file or the environment, never from the command line, where every user of the machine sees them.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use secrecy::SecretString;

/// Reads a secret from a file, else from a variable; `None` when neither is given. Blanks around it do not count.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(what: &str, file: Option<&Path>, variable: &str) -> anyhow::Result<Option<SecretString>> {
    let text = match file {
        Some(path) => {
            Some(fs::read_to_string(path).with_context(|| format!("read {what} file '{}'", path.display()))?)
        }
        None => std::env::var(variable).ok(),
    };
    let trimmed = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(trimmed.map(SecretString::from))
}

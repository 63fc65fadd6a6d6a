//! Secrets: from a file or the environment, never from the command line, where every user of the machine sees them.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use serde::Deserialize;
use supd_core::cli::Usage;

/// Where a secret is: `{ env = "VARIABLE" }` or `{ file = "PATH" }` in a configuration; a file on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub(crate) enum Source {
    /// A variable of the environment.
    Env(String),
    /// A file, whose whole content it is.
    File(PathBuf),
    /// There is none, whatever the usual variable holds.
    Nowhere,
}

/// For a configuration that names none: with several targets, one's secret must not reach another.
pub(crate) fn none() -> Option<Source> {
    Some(Source::Nowhere)
}

/// The same as it is written; whoever writes the secret itself is not shown it again.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[serde(
    expecting = "a secret stands in a variable or in a file: { env = \"VARIABLE\" } or { file = \"PATH\" }"
)]
enum Written {
    Env { env: String },
    File { file: PathBuf },
}

impl From<Written> for Source {
    fn from(written: Written) -> Self {
        match written {
            Written::Env { env } => Self::Env(env),
            Written::File { file } => Self::File(file),
        }
    }
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
/// When the file cannot be read; [`Usage`] when the variable that was named is not set.
pub(crate) fn read(what: &str, source: Option<&Source>, usual: &str) -> anyhow::Result<Option<SecretString>> {
    let text = match source {
        // The secret itself, by mistake: it is not to be shown.
        Some(Source::File(path)) if path.to_string_lossy().contains("://") => {
            bail!(Usage(format!("read {what} file: a URL stands where the path of a file belongs")))
        }
        Some(Source::File(path)) => {
            Some(fs::read_to_string(path).with_context(|| format!("read {what} file '{}'", path.display()))?)
        }
        Some(Source::Env(variable)) => match std::env::var(variable) {
            Ok(text) if !text.trim().is_empty() => Some(text),
            _ => bail!(Usage(format!("read {what}: the variable {variable} is not set"))),
        },
        Some(Source::Nowhere) => None,
        None => std::env::var(usual).ok(),
    };
    let trimmed = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(trimmed.map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_the_place_of_its_file_is_not_shown() {
        let source = "https://hooks.example/s3cret".parse().unwrap();
        let error = read("URL", Some(&source), "SUPD_TEST_UNSET").unwrap_err();
        assert_eq!(error.to_string(), "read URL file: a URL stands where the path of a file belongs");
        assert!(error.is::<Usage>());
    }
}

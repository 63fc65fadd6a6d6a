//! A file to which records are appended as they came.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use supd_core::append;

use super::{Audience, Channel, Failure, Receipt};
use crate::parcel::Parcel;

/// Append each record to a file
///
/// The file is opened anew for each record, so it can be rotated at any time.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The file; it is created when missing
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

pub(crate) struct Append {
    path: PathBuf,
}

impl Append {
    pub(crate) fn new(args: &Args) -> Self {
        Self { path: args.path.clone() }
    }
}

impl Channel for Append {
    fn name(&self) -> &'static str {
        "file"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(parcel.line()).into_owned())
    }

    fn deliver(&mut self, parcel: &Parcel, _timeout: Duration) -> Result<Receipt, Failure> {
        append::open(&self.path)
            .and_then(|mut file| write_line(&mut file, parcel.line()))
            .map(|()| Receipt(format!("appended to '{}'", self.path.display())))
            .map_err(|error| Failure::temporary(format!("append to '{}': {error}", self.path.display())))
    }
}

/// Appends a line and its newline, whole or not at all: what a full disk cuts is taken back.
///
/// # Errors
/// The system's.
pub(crate) fn write_line(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    let result = file.write_all(&[line, b"\n"].concat());
    if result.is_err() {
        // Where this fails too (a device), the first error says more.
        let _ = file.set_len(before);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    #[test]
    fn records_are_appended_as_they_came_across_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        let mut channel = Append { path: path.clone() };
        let line = r#"{ "eventname":"TICK_5" }"#;
        channel.deliver(&parcel(line), Duration::ZERO).unwrap();
        std::fs::rename(&path, dir.path().join("out.1")).unwrap();
        channel.deliver(&parcel(line), Duration::ZERO).unwrap();
        channel.deliver(&parcel(line), Duration::ZERO).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{line}\n{line}\n"));
    }

    #[test]
    fn a_full_disk_is_worth_another_attempt() {
        let failure =
            Append { path: "/dev/full".into() }.deliver(&parcel(r#"{"eventname":"E"}"#), Duration::ZERO);
        assert!(
            matches!(failure, Err(Failure::Temporary { reason, .. }) if reason.contains("No space left"))
        );
    }
}

//! `check-config`: all that is wrong with a configuration, or what it would do.

use std::path::Path;

use supd_core::{cli, stdio};

use super::{plan, words};
use crate::args::Args;

/// Says what is wrong on standard error, else what would be done on standard output; the exit status is 2 or 0.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn check(path: &Path, args: &Args) -> anyhow::Result<u8> {
    match plan(path, args) {
        Ok((plan, warnings)) => {
            warnings.iter().for_each(|warning| log::warn!("{warning}"));
            stdio::print(words::of_plan(&plan).as_bytes())?;
            Ok(cli::DONE)
        }
        Err(problems) => {
            problems.errors().iter().for_each(|error| log::error!("{error}"));
            Ok(cli::USAGE)
        }
    }
}

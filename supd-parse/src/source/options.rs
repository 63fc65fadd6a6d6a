//! The options that say what is read, and how.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use supd_core::cli;
use supd_core::reader::Form;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputOptions {
    /// Files to read, or spool directories; '-' for standard input; standard input when there are none
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Go on with what is written to the files later, through rotation, until SIGTERM; files that are not there yet are
    /// waited for
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Form of the input
    #[arg(long, value_enum, default_value = "auto", value_name = "FORM")]
    pub(crate) from: Form,

    /// Read large files with N cores; with as many as there are, at most 4, unless given
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// After SIGTERM, read on to the end of input for at most this long
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "6s")]
    pub(crate) drain_timeout: Duration,
}

impl InputOptions {
    /// Whether standard input alone is read.
    pub(crate) fn is_stdin(&self) -> bool {
        self.files.iter().all(|path| path.as_os_str() == "-")
    }
}

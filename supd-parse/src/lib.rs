//! `supd-parse`: reads records (or raw protocol captures), filters them, and writes them in another form.

pub mod args;
mod chain;
mod format;
mod item;
#[cfg(feature = "jq")]
mod jq;
#[cfg(not(feature = "jq"))]
#[path = "no_jq.rs"]
mod jq;
mod lane;
mod limit;
mod output;
mod problems;
mod select;
mod source;
mod text_file;
mod track;

use std::process::ExitCode;

use supd_core::{arguments, cli, stdio};

use crate::args::Args;
use crate::source::Stream;

const NAME: &str = "supd-parse";

/// The program: its exit status is 0 when all was read (or the reader of its output left), 1 when a line or a file
/// was not, 2 for wrong usage.
pub fn main() -> ExitCode {
    let args = arguments::parse::<Args>(NAME);
    args.verbosity.start(NAME);
    cli::run(NAME, || parse(&args))
}

fn parse(args: &Args) -> anyhow::Result<u8> {
    stdio::refuse_supervisords_pipe()?;
    let status = Stream::new(args)?.read()?;
    Ok(status.max(args.output.status()))
}

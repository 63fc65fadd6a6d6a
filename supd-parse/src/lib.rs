//! `supd-parse`: reads records (or raw protocol captures), filters them, and writes them in another form.

pub mod args;
mod chain;
mod format;
mod item;
mod lane;
mod limit;
mod output;
mod problems;
mod select;
mod source;
mod track;

use std::cell::Cell;
use std::process::ExitCode;

use anyhow::Context as _;
use supd_core::input::{self, Watch};
use supd_core::{arguments, cli, stdio};

use crate::args::Args;
use crate::output::Output;

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
    let input = &args.input;
    let watch = Watch::default().with_sigterm(input.drain_timeout).context("catch SIGTERM")?;
    let mut watch = watch.with_stdout();
    let mut output = Output::default();
    let mut lane = args.lane()?;
    lane.chain.begin(&mut output.buf);
    let more = Cell::new(true);
    let mut read = |source: anyhow::Result<input::Source>| {
        let read = source::read(source?, input.from, &mut watch, &mut lane, &mut output)?;
        more.set(read.flow.is_continue());
        Ok(read.malformed)
    };
    let sources = input::sources(&input.files).take_while(|_| more.get());
    let status = cli::each_file(sources.map(&mut read))?;
    lane.chain.end(&mut output.buf);
    output.flush()?;
    Ok(status)
}

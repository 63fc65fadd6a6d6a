//! `supd-parse`: reads records (or raw protocol captures), filters them, and writes them in another form.

pub mod args;
mod filter;
mod format;
mod problems;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use supd_core::input::{self, Watch};
use supd_core::reader::{Item, Reader};
use supd_core::{Kind, arguments, cli, stdio};

use crate::args::Args;
use crate::filter::Filter;
use crate::format::Format;

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
    let watch = Watch::default().with_sigterm(args.drain_timeout).context("catch SIGTERM")?;
    let mut watch = watch.with_stdout();
    let mut output = Output { format: args.format(), buf: Vec::new() };
    let mut filter = args.filter();
    output.format.begin(&mut output.buf);
    let sources = input::sources(&args.files);
    let status =
        cli::each_file(sources.map(|source| read(source?, args, &mut watch, &mut filter, &mut output)))?;
    output.format.end(&mut output.buf);
    output.flush()?;
    Ok(status)
}

/// Reads one source to its end; how many of its lines were malformed.
fn read(
    mut source: input::Source,
    args: &Args,
    watch: &mut Watch,
    filter: &mut Filter,
    output: &mut Output,
) -> anyhow::Result<u64> {
    let mut reader = Reader::new(args.from, source.name());
    loop {
        let ended = reader.take(source.read(watch, &mut || output.flush())?);
        reader.each(|item| output.take(item, filter))?;
        if ended {
            return Ok(reader.malformed());
        }
    }
}

/// What is on its way to standard output.
struct Output {
    format: Box<dyn Format>,
    buf: Vec<u8>,
}

impl Output {
    fn take(&mut self, mut item: Item<'_>, filter: &mut Filter) -> anyhow::Result<()> {
        // Marks are for the consumers of a spool, who must see them whatever is filtered.
        let passes = item.record.kind() == Kind::Mark || filter.passes(&mut item);
        if passes {
            self.format.write(&item, &mut self.buf);
        }
        if self.buf.len() > 64 * 1024 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.buf).and_then(|()| stdout.flush());
        self.buf.clear();
        written.map_err(stdio::stdout_error)
    }
}

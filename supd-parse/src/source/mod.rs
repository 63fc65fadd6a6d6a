//! Where records come from: files, spools and standard input, one after another.

mod blocks;
mod follow;
mod inputs;
pub(crate) mod options;
mod parallel;

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::fs::FileType;
use supd_core::cli;
use supd_core::input::{Source, Watch};
use supd_core::reader::{Piece, Reader, Rejects};

use crate::args::Args;
use crate::item::Item;
use crate::lane::{self, Lane};
use crate::output::Output;
use inputs::Input;

/// So much is read at once, if it is there. Larger blocks leave the processor's second cache, smaller ones cost calls.
const BLOCK: usize = 128 * 1024;

/// All that is read goes through here, and what comes of it goes out.
pub(crate) struct Stream<'a> {
    args: &'a Args,
    /// When it began: each lane selects by the same time.
    now: Timestamp,
    watch: Watch,
    lane: Lane,
    output: Output,
    /// How often a filter failed at what only time tells.
    failures: u64,
    /// How many lines were no records, of all that is followed.
    malformed: u64,
    /// Whether more is wanted.
    flow: ControlFlow<()>,
}

impl<'a> Stream<'a> {
    /// Catches SIGTERM, and writes what comes before the first record.
    ///
    /// # Errors
    /// When the signal cannot be caught.
    pub(crate) fn new(args: &'a Args) -> anyhow::Result<Self> {
        let watch = Watch::default().with_sigterm(args.input.drain_timeout).context("catch SIGTERM")?;
        let now = Timestamp::now();
        let mut lane = args.lane(now)?;
        let mut output = Output::default();
        lane.chain.begin(&mut output.buf);
        Ok(Self {
            args,
            now,
            watch: watch.with_stdout(),
            lane,
            output,
            failures: 0,
            malformed: 0,
            flow: ControlFlow::Continue(()),
        })
    }

    /// Reads all that the command line names; the exit status.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn read(mut self) -> anyhow::Result<u8> {
        let status = if follow::is_wanted(&self)? {
            follow::run(&mut self)?
        } else {
            let inputs = inputs::of(&self.args.input.files);
            cli::each_file(inputs.map(|input| self.read_input(&input?)))?
        };
        self.end()?;
        Ok(if self.failures > 0 { cli::FAILED } else { status })
    }

    /// Writes what comes after the last record.
    fn end(&mut self) -> anyhow::Result<()> {
        self.lane.chain.end(&mut self.output.buf);
        self.output.flush()
    }

    /// How many lines of it were no records.
    fn read_input(&mut self, input: &Input) -> anyhow::Result<u64> {
        if self.flow.is_break() {
            return Ok(0);
        }
        let Some(mut source) = input.open()? else { return Ok(0) };
        if is_output(&source) {
            bail!("read '{}': it is the output as well, and would never end; skipped", source.name());
        }
        let mut reader = Reader::new(self.args.input.from, source.name());
        parallel::read(self, &source, &mut reader)?;
        while self.flow.is_continue() {
            let bytes = source.read_into(reader.room(BLOCK), &mut self.watch, &mut || {
                let next = silence(&mut self.lane, &mut self.output, &mut self.failures)?;
                if next.is_break() {
                    self.flow = ControlFlow::Break(());
                }
                Ok(next)
            })?;
            if bytes == 0 && input.may_be_torn() {
                let (torn, name) = (reader.unread(), reader.name());
                if torn > 0 {
                    log::debug!("read '{name}': {torn} bytes of a line that is being written are left out");
                }
            }
            let ended = reader.filled(bytes);
            self.take(&mut reader)?;
            if ended {
                break;
            }
        }
        Ok(reader.malformed())
    }

    /// Whether the time after SIGTERM is up, without waiting; says so.
    fn has_no_time(&mut self, name: &str) -> anyhow::Result<bool> {
        self.watch.wait(None, Some(Instant::now()))?;
        let is_over = self.watch.is_over();
        if is_over {
            self.watch.say_it_is_over(name);
            self.flow = ControlFlow::Break(());
        }
        Ok(is_over)
    }

    /// Takes all that has come whole.
    fn take(&mut self, reader: &mut Reader) -> anyhow::Result<()> {
        reader.each_piece(|piece, rejects| match piece {
            _ if self.flow.is_break() => Ok(0),
            Piece::Lines(first, block) => self.take_lines(first, block, rejects),
            Piece::Record(record) => {
                let serial = record.serial.unwrap_or_default();
                let taken = self.lane.chain.take(Item::from(*record), &mut self.output.buf);
                self.flow = taken.unwrap_or_else(|error| {
                    rejects.add_event(serial, &error.to_string());
                    lane::flow_after(&error)
                });
                self.output.write().map(|()| 0)
            }
        })
    }

    fn take_lines(&mut self, first: u64, block: &[u8], rejects: &mut Rejects) -> anyhow::Result<u64> {
        let (mut lines, mut rest) = (0, block);
        while !rest.is_empty() && self.flow.is_continue() {
            let outcome = self.lane.take(rest, &mut self.output.buf)?;
            outcome.malformed.iter().for_each(|line| rejects.add(first + lines + line.number, &line.reason));
            self.flow = outcome.flow;
            lines += outcome.lines;
            rest = &rest[outcome.taken..];
            self.output.write()?;
        }
        Ok(lines)
    }
}

/// Whether what is written goes to the end of what is read.
fn is_output(source: &Source) -> bool {
    let file = |fd: BorrowedFd<'_>| {
        let stat = rustix::fs::fstat(fd).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some((stat.st_dev, stat.st_ino))
    };
    let input = file(source.as_fd());
    input.is_some() && input == file(io::stdout().as_fd())
}

/// There is nothing to read: all that can be written is. Gives when to look again, though nothing may have come; breaks
/// off when nothing more is wanted.
fn silence(
    lane: &mut Lane,
    output: &mut Output,
    failures: &mut u64,
) -> anyhow::Result<ControlFlow<(), Option<Instant>>> {
    let flow = lane.chain.idle(&mut output.buf).unwrap_or_else(|error| {
        *failures += 1;
        log::error!("{error:#}; what only time tells is left out");
        lane::flow_after(&error)
    });
    output.flush()?;
    Ok(match flow {
        ControlFlow::Continue(()) => ControlFlow::Continue(lane.chain.next_due()),
        ControlFlow::Break(()) => ControlFlow::Break(()),
    })
}

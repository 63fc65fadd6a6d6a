//! Several cores on one file. Each takes every n-th part of it down a lane of its own, as far as one record can be dealt
//! with without the others; the rest happens here, in order, as if there were one.
//!
//! ```text
//! part 0, 2, 4 … ─▶ lane ─┐
//!                         ├─▶ in order: the rest of the chain ─▶ output
//! part 1, 3, 5 … ─▶ lane ─┘
//! ```

use std::fs::File;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, Scope};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::fs::{FileType, SeekFrom};
use supd_core::input::Source;
use supd_core::reader::{self, Reader};

use super::blocks::{Block, Blocks};
use super::{BLOCK, Stream};
use crate::args::Args;
use crate::lane::{Lane, Malformed, Outcome};

/// A file that is smaller is read before the threads have begun.
const WORTH_IT: u64 = 8 * BLOCK as u64;
/// More cores than these wait for each other.
const USUAL_JOBS: usize = 4;
/// Enough to recognise a file's form by, whatever blanks come first.
const START: usize = 4 * 1024;

/// What a lane made of one part of a file.
struct Done {
    out: Vec<u8>,
    /// How many lines there were.
    lines: u64,
    /// Where they end, if there were any.
    end: Option<u64>,
    outcome: anyhow::Result<Outcome>,
    /// Whether no other part is to be read so.
    is_last: bool,
}

/// A lane with its thread, as the one who puts things in order knows it.
struct Worker {
    done: Receiver<Done>,
    /// Memory that it can use again.
    spent: Sender<Vec<u8>>,
}

/// What all lanes read.
struct Work<'a> {
    args: &'a Args,
    now: Timestamp,
    file: File,
    /// What messages call it.
    name: String,
    /// Where its lines begin.
    begin: u64,
    /// Where it ended when it was looked at.
    end: u64,
    jobs: u64,
}

/// Reads a file with several cores, where that can be done and is worth it; leaves the source where it has stopped, which
/// is where the last whole line ends, and the reader ready for what is left.
///
/// # Errors
/// The system's; a lane's.
pub(super) fn read(stream: &mut Stream<'_>, source: &Source, reader: &mut Reader) -> anyhow::Result<()> {
    let Some(work) = plan(stream, source).with_context(|| format!("read '{}'", source.name()))? else {
        return Ok(());
    };
    let (mut lines, mut end) = (0, work.begin);
    thread::scope(|scope| -> anyhow::Result<()> {
        let start = |number| Worker::start(scope, &work, number);
        let workers: Vec<Worker> = (0..work.jobs).map(start).collect::<Result<_, _>>()?;
        for worker in workers.iter().cycle() {
            let Ok(done) = worker.done.recv() else { break };
            if stream.has_no_time(source.name())? {
                break;
            }
            end = done.end.unwrap_or(end);
            let (new_lines, is_last) = (done.lines, done.is_last);
            let out = stream.take_done(done, lines, reader)?;
            lines += new_lines;
            if is_last || stream.flow.is_break() {
                break;
            }
            // It has ended where nobody takes it.
            let _ = worker.spent.send(out);
        }
        Ok(())
    })?;
    reader.resume_after(lines);
    rustix::fs::seek(source, SeekFrom::Start(end)).with_context(|| format!("read '{}'", source.name()))?;
    Ok(())
}

/// What there is to do, unless one core does it as well.
fn plan<'a>(stream: &Stream<'a>, source: &Source) -> anyhow::Result<Option<Work<'a>>> {
    let args = stream.args;
    let usual = || thread::available_parallelism().map_or(1, NonZeroUsize::get).min(USUAL_JOBS);
    let jobs = args.input.jobs.map_or_else(usual, NonZeroUsize::get);
    if jobs == 1 || !stream.lane.chain.divides() {
        return Ok(None);
    }
    let stat = rustix::fs::fstat(source)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let position = rustix::fs::tell(source)?;
    let end = u64::try_from(stat.st_size)?;
    if end.saturating_sub(position) < WORTH_IT {
        return Ok(None);
    }
    let file = File::from(source.as_fd().try_clone_to_owned()?);
    let mut start = Vec::with_capacity(START);
    rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut start), position)?;
    let lines_begin = reader::lines_begin(args.input.from, &start);
    Ok(lines_begin.map(|at| Work {
        args,
        now: stream.now,
        file,
        name: source.name().to_owned(),
        begin: position + at as u64,
        end,
        jobs: jobs as u64,
    }))
}

impl Done {
    fn failed(out: Vec<u8>, error: anyhow::Error) -> Self {
        Self { out, lines: 0, end: None, outcome: Err(error), is_last: true }
    }
}

impl Worker {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        work: &'scope Work<'_>,
        number: u64,
    ) -> anyhow::Result<Self> {
        // One part waits while the next is being worked on.
        let (done, results) = sync_channel(1);
        let (spent, memory) = channel();
        let run = move || work.run(number, &done, &memory);
        thread::Builder::new().spawn_scoped(scope, run).context("start a thread")?;
        Ok(Self { done: results, spent })
    }
}

impl Work<'_> {
    /// A thread's work: every n-th part, from this one on, until there is no more or nobody wants it.
    fn run(&self, number: u64, done: &SyncSender<Done>, memory: &Receiver<Vec<u8>>) {
        let mut lane = match self.args.lane(self.now) {
            Ok(lane) => lane.into_front(),
            Err(error) => {
                // Nobody waits for more when it cannot be sent.
                let _ = done.send(Done::failed(Vec::new(), error));
                return;
            }
        };
        let mut blocks = Blocks::default();
        for number in (number..).step_by(usize::try_from(self.jobs).expect("it was one")) {
            let start = self.begin + number * BLOCK as u64;
            if start >= self.end {
                return;
            }
            let part = start..(start + BLOCK as u64).min(self.end);
            let mut out = memory.try_recv().unwrap_or_default();
            out.clear();
            let result = match blocks.read(&self.file, part, number == 0) {
                Ok(block) => take(&mut lane, &block, out),
                Err(error) => {
                    Done::failed(out, anyhow::Error::new(error).context(format!("read '{}'", self.name)))
                }
            };
            let is_last = result.is_last;
            if done.send(result).is_err() || is_last {
                return;
            }
        }
    }
}

fn take(lane: &mut Lane, block: &Block<'_>, mut out: Vec<u8>) -> Done {
    let outcome = take_all(lane, block.lines, &mut out);
    let lines = outcome.as_ref().map_or(0, |outcome| outcome.lines);
    let is_last = block.is_last || outcome.is_err();
    Done { out, lines, end: block.end, outcome, is_last }
}

/// However much comes of it, it waits for its turn.
fn take_all(lane: &mut Lane, lines: &[u8], out: &mut Vec<u8>) -> anyhow::Result<Outcome> {
    let mut all = lane.take(lines, out)?;
    while all.taken < lines.len() && all.flow.is_continue() {
        let next = lane.take(&lines[all.taken..], out)?;
        let moved = |line: Malformed| Malformed { number: all.lines + line.number, ..line };
        all.malformed.extend(next.malformed.into_iter().map(moved));
        all.lines += next.lines;
        all.taken += next.taken;
        all.flow = next.flow;
    }
    Ok(all)
}

impl Stream<'_> {
    /// Takes what a lane made of the part that comes next, after so many lines; gives its memory back.
    fn take_done(&mut self, done: Done, lines: u64, reader: &mut Reader) -> anyhow::Result<Vec<u8>> {
        let Done { out, outcome, .. } = done;
        let (malformed, flow, failure) = match outcome {
            Ok(outcome) => (outcome.malformed, outcome.flow, None),
            Err(error) => (Vec::new(), ControlFlow::Continue(()), Some(error)),
        };
        let mut taken = 0;
        for Malformed { number, at, reason } in malformed {
            self.take_passed(&out[taken..at])?;
            taken = at;
            // After the last record that is wanted, nothing is wrong.
            if self.flow.is_break() {
                return Ok(out);
            }
            reader.rejects().add(lines + 1 + number, &reason);
        }
        self.take_passed(&out[taken..])?;
        // The lane itself wants no more: a filter has halted.
        if flow.is_break() {
            self.flow = flow;
        }
        failure.map_or(Ok(out), Err)
    }

    /// Takes what a lane let pass.
    fn take_passed(&mut self, passed: &[u8]) -> anyhow::Result<()> {
        if self.lane.chain.is_stateless() {
            self.output.append(passed)?;
        } else {
            self.flow = self.lane.take_passed(passed, &mut self.output.buf)?;
        }
        self.output.write()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_part_that_cannot_be_read_is_said_with_the_name_of_its_file() {
        let args = Args::parse_from(["supd-parse"]);
        let dir = tempfile::tempdir().unwrap();
        // It is open for writing only.
        let file = File::create(dir.path().join("log")).unwrap();
        let (now, name) = (Timestamp::now(), "log".to_owned());
        let work = Work { args: &args, now, file, name, begin: 0, end: 1, jobs: 1 };
        let (done, results) = sync_channel(1);
        work.run(0, &done, &channel().1);
        let error = results.recv().unwrap().outcome.err().unwrap();
        assert_eq!(format!("{error:#}"), "read 'log': Bad file descriptor (os error 9)");
    }
}

//! Blocks of whole lines in, the chain's output out. What search can tell about the block as a whole is never read.

use std::iter;
use std::ops::ControlFlow;

use anyhow::anyhow;
use memchr::memchr_iter;
use supd_core::flat::Scanner;
use supd_core::reader;

use crate::chain::{Chain, Halted};
use crate::item::Item;
use crate::select::search::Search;

/// More than this is put away before another line is taken: a filter may make much of little.
const MOST_WRITTEN: usize = 1 << 20;

/// One way through the program; several of them can go side by side.
pub(crate) struct Lane {
    pub(crate) chain: Chain,
    reading: Reading,
    scanner: Scanner,
}

/// Which lines are read, and how.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// Those that a search finds: no other can pass. Of the others no more is asked than that they look like objects.
    Found(Box<Search>),
    /// Every line, as it stands where it is plain.
    Every,
    /// Every line as a whole, by a parser that knows all of JSON.
    Strict,
}

/// What came of a block.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Lines that are no records, or that a filter failed at.
    pub(crate) malformed: Vec<Malformed>,
    /// How many lines were taken, empty ones included.
    pub(crate) lines: u64,
    /// How many bytes they were: the rest is to be taken once what was written has been put away.
    pub(crate) taken: usize,
    /// Whether more is wanted.
    pub(crate) flow: ControlFlow<()>,
}

/// A line that nothing could be done with.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Its number in the block, from 0.
    pub(crate) number: u64,
    /// What was written up to here came before it.
    pub(crate) at: usize,
    pub(crate) reason: String,
}

impl Lane {
    pub(crate) fn new(chain: Chain, reading: Reading) -> Self {
        Self { chain, reading, scanner: Scanner::default() }
    }

    /// With the front of its chain only, as [`Chain::into_front`].
    pub(crate) fn into_front(self) -> Self {
        Self { chain: self.chain.into_front(), ..self }
    }

    /// Takes a block of whole lines, or as many of them as leave room for what comes of the next.
    ///
    /// # Errors
    /// The chain's.
    pub(crate) fn take(&mut self, block: &[u8], out: &mut Vec<u8>) -> anyhow::Result<Outcome> {
        let mut outcome =
            Outcome { malformed: Vec::new(), lines: 0, taken: block.len(), flow: ControlFlow::Continue(()) };
        if let Reading::Found(search) = &mut self.reading {
            search.restart();
        }
        let mut start = 0;
        for (number, end) in memchr_iter(b'\n', block).chain(iter::once(block.len())).enumerate() {
            // So many have ended before this one; behind the last newline there is none.
            outcome.lines = number as u64;
            let line = start..end;
            start = end + 1;
            if let Reading::Found(search) = &mut self.reading
                && is_object(&block[line.clone()])
                && !search.finds(block, &line)
            {
                continue;
            }
            let line = &block[line];
            if line.trim_ascii().is_empty() {
                continue;
            }
            let taken = match read(&self.reading, &mut self.scanner, line) {
                Ok(item) => self.chain.take(item, out),
                Err(error) => Err(anyhow!(reader::reason(&error))),
            };
            match taken {
                Ok(flow) => outcome.flow = flow,
                Err(error) => {
                    outcome.flow = flow_after(&error);
                    let reason = error.to_string();
                    outcome.malformed.push(Malformed { number: number as u64, at: out.len(), reason });
                }
            }
            if outcome.flow.is_break() {
                break;
            }
            if out.len() > MOST_WRITTEN && start < block.len() {
                (outcome.lines, outcome.taken) = (number as u64 + 1, start);
                break;
            }
        }
        Ok(outcome)
    }

    /// Takes what another lane, of a chain's front, has written.
    ///
    /// # Errors
    /// The chain's.
    pub(crate) fn take_passed(&mut self, lines: &[u8], out: &mut Vec<u8>) -> anyhow::Result<ControlFlow<()>> {
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let item = Item::read_any(&mut self.scanner, line);
            if self.chain.take_passed(item, out)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Whether more is to be read after a filter has failed.
pub(crate) fn flow_after(error: &anyhow::Error) -> ControlFlow<()> {
    if error.is::<Halted>() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn read<'a>(
    reading: &Reading,
    scanner: &'a mut Scanner,
    line: &'a [u8],
) -> Result<Item<'a>, serde_json::Error> {
    match reading {
        Reading::Found(_) | Reading::Every => Item::read(scanner, line),
        Reading::Strict => Item::read_whole(line),
    }
}

/// Whether a line looks like an object: a torn one, or one of something else, seldom does.
fn is_object(line: &[u8]) -> bool {
    let has_braces = |line: &[u8]| line.first() == Some(&b'{') && line.last() == Some(&b'}');
    has_braces(line) || has_braces(line.trim_ascii())
}

//! Records on their way out, as far as the sink has not taken them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use anyhow::Context as _;

use crate::retry::Retry;
use crate::sink::Sink;

/// What is kept of the memory that a large record took.
const KEPT: usize = 256 * 1024;

/// What became of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// All have been taken.
    Through,
    /// Some have not been taken yet.
    Waiting,
    /// Nobody takes them any more.
    Gone,
}

/// The sink, and the lines for it.
#[derive(Debug)]
pub(crate) struct Outbox {
    sink: Sink,
    lines: Vec<u8>,
    /// How much of the lines has been taken.
    taken: usize,
    retry: Retry,
}

impl Outbox {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { sink, lines: Vec::new(), taken: 0, retry: Retry::default() }
    }

    /// Where to put more lines, whole ones.
    pub(crate) fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    /// Whether all has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.len() == self.taken
    }

    /// Whether the sink has taken the beginning of a line and not its end.
    pub(crate) fn is_mid_line(&self) -> bool {
        !self.is_empty() && self.lines[..self.taken].last().is_some_and(|&byte| byte != b'\n')
    }

    /// Whether to wait for room in the sink.
    pub(crate) fn wants_room(&self) -> bool {
        !self.is_empty() && self.retry.at().is_none()
    }

    /// When to try again, after a failure.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry.at()
    }

    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The file is to be opened anew: it is being rotated.
    pub(crate) fn reopen(&mut self) {
        self.sink.reopen();
    }

    /// Writes what can be written now. A file that fails is tried again later, and meanwhile holds whole lines only.
    ///
    /// # Errors
    /// What a pipe fails with, other than that nobody reads it.
    pub(crate) fn flush(&mut self, now: Instant) -> anyhow::Result<Flow> {
        if self.retry.is_early(now) {
            return Ok(Flow::Waiting);
        }
        if self.taken == 0 {
            self.sink.follow();
        }
        while self.taken < self.lines.len() {
            match self.sink.write_some(&self.lines[self.taken..]) {
                Ok(0) => return Ok(Flow::Waiting),
                Ok(bytes) => self.taken += bytes,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Flow::Gone),
                Err(error) if !self.sink.has_reader() => {
                    self.put_off(&error, now);
                    return Ok(Flow::Waiting);
                }
                Err(error) => return Err(error).with_context(|| format!("write to {}", self.sink.name())),
            }
        }
        if self.retry.worked() {
            log::info!("write to {}: it works again", self.sink.name());
        }
        self.lines.clear();
        self.lines.shrink_to(KEPT);
        self.taken = 0;
        Ok(Flow::Through)
    }

    fn put_off(&mut self, error: &io::Error, now: Instant) {
        let of_line = self.lines[..self.taken].iter().rev().take_while(|&&byte| byte != b'\n').count();
        if self.sink.take_back(of_line) {
            self.taken -= of_line;
        }
        if self.retry.failed(now) {
            log::error!("write to {}: {error}; trying again until it works", self.sink.name());
        }
    }
}

impl AsFd for Outbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sink.as_fd()
    }
}

//! Reading a stream of lines with the manners of a filter: nothing that can be passed on waits, SIGTERM means "finish
//! what is coming, but not for ever", and a reader that leaves is noticed while the input is silent.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use thiserror::Error;

use crate::signals::{SIGTERM, SignalPipe};
use crate::stdio;

/// What else is watched while the input is silent.
#[derive(Debug, Default)]
pub struct Watch {
    /// SIGTERM, and for how long input is read after it.
    sigterm: Option<(SignalPipe, Duration)>,
    /// Set by SIGTERM: when to stop reading, ended or not.
    deadline: Option<Instant>,
    stdout: bool,
}

impl Watch {
    /// Catches SIGTERM, after which input is read for at most `drain_timeout`.
    ///
    /// # Errors
    /// When the signal cannot be caught.
    pub fn with_sigterm(self, drain_timeout: Duration) -> io::Result<Self> {
        Ok(Self { sigterm: Some((SignalPipe::watch(&[SIGTERM])?, drain_timeout)), ..self })
    }

    /// Notices when the reader of our standard output leaves.
    pub fn with_stdout(self) -> Self {
        Self { stdout: true, ..self }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// A file, or standard input.
#[derive(Debug)]
pub struct Source {
    file: File,
    name: String,
    buf: Vec<u8>,
}

impl Source {
    /// Opens a file; `-` and `None` are standard input.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let name = path.filter(|path| path.as_os_str() != "-").map(|path| path.display().to_string());
        let file = match (path, &name) {
            (Some(path), Some(_)) => File::open(path),
            _ => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        };
        let name = name.unwrap_or_else(|| "stdin".to_owned());
        let file = file.with_context(|| format!("open '{name}'"))?;
        Ok(Self { file, name, buf: vec![0; 64 * 1024] })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next bytes; empty at the end of input, or when SIGTERM's time is up.
    /// `before_waiting` is called when there is nothing to read yet: the moment to flush.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when the reader of our standard output has left; the system's.
    pub fn read(
        &mut self,
        watch: &mut Watch,
        before_waiting: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<&[u8]> {
        let mut ready = self.is_ready(watch, Some(Instant::now()))?;
        if !ready {
            before_waiting()?;
        }
        while !ready && !watch.is_over() {
            ready = self.is_ready(watch, watch.deadline)?;
        }
        if watch.is_over() {
            log::warn!("read '{}': the input goes on after SIGTERM; ending all the same", self.name);
            return Ok(&[]);
        }
        let bytes = loop {
            match self.file.read(&mut self.buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|error| self.error(error))?,
            }
        };
        Ok(&self.buf[..bytes])
    }

    /// Whether a read would not wait.
    ///
    /// # Errors
    /// The system's.
    pub fn has_input(&self) -> anyhow::Result<bool> {
        self.is_ready(&mut Watch::default(), Some(Instant::now()))
    }

    fn is_ready(&self, watch: &mut Watch, until: Option<Instant>) -> anyhow::Result<bool> {
        let stdout = io::stdout();
        let mut fds = vec![PollFd::new(&self.file, PollFlags::IN)];
        if let Some((sigterm, _)) = &watch.sigterm {
            fds.push(PollFd::new(sigterm, PollFlags::IN));
        }
        if watch.stdout {
            // No event asked for: the end of the reader is reported all the same.
            fds.push(PollFd::new(&stdout, PollFlags::empty()));
        }
        stdio::poll(&mut fds, until).map_err(|error| self.error(error))?;
        let (input, others) = fds.split_first().expect("the input is always there");
        let ready = !input.revents().is_empty();
        if watch.stdout && others.last().is_some_and(|stdout| stdout.revents().intersects(stdio::CLOSED)) {
            return Err(stdio::ClosedStdout.into());
        }
        if let Some((sigterm, drain_timeout)) = &watch.sigterm
            && sigterm.take()
            && watch.deadline.is_none()
        {
            log::debug!("SIGTERM: reading on to the end of input, for at most {drain_timeout:?}");
            watch.deadline = Some(Instant::now() + *drain_timeout);
        }
        Ok(ready)
    }

    fn error(&self, error: io::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(format!("read '{}'", self.name))
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens each of several files in turn, standard input when there are none.
pub fn sources(paths: &[PathBuf]) -> impl Iterator<Item = anyhow::Result<Source>> {
    let none = paths.is_empty().then_some(None);
    none.into_iter().chain(paths.iter().map(|path| Some(path.as_path()))).map(Source::open)
}

/// A longer line cannot be a record: a payload of 16 MiB, all of it escaped.
const MAX_LINE: usize = 128 << 20;

/// Cuts a stream of bytes into lines, however they come.
#[derive(Debug, Default)]
pub struct Lines {
    buf: Vec<u8>,
    pos: usize,
    /// Up to here there is no newline.
    searched: usize,
    number: u64,
    too_long: bool,
}

/// One line, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 1; empty lines count.
    pub number: u64,
    /// Its bytes, unless there were too many.
    pub text: Result<&'a [u8], TooLong>,
}

/// A line was longer than any record can be, and was thrown away.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("longer than {MAX_LINE} bytes")]
pub struct TooLong;

impl Lines {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.pos);
        self.searched = self.searched.saturating_sub(self.pos);
        self.pos = 0;
        if self.too_long {
            let Some(newline) = memchr::memchr(b'\n', bytes) else {
                return;
            };
            // Leave the newline: the line ends, and is reported.
            self.buf.extend_from_slice(&bytes[newline..]);
            return;
        }
        self.buf.extend_from_slice(bytes);
        if self.buf.len() > MAX_LINE && memchr::memchr(b'\n', &self.buf[self.searched..]).is_none() {
            self.buf.clear();
            self.searched = 0;
            self.too_long = true;
        }
    }

    /// The next whole line that is not empty.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows from the buffer, so this is no iterator"
    )]
    pub fn next(&mut self) -> Option<Line<'_>> {
        loop {
            let from = self.searched.max(self.pos);
            let Some(newline) = memchr::memchr(b'\n', &self.buf[from..]) else {
                self.searched = self.buf.len();
                return None;
            };
            let line = self.pos..from + newline;
            self.pos = line.end + 1;
            self.number += 1;
            let number = self.number;
            if std::mem::take(&mut self.too_long) {
                return Some(Line { number, text: Err(TooLong) });
            }
            if !self.buf[line.clone()].trim_ascii().is_empty() {
                return Some(Line { number, text: Ok(&self.buf[line]) });
            }
        }
    }

    /// All whole lines that have come, newlines and empty lines included, with the number of the first.
    pub fn block(&mut self) -> Option<Line<'_>> {
        let newline = memchr::memrchr(b'\n', &self.buf[self.searched.max(self.pos)..]);
        let end = self.searched.max(self.pos)
            + newline.or_else(|| {
                self.searched = self.buf.len();
                None
            })?
            + 1;
        let number = self.number + 1;
        let first_ends = self.pos + 1;
        let is_too_long = std::mem::take(&mut self.too_long);
        // Of a line that is too long the newline is left, and comes first.
        let block = self.pos..if is_too_long { first_ends } else { end };
        self.pos = block.end;
        self.searched = self.searched.max(self.pos);
        self.number += memchr::memchr_iter(b'\n', &self.buf[block.clone()]).count() as u64;
        Some(Line { number, text: if is_too_long { Err(TooLong) } else { Ok(&self.buf[block]) } })
    }

    /// No more bytes will come: what is left counts as a line.
    pub fn finish(&mut self) {
        if self.pos < self.buf.len() || self.too_long {
            self.buf.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], size: usize) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut collect = |lines: &mut Lines| {
            while let Some(line) = lines.next() {
                found.push((line.number, line.text.unwrap().to_vec()));
            }
        };
        for chunk in input.chunks(size) {
            lines.feed(chunk);
            collect(&mut lines);
        }
        lines.finish();
        collect(&mut lines);
        found
    }

    #[test]
    fn lines_are_the_same_at_every_cut_and_keep_their_numbers() {
        let expected = vec![(1, b"one".to_vec()), (3, b"two two".to_vec()), (4, b"three".to_vec())];
        for size in 1..20 {
            assert_eq!(lines(b"one\n\ntwo two\nthree", size), expected);
        }
    }

    #[test]
    fn a_line_that_never_ends_is_thrown_away_and_reported_once() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 64 << 20];
        (0..4).for_each(|_| lines.feed(&chunk));
        assert!(lines.buf.len() <= MAX_LINE);
        lines.feed(b"end\nnext\n");
        assert_eq!(lines.next(), Some(Line { number: 1, text: Err(TooLong) }));
        assert_eq!(lines.next(), Some(Line { number: 2, text: Ok(b"next") }));
    }
}

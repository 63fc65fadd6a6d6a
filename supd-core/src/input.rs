//! Reading a stream of lines with the manners of a filter: nothing that can be passed on waits, SIGTERM means "finish
//! what is coming, but not for ever", and a reader that leaves is noticed while the input is silent.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
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

    /// Whether SIGTERM has come: what is there is to be finished, and nothing more waited for.
    pub fn is_ending(&self) -> bool {
        self.deadline.is_some()
    }

    /// Whether the time after SIGTERM is up.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Says that this input is not read to its end.
    pub fn say_it_is_over(&self, name: &str) {
        log::warn!("read '{name}': the input goes on after SIGTERM; ending all the same");
    }

    /// Waits until there is input, SIGTERM comes or is over, or the time has come; whether it is input.
    ///
    /// # Errors
    /// [`stdio::ClosedStdout`] when the reader of our standard output has left; the system's.
    pub fn wait(&mut self, input: Option<BorrowedFd<'_>>, until: Option<Instant>) -> anyhow::Result<bool> {
        let until = until.into_iter().chain(self.deadline).min();
        let stdout = io::stdout();
        let mut fds: Vec<PollFd<'_>> =
            input.iter().map(|input| PollFd::from_borrowed_fd(*input, PollFlags::IN)).collect();
        if let Some((sigterm, _)) = &self.sigterm {
            fds.push(PollFd::new(sigterm, PollFlags::IN));
        }
        if self.stdout {
            // No event asked for: the end of the reader is reported all the same.
            fds.push(PollFd::new(&stdout, PollFlags::empty()));
        }
        stdio::poll(&mut fds, until)?;
        let ready = input.is_some() && !fds[0].revents().is_empty();
        if self.stdout && fds.last().is_some_and(|stdout| stdout.revents().intersects(stdio::CLOSED)) {
            return Err(stdio::ClosedStdout.into());
        }
        if let Some((sigterm, drain_timeout)) = &self.sigterm
            && sigterm.take()
            && self.deadline.is_none()
        {
            log::debug!("SIGTERM: reading on to the end of input, for at most {drain_timeout:?}");
            self.deadline = Some(Instant::now() + *drain_timeout);
        }
        Ok(ready)
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
        Ok(Self { file, name, buf: Vec::with_capacity(64 * 1024) })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next bytes; empty at the end of input, or when SIGTERM's time is up.
    /// `before_waiting` is called when there is nothing to read yet: the moment to flush.
    ///
    /// # Errors
    /// [`stdio::ClosedStdout`] when the reader of our standard output has left; the system's.
    pub fn read(
        &mut self,
        watch: &mut Watch,
        before_waiting: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<&[u8]> {
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        let read =
            self.read_into(&mut buf, watch, &mut || before_waiting().map(|()| ControlFlow::Continue(None)));
        self.buf = buf;
        read.map(|_| &self.buf[..])
    }

    /// As [`Self::read`], appended to what is in `buf`, as much as there is room for; how many bytes.
    /// `silence` is called when there is nothing to read yet, and tells when it is to be called again, unless there is
    /// input before; or that nothing more is wanted, which is an end as well.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_into(
        &mut self,
        buf: &mut Vec<u8>,
        watch: &mut Watch,
        silence: &mut dyn FnMut() -> anyhow::Result<ControlFlow<(), Option<Instant>>>,
    ) -> anyhow::Result<usize> {
        let mut until = Some(Instant::now());
        while !self.is_ready(watch, until)? && !watch.is_over() {
            until = until.filter(|until| *until > Instant::now());
            if until.is_none() {
                match silence()? {
                    ControlFlow::Continue(next) => until = next,
                    ControlFlow::Break(()) => return Ok(0),
                }
            }
        }
        if watch.is_over() {
            watch.say_it_is_over(&self.name);
            return Ok(0);
        }
        loop {
            match rustix::io::read(&self.file, rustix::buffer::spare_capacity(buf)) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.map_err(|error| self.error(error.into())),
            }
        }
    }

    /// Whether a read would not wait.
    ///
    /// # Errors
    /// The system's.
    pub fn has_input(&self) -> anyhow::Result<bool> {
        self.is_ready(&mut Watch::default(), Some(Instant::now()))
    }

    fn is_ready(&self, watch: &mut Watch, until: Option<Instant>) -> anyhow::Result<bool> {
        let ready = watch.wait(Some(self.file.as_fd()), until);
        ready.map_err(|error| error.context(format!("read '{}'", self.name)))
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

/// A line that is longer cannot be a record: a payload of 16 MiB, all of it escaped.
pub const MAX_LINE: usize = 128 << 20;

/// Memory that a long line took is given back beyond this.
pub const KEPT: usize = 2 << 20;

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
    /// None yet of what comes after so many lines.
    pub fn after(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Where the next bytes belong: behind what is there, which is the beginning of a line once all whole lines have been
    /// taken. It has room for that and them to be `size`, or for a line that is long already to become longer.
    /// [`Self::filled`] says how many were put there.
    pub fn room(&mut self, size: usize) -> &mut Vec<u8> {
        self.buf.drain(..self.pos);
        self.searched = self.searched.saturating_sub(self.pos);
        self.pos = 0;
        let begun = self.buf.len();
        let wanted = (2 * begun).min(MAX_LINE).max(size).max(begun + 1);
        if self.buf.capacity() > KEPT.max(wanted) {
            self.buf.shrink_to(wanted);
        }
        self.buf.reserve_exact(wanted - begun);
        &mut self.buf
    }

    /// So many bytes were put into the room.
    pub fn filled(&mut self, bytes: usize) {
        if self.too_long {
            let fresh = self.buf.len() - bytes;
            // Leave the newline: the line ends, and is reported.
            let end = memchr::memchr(b'\n', &self.buf[fresh..]).unwrap_or(bytes);
            self.buf.drain(..fresh + end);
        } else if self.buf.len() > MAX_LINE && memchr::memchr(b'\n', &self.buf[self.searched..]).is_none() {
            self.buf.clear();
            self.searched = 0;
            self.too_long = true;
        }
    }

    /// How many bytes of a line have come that is not whole; all whole lines have been taken.
    pub fn begun(&self) -> usize {
        self.buf.len() - self.pos
    }

    /// Forgets a line that has begun, and says how many bytes of it have come; all whole lines have been taken.
    pub fn unread(&mut self) -> usize {
        let begun = self.begun();
        self.buf.truncate(self.pos);
        self.searched = self.pos;
        begun
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
            if std::mem::take(&mut self.too_long) || line.len() > MAX_LINE {
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
        // Of a line that was too long the newline is left, and comes first; another may just have come to its end.
        let is_too_long = std::mem::take(&mut self.too_long) || {
            let may_be = end - self.pos > MAX_LINE;
            may_be && memchr::memchr(b'\n', &self.buf[self.pos..end]).is_some_and(|line| line > MAX_LINE)
        };
        let first = |buf: &[u8]| memchr::memchr(b'\n', buf).map_or(0, |newline| newline + 1);
        let block = self.pos..if is_too_long { self.pos + first(&self.buf[self.pos..end]) } else { end };
        self.pos = block.end;
        self.searched = self.searched.max(self.pos);
        if is_too_long {
            self.number += 1;
            return Some(Line { number, text: Err(TooLong) });
        }
        Some(Line { number, text: Ok(&self.buf[block]) })
    }

    /// The block that was given last had so many lines: whoever went through them has counted them.
    pub fn passed(&mut self, lines: u64) {
        self.number += lines;
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
    fn lines_that_are_read_into_their_room_are_the_same_as_those_that_are_fed() {
        let input = [&b"one\n\ntwo two\n"[..], &[b'x'; 3000], b"\nlast"].concat();
        for size in [1, 2, 7, 64, 4096] {
            let (mut lines, mut found, mut rest) = (Lines::default(), Vec::new(), &input[..]);
            while !rest.is_empty() {
                let room = lines.room(size);
                let (now, later) = rest.split_at(rest.len().min(room.capacity() - room.len()));
                room.extend_from_slice(now);
                lines.filled(now.len());
                rest = later;
                while let Some(Line { number, text: Ok(block) }) = lines.block() {
                    let count = block.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    found.push((number, block.to_vec()));
                    lines.passed(count);
                }
            }
            let text: Vec<u8> = found.iter().flat_map(|(_, block)| block.clone()).collect();
            assert_eq!(text, input[..input.len() - 4], "{size}");
            for (number, block) in &found {
                let before = found.iter().take_while(|(other, _)| other < number);
                let newlines = before.flat_map(|(_, block)| block).filter(|&&byte| byte == b'\n').count();
                assert_eq!(*number, 1 + newlines as u64, "{size}: {block:?}");
            }
            assert_eq!(lines.unread(), 4);
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

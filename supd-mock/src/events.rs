//! The events to play: read bit by bit from files, spool directories or standard input, or the built-in bad day.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::input::{Source, Watch};
use supd_core::reader::{Form, Item, Reader};
use supd_core::{Event, LenUnit, Record, spool, stdio};

use crate::generate;
use crate::renumber::Renumber;

/// An event as it will be sent.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) event: Event,
    /// How its length was counted, where that is known.
    pub(crate) unit: Option<LenUnit>,
    /// How long after the first event it happens; nothing for what has no time.
    pub(crate) at: Option<Duration>,
}

/// What comes next.
pub(crate) enum Next<'a> {
    /// This event.
    Event(&'a Planned),
    /// Another one, when it has been written.
    NotYet,
    /// No more.
    End,
}

/// Which events to play, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Files, directories of segments, or `-`; the bad day when there are none.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) form: Form,
    pub(crate) passes: u32,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Selection {
    fn covers(&self, ts: Option<Timestamp>) -> bool {
        let since = self.since.is_none_or(|since| ts.is_some_and(|ts| ts >= since));
        since && self.until.is_none_or(|until| ts.is_some_and(|ts| ts < until))
    }
}

/// Events in the order in which they are sent.
pub(crate) struct Events {
    selection: Selection,
    /// What each path stands for: itself, or the segments of a directory.
    files: Vec<Vec<PathBuf>>,
    /// What is to be opened next: the file, and which of the paths over all passes it belongs to.
    ahead: (usize, usize),
    /// What is being read.
    file: Option<(Source, Reader)>,
    pass: usize,
    queue: VecDeque<Planned>,
    renumber: Option<Renumber>,
    timeline: Timeline,
    /// Whether an event without a time was left out.
    timeless: bool,
    malformed: u64,
}

impl Events {
    /// Opens the first file.
    ///
    /// # Errors
    /// When it, or a directory, cannot be read.
    pub(crate) fn open(selection: &Selection) -> anyhow::Result<Self> {
        let mut events = Self::new(selection.clone(), Some(Renumber::default()));
        events.files = selection.paths.iter().map(|path| segments(path)).collect::<Result<_, _>>()?;
        // What is not there should be known before anything starts; a pipe would miss its writer.
        for file in events.files.iter().flatten().filter(|file| file.as_os_str() != "-" && !is_pipe(file)) {
            Source::open(Some(file))?;
        }
        events.open_next()?;
        Ok(events)
    }

    /// The events of one open file, with the numbers that they have.
    pub(crate) fn read_from(source: Source) -> Self {
        let mut events = Self::new(Selection::default(), None);
        let reader = Reader::new(Form::Auto, source.name());
        events.file = Some((source, reader));
        events
    }

    fn new(selection: Selection, renumber: Option<Renumber>) -> Self {
        Self {
            selection,
            files: Vec::new(),
            ahead: (0, 0),
            file: None,
            pass: 0,
            queue: VecDeque::new(),
            renumber,
            timeline: Timeline::default(),
            timeless: false,
            malformed: 0,
        }
    }

    /// Opens the next file, if there is one. Without any, each pass is a bad day.
    fn open_next(&mut self) -> anyhow::Result<()> {
        let paths = self.files.len().max(1);
        while self.ahead.1 < self.selection.passes.try_into().unwrap_or(usize::MAX).saturating_mul(paths) {
            let (segment, pass) = self.ahead;
            self.pass = pass;
            if self.files.is_empty() {
                self.ahead = (0, pass + 1);
                return generate::bad_day().iter().try_for_each(|record| self.plan(pass, record, None));
            }
            let Some(path) = self.files[pass % paths].get(segment) else {
                self.ahead = (0, pass + 1);
                continue;
            };
            self.ahead = (segment + 1, pass);
            let source = Source::open(Some(path))?;
            let reader = Reader::new(self.selection.form, source.name());
            self.file = Some((source, reader));
            return Ok(());
        }
        Ok(())
    }

    /// Whether there is a file to read from, after the one before has ended too.
    fn has_file(&mut self) -> anyhow::Result<bool> {
        if self.file.is_none() {
            self.open_next()?;
        }
        Ok(self.file.is_some())
    }

    /// The next event, without taking it; does not wait for whoever writes them.
    pub(crate) fn peek(&mut self) -> anyhow::Result<Next<'_>> {
        while self.queue.is_empty() && self.has_file()? {
            let Some((source, _)) = &self.file else { break };
            let mut fds = [PollFd::new(source, PollFlags::IN)];
            stdio::poll(&mut fds, Some(Instant::now())).context("wait for events to play")?;
            if fds[0].revents().is_empty() {
                return Ok(Next::NotYet);
            }
            self.read()?;
        }
        Ok(self.queue.front().map_or(Next::End, Next::Event))
    }

    /// Waits until there is an event, or none will come; whether there is one.
    pub(crate) fn wait(&mut self) -> anyhow::Result<bool> {
        while self.queue.is_empty() && self.has_file()? {
            self.read()?;
        }
        Ok(!self.queue.is_empty())
    }

    /// What to poll while the next event is not there yet.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(|(source, _)| source.as_fd())
    }

    /// Takes the event that [`Self::peek`] showed.
    pub(crate) fn take(&mut self) -> Option<Planned> {
        self.queue.pop_front()
    }

    /// Whether events were left out because nothing tells when they were.
    pub(crate) fn some_were_timeless(&self) -> bool {
        self.timeless
    }

    /// How many lines were no events.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let Some((mut source, mut reader)) = self.file.take() else {
            return Ok(());
        };
        let ended = reader.take(source.read(&mut Watch::default(), &mut || Ok(()))?);
        let (name, pass) = (reader.name().to_owned(), self.pass);
        reader.each(|Item { record, unit, .. }| {
            self.plan(pass, &record, unit).unwrap_or_else(|error| {
                log::error!("read '{name}': {error:#}; skipped");
                self.malformed += 1;
            });
            Ok(())
        })?;
        if ended {
            self.malformed += reader.malformed();
        } else {
            self.file = Some((source, reader));
        }
        Ok(())
    }

    fn plan(&mut self, pass: usize, record: &Record, unit: Option<LenUnit>) -> anyhow::Result<()> {
        let ts = record.ts.as_deref().and_then(|ts| ts.parse().ok());
        // What our own programs add never was on supervisord's wire.
        if record.kind().is_ours() {
            return Ok(());
        }
        if !self.selection.covers(ts) {
            self.timeless |= ts.is_none();
            return Ok(());
        }
        let mut event = record.to_event().with_context(|| record.eventname.clone())?;
        if let Some(renumber) = &mut self.renumber {
            renumber.apply(pass, record, &mut event.header);
        }
        self.queue.push_back(Planned { event, unit, at: ts.map(|ts| self.timeline.at(pass, ts)) });
        Ok(())
    }
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// The segments of a spool directory in order; anything else is itself.
fn segments(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_dir() { spool::segments(path) } else { Ok(vec![path.to_owned()]) }
}

/// When events happen: each path keeps its own spacing, and begins where the one before ended.
#[derive(Debug, Default)]
struct Timeline {
    pass: usize,
    first: Option<Timestamp>,
    base: Duration,
    last: Duration,
}

impl Timeline {
    fn at(&mut self, pass: usize, ts: Timestamp) -> Duration {
        if self.pass != pass {
            *self = Self { pass, first: None, base: self.last, last: self.last };
        }
        let since = ts.duration_since(*self.first.get_or_insert(ts));
        // A clock that was set back makes nobody wait.
        self.last = self.last.max(self.base + Duration::try_from(since).unwrap_or_default());
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_begins_where_the_one_before_ended_and_time_never_goes_back() {
        let mut timeline = Timeline::default();
        let mut at = |pass, ts: &str| timeline.at(pass, ts.parse().unwrap()).as_secs();
        assert_eq!(at(0, "2026-01-05T08:00:00Z"), 0);
        assert_eq!(at(0, "2026-01-05T08:00:09Z"), 9);
        assert_eq!(at(0, "2026-01-05T08:00:05Z"), 9);
        assert_eq!(at(1, "2026-01-05T08:00:00Z"), 9);
        assert_eq!(at(1, "2026-01-05T08:00:02Z"), 11);
    }
}

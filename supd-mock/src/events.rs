//! The events to play: read from a file bit by bit, or the built-in bad day.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::input::{Source, Watch};
use supd_core::reader::{Form, Item, Reader};
use supd_core::{Kind, LenUnit, Record, stdio};

use crate::generate;

/// An event as it will be sent.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) serial: u64,
    pub(crate) eventname: String,
    pub(crate) wire: Vec<u8>,
    /// How long after the first event it happened, where that is known.
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

/// Events in the order in which they are sent.
pub(crate) struct Events {
    /// What is still to be read; `None` when all has been.
    file: Option<(Source, Reader)>,
    queue: VecDeque<Planned>,
    first: Option<Timestamp>,
    unit: Option<LenUnit>,
    malformed: u64,
}

impl Events {
    /// The events of a file. A given unit overrides a capture's own.
    pub(crate) fn read_from(source: Source, form: Form, unit: Option<LenUnit>) -> Self {
        let reader = Reader::new(form, source.name());
        Self { file: Some((source, reader)), queue: VecDeque::new(), first: None, unit, malformed: 0 }
    }

    /// The built-in bad day.
    pub(crate) fn bad_day(unit: Option<LenUnit>) -> anyhow::Result<Self> {
        let mut events = Self { file: None, queue: VecDeque::new(), first: None, unit, malformed: 0 };
        for record in generate::bad_day() {
            events.plan(&record, None)?;
        }
        Ok(events)
    }

    /// The next event, without taking it; does not wait for whoever writes them.
    pub(crate) fn peek(&mut self) -> anyhow::Result<Next<'_>> {
        while self.queue.is_empty() {
            let Some((source, _)) = &self.file else {
                return Ok(Next::End);
            };
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
        while self.queue.is_empty() && self.file.is_some() {
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

    /// How many lines were no events.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let Some((mut source, mut reader)) = self.file.take() else {
            return Ok(());
        };
        let ended = reader.take(source.read(&mut Watch::default(), &mut || Ok(()))?);
        let name = reader.name().to_owned();
        reader.each(|Item { record, unit, .. }| {
            self.plan(&record, unit).unwrap_or_else(|error| {
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

    fn plan(&mut self, record: &Record, unit: Option<LenUnit>) -> anyhow::Result<()> {
        // What our own programs add never was on supervisord's wire.
        if matches!(record.kind(), Kind::Mark | Kind::Gap) {
            return Ok(());
        }
        let event = record.to_event().with_context(|| record.eventname.clone())?;
        let ts: Option<Timestamp> = record.ts.as_deref().and_then(|ts| ts.parse().ok());
        let since_first = ts.map(|ts| ts.duration_since(*self.first.get_or_insert(ts)));
        self.queue.push_back(Planned {
            serial: event.header.serial,
            wire: event.encode(self.unit.or(unit).unwrap_or(LenUnit::Chars)),
            eventname: event.header.eventname,
            at: since_first.and_then(|since| Duration::try_from(since).ok()),
        });
        Ok(())
    }
}

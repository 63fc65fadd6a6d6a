//! The conversation with supervisord, with its descriptors and its clock: read an event, hand it on, answer.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::event::Event;
use supd_core::listener::{Incoming, Listener};
use supd_core::signals::Signal;
use supd_core::{Decoder, Record, ancestry, stdio};

use crate::args::Args;
use crate::pipeline::Pipeline;
use crate::replies::Replies;
use crate::sink::Sink;

/// How long nothing must come before an event whose end is undecided is taken to be whole.
const SILENCE: Duration = Duration::from_secs(1);

/// Why the conversation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// supervisord closed its end.
    Input,
    /// We were told to stop.
    Sigterm,
    /// Nobody takes our records any more. An event in hand was not answered, so supervisord sends it again.
    PipelineEnded,
}

/// One conversation, from READY on.
pub(crate) struct Session {
    listener: Listener,
    replies: Replies,
    sink: Sink,
    sigterm: Signal,
    sigchld: Signal,
    host: String,
    boot: String,
    drain_timeout: Duration,
    /// When what was written last to the sink must be through; set by SIGTERM.
    deadline: Option<Instant>,
    /// Whether a child has changed since the pipeline was last asked.
    child_changed: bool,
    line: Vec<u8>,
}

impl Session {
    pub(crate) fn new(args: &Args, replies: Replies, sink: Sink, sigterm: Signal, sigchld: Signal) -> Self {
        Self {
            listener: Listener::new(Decoder::live(args.len, args.max_payload)),
            replies,
            sink,
            sigterm,
            sigchld,
            host: args.host.clone().unwrap_or_else(ancestry::hostname),
            boot: ancestry::boot(),
            drain_timeout: args.drain_timeout,
            deadline: None,
            child_changed: false,
            line: Vec::new(),
        }
    }

    /// Ends the conversation and closes the sink; what is left is the signal to wait for the pipeline with.
    pub(crate) fn close(self) -> Signal {
        self.sigchld
    }

    /// Converses until one side has had enough.
    pub(crate) fn run(&mut self, mut pipeline: Option<&mut Pipeline>) -> anyhow::Result<End> {
        let mut buf = vec![0; 64 * 1024];
        loop {
            let silence = self.listener.is_undecided().then(|| Instant::now() + SILENCE);
            let happened = self.wait(Watched::EVERYTHING, silence)?;
            let child_changed = std::mem::take(&mut self.child_changed);
            if happened.sink_closed || pipeline.as_mut().is_some_and(|p| child_changed && p.has_ended()) {
                log::error!("write to {}: its reader has ended", self.sink.name());
                return Ok(End::PipelineEnded);
            }
            let mut end = None;
            if happened.sigterm {
                // An event that is already on its way is taken too: unread, it would leak into other pools.
                end = Some(End::Sigterm);
                self.deadline = Some(Instant::now() + self.drain_timeout);
            }
            if happened.input {
                let bytes = self.read(&mut buf)?;
                if bytes == 0 {
                    end = end.or(Some(End::Input));
                    self.listener.finish();
                }
                self.listener.feed(&buf[..bytes]);
            } else if silence.is_some_and(|until| until <= Instant::now())
                && let Some(incoming) = self.listener.settle()
                && let Some(early) = self.take(incoming, end)?
            {
                return Ok(early);
            }
            while let Some(incoming) = self.next(end)? {
                if let Some(early) = self.take(incoming, end)? {
                    return Ok(early);
                }
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// The next event; one that was cut short by the end of input is none.
    fn next(&mut self, end: Option<End>) -> anyhow::Result<Option<Incoming>> {
        match self.listener.next() {
            Err(error) if end.is_some() => {
                log::warn!("{error}");
                Ok(None)
            }
            result => Ok(result?),
        }
    }

    /// Hands an event on and answers it; says so when the conversation ends early.
    fn take(&mut self, incoming: Incoming, end: Option<End>) -> anyhow::Result<Option<End>> {
        match incoming {
            Incoming::Event(event) => {
                if !self.hand_on(event)? {
                    return Ok(Some(End::PipelineEnded));
                }
            }
            Incoming::Redelivered(event) => {
                log::info!("{} {} came again", event.header.eventname, event.header.serial);
            }
            Incoming::Stray { bytes, eventname } => {
                log::warn!(
                    "read event '{eventname}': skipped {bytes} bytes of it that 'len' did not count; see --len"
                );
                return Ok(None);
            }
        }
        let reply = if end.is_some() {
            self.listener.accept_last()
        } else {
            self.listener.accept()
        };
        if self.replies.send(reply)? {
            return Ok(None);
        }
        log::info!("supervisord no longer reads our replies");
        Ok(Some(End::Input))
    }

    /// Writes the record; false when nobody takes it any more.
    fn hand_on(&mut self, event: Event) -> anyhow::Result<bool> {
        let mut record = Record::from_event(event);
        record.ts = Some(format!("{:.3}", Timestamp::now()));
        record.host = Some(self.host.clone());
        record.boot = Some(self.boot.clone());
        self.line.clear();
        record.write_line(&mut self.line);
        let mut written = 0;
        loop {
            match self.sink.write_some(&self.line[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    log::error!("write to {}: its reader has ended", self.sink.name());
                    return Ok(false);
                }
                Err(error) => return Err(error).with_context(|| format!("write to '{}'", self.sink.name())),
            }
            if written == self.line.len() {
                return Ok(true);
            }
            if !self.wait_for_room()? {
                return Ok(false);
            }
        }
    }

    /// Waits until the sink takes more; false when it never will.
    fn wait_for_room(&mut self) -> anyhow::Result<bool> {
        loop {
            let happened = self.wait(
                Watched {
                    input: false,
                    room: true,
                },
                self.deadline,
            )?;
            if happened.sigterm {
                self.deadline = Some(Instant::now() + self.drain_timeout);
            }
            if happened.sink_closed {
                log::error!("write to {}: its reader has ended", self.sink.name());
                return Ok(false);
            }
            if happened.room {
                return Ok(true);
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                log::error!(
                    "write to {}: nothing taken within {:?}",
                    self.sink.name(),
                    self.drain_timeout
                );
                return Ok(false);
            }
        }
    }

    fn read(&self, buf: &mut [u8]) -> anyhow::Result<usize> {
        loop {
            match rustix::io::read(io::stdin(), &mut *buf) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.context("read an event from supervisord"),
            }
        }
    }

    fn wait(&mut self, watched: Watched, until: Option<Instant>) -> anyhow::Result<Happened> {
        let stdin = io::stdin();
        let wanted = |yes: bool, flags| if yes { flags } else { PollFlags::empty() };
        let nothing = self.sigterm.as_fd();
        let sink: BorrowedFd<'_> = self.sink.watched().unwrap_or(nothing);
        let mut fds = [
            PollFd::new(&self.sigterm, PollFlags::IN),
            PollFd::new(&self.sigchld, PollFlags::IN),
            PollFd::new(&sink, wanted(watched.room, PollFlags::OUT)),
            PollFd::new(&stdin, PollFlags::IN),
        ];
        // Only what is asked for may wake us: a silent end of input does not help who waits for room.
        let count = if watched.input { fds.len() } else { fds.len() - 1 };
        stdio::poll(&mut fds[..count], until).context("wait for an event")?;
        let [sigterm, sigchld, sink, input] = fds.map(|fd| fd.revents());
        if !sigchld.is_empty() {
            self.child_changed |= self.sigchld.take();
        }
        Ok(Happened {
            sigterm: !sigterm.is_empty() && self.sigterm.take(),
            sink_closed: self.sink.watched().is_some() && sink.contains(PollFlags::ERR),
            room: sink.contains(PollFlags::OUT),
            input: !input.is_empty(),
        })
    }
}

/// What to wait for besides signals and the end of the sink's reader.
#[derive(Clone, Copy)]
struct Watched {
    input: bool,
    room: bool,
}

impl Watched {
    const EVERYTHING: Self = Self {
        input: true,
        room: false,
    };
}

struct Happened {
    sigterm: bool,
    sink_closed: bool,
    room: bool,
    input: bool,
}

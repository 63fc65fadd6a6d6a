//! The conversation with supervisord, with its descriptors and its clock: read an event, hand it on, answer.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::event::Event;
use supd_core::listener::{Incoming, Listener};
use supd_core::signals::SignalPipe;
use supd_core::{Decoder, Record, ancestry, stdio};

use crate::args::Args;
use crate::pipeline::Pipeline;
use crate::replies::Replies;
use crate::sink::Sink;

/// How long the rest of an event may take after SIGTERM; its parts come within a tenth of that. The rest of the drain
/// timeout is the pipeline's.
const REST: Duration = Duration::from_secs(1);

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
    sigterm: SignalPipe,
    sigchld: SignalPipe,
    host: String,
    boot: String,
    drain_timeout: Duration,
    /// Set by SIGTERM, or the end of input: when everything must be through, the pipeline included.
    deadline: Option<Instant>,
    sigterm_at: Option<Instant>,
    /// Whether a child has changed since the pipeline was last asked.
    child_changed: bool,
    /// When the event that is coming in, or came in last, began to.
    received: Timestamp,
    line: Vec<u8>,
}

impl Session {
    pub(crate) fn new(
        args: &Args,
        replies: Replies,
        sink: Sink,
        sigterm: SignalPipe,
        sigchld: SignalPipe,
    ) -> Self {
        Self {
            listener: Listener::new(Decoder::live(args.len, args.max_payload)),
            replies,
            sink,
            sigterm,
            sigchld,
            host: args.host(),
            boot: ancestry::boot(),
            drain_timeout: args.drain_timeout,
            deadline: None,
            sigterm_at: None,
            child_changed: false,
            received: Timestamp::now(),
            line: Vec::new(),
        }
    }

    /// Ends the conversation and closes the sink, which tells the pipeline to finish. What is left is the signal to
    /// wait for the pipeline with, and until when.
    pub(crate) fn close(mut self) -> (SignalPipe, Instant) {
        let deadline = self.start_draining();
        (self.sigchld, deadline)
    }

    fn start_draining(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.drain_timeout)
    }

    /// Converses until one side has had enough.
    pub(crate) fn run(&mut self, mut pipeline: Option<&mut Pipeline>) -> anyhow::Result<End> {
        let mut buf = vec![0; 64 * 1024];
        loop {
            let silence = self.listener.is_undecided().then(|| Instant::now() + SILENCE);
            let patience = self.patience();
            let happened = self.wait(Wanted::Event, silence.into_iter().chain(patience).min())?;
            if happened.sink_closed || self.has_ended(pipeline.as_deref_mut()) {
                return Ok(self.pipeline_ended());
            }
            let mut ended = false;
            if happened.input {
                ended = !self.read(&mut buf)?;
            } else if silence.is_some_and(is_past) {
                if let Some(incoming) = self.listener.silence_means_bytes()
                    && let Some(end) = self.handle(incoming, ended)?
                {
                    return Ok(end);
                }
            } else if patience.is_some_and(is_past) {
                if self.listener.is_mid_event() {
                    log::warn!("read an event: it did not come whole within {REST:?} of SIGTERM");
                }
                return Ok(End::Sigterm);
            }
            while let Some(incoming) = self.next(ended)? {
                if let Some(end) = self.handle(incoming, ended)? {
                    return Ok(end);
                }
            }
            if ended {
                return self.end_of_input();
            }
        }
    }

    /// After SIGTERM, how long to wait for input: an event that is already on its way is still taken, because unread it
    /// would leak into other pools; a new one is not asked for.
    fn patience(&self) -> Option<Instant> {
        let now = Instant::now();
        let deadline = self.deadline?.min(self.sigterm_at? + REST);
        Some(if self.listener.is_mid_event() { deadline } else { now })
    }

    fn has_ended(&mut self, pipeline: Option<&mut Pipeline>) -> bool {
        std::mem::take(&mut self.child_changed) && pipeline.is_some_and(Pipeline::has_ended)
    }

    fn pipeline_ended(&self) -> End {
        log::error!("hand records on to {}: whoever read them has ended", self.sink.name());
        End::PipelineEnded
    }

    /// Makes sure that what was handed on last has been taken out of the pipe: a stage that died with records unread
    /// should not look like one that finished.
    fn end_of_input(&mut self) -> anyhow::Result<End> {
        let deadline = self.start_draining();
        while self.sink.holds_unread() && Instant::now() < deadline {
            // Nothing tells when a pipe has become empty, so it is looked at often, and only here.
            let soon = Instant::now() + Duration::from_millis(2);
            if self.wait(Wanted::Nothing, Some(soon))?.sink_closed {
                return Ok(self.pipeline_ended());
            }
        }
        Ok(End::Input)
    }

    /// The next event; one that was cut short by the end of input is none.
    fn next(&mut self, ended: bool) -> anyhow::Result<Option<Incoming>> {
        match self.listener.next() {
            Err(error) if ended => {
                log::warn!("{error}");
                Ok(None)
            }
            result => Ok(result?),
        }
    }

    /// Hands an event on and answers it; says so when the conversation ends early.
    fn handle(&mut self, incoming: Incoming, ended: bool) -> anyhow::Result<Option<End>> {
        match incoming {
            Incoming::Event(event) => {
                if !self.hand_on(event)? {
                    return Ok(Some(End::PipelineEnded));
                }
            }
            Incoming::Redelivered(event) => {
                log::debug!("{} {} came again", event.header.eventname, event.header.serial);
            }
            Incoming::Stray { bytes, eventname } => {
                log::warn!(
                    "read event '{eventname}': skipped {bytes} bytes of it that 'len' did not count; see --len"
                );
                return Ok(None);
            }
        }
        // SIGTERM may have come after poll(2) looked; an event asked for now would leak into other pools.
        let last = ended || self.sigterm.has_come();
        let reply = if last { Listener::ACCEPT_LAST } else { Listener::ACCEPT };
        if self.replies.send(reply)? {
            return Ok(None);
        }
        log::debug!("supervisord no longer reads our replies");
        Ok(Some(End::Input))
    }

    /// Writes the record; false when nobody takes it any more.
    fn hand_on(&mut self, event: Event) -> anyhow::Result<bool> {
        let mut record = Record::from_event(event);
        record.ts = Some(format!("{:.3}", self.received));
        record.host = Some(self.host.clone());
        record.boot = Some(self.boot.clone());
        self.line.clear();
        record.write_line(&mut self.line);
        let mut written = 0;
        loop {
            match self.sink.write_some(&self.line[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.pipeline_ended();
                    return Ok(false);
                }
                Err(error) => {
                    self.sink.take_back(written);
                    return Err(error).with_context(|| format!("write to {}", self.sink.name()));
                }
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
            let happened = self.wait(Wanted::Room, self.deadline)?;
            if happened.sink_closed {
                self.pipeline_ended();
                return Ok(false);
            }
            if happened.room {
                return Ok(true);
            }
            if self.deadline.is_some_and(is_past) {
                log::error!(
                    "write to {}: nothing was taken within {:?}",
                    self.sink.name(),
                    self.drain_timeout
                );
                return Ok(false);
            }
        }
    }

    /// Reads once; false at the end of input.
    fn read(&mut self, buf: &mut [u8]) -> anyhow::Result<bool> {
        let bytes = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut *buf))
            .context("read an event from supervisord")?;
        if bytes == 0 {
            self.listener.finish();
            return Ok(false);
        }
        if !self.listener.is_mid_event() {
            self.received = Timestamp::now();
        }
        self.listener.feed(&buf[..bytes]);
        Ok(true)
    }

    fn wait(&mut self, wanted: Wanted, until: Option<Instant>) -> anyhow::Result<Happened> {
        let stdin = io::stdin();
        let room = if wanted == Wanted::Room { PollFlags::OUT } else { PollFlags::empty() };
        let sink = self.sink.as_fd();
        let mut fds = [
            PollFd::new(&self.sigterm, PollFlags::IN),
            PollFd::new(&self.sigchld, PollFlags::IN),
            PollFd::new(&sink, room),
            PollFd::new(&stdin, if wanted == Wanted::Event { PollFlags::IN } else { PollFlags::empty() }),
        ];
        // Who waits for room must learn that supervisord has gone, but only once; standard input stands last, so that it
        // can be left out.
        let watches_input = wanted == Wanted::Event || self.deadline.is_none();
        let count = if watches_input { fds.len() } else { fds.len() - 1 };
        stdio::poll(&mut fds[..count], until).context("wait for an event")?;
        let [sigterm, sigchld, sink, input] = fds.map(|fd| fd.revents());
        if !sigterm.is_empty() && self.sigterm.take() {
            log::debug!("SIGTERM: taking nothing new, draining for at most {:?}", self.drain_timeout);
            self.sigterm_at.get_or_insert_with(Instant::now);
            self.start_draining();
        }
        if input.contains(PollFlags::HUP) && wanted == Wanted::Room {
            self.start_draining();
        }
        if !sigchld.is_empty() {
            self.child_changed |= self.sigchld.take();
        }
        Ok(Happened {
            sink_closed: self.sink.is_closed(sink),
            room: sink.contains(PollFlags::OUT),
            input: !input.is_empty(),
        })
    }
}

fn is_past(time: Instant) -> bool {
    time <= Instant::now()
}

/// What to wait for, besides signals and the end of the sink's reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Event,
    Room,
    Nothing,
}

struct Happened {
    sink_closed: bool,
    room: bool,
    input: bool,
}

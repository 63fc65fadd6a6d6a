//! The conversation with supervisord, with its descriptors and its clock: read an event, hand it on, answer.

mod ending;
mod records;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::gaps::Gaps;
use supd_core::listener::{Incoming, Listener};
use supd_core::signals::SignalPipe;
use supd_core::spool::log::Repairs;
use supd_core::{Decoder, Record, stdio};

use crate::args::Args;
use crate::origin::Origin;
use crate::outbox::{Flow, Outbox};
use crate::own;
use crate::pipeline::Pipeline;
use crate::replies::Replies;
use crate::sink::Sink;
use crate::store::Store;
use crate::wake::Wake;

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
    /// We were told to stop with an event in hand, which could not be handed on in time. Likewise.
    NotAnswered,
}

/// One conversation, from READY on.
///
/// `Waiting --event--> InHand --handed on--> answered: Waiting`; only while waiting is input read.
pub(crate) struct Session {
    listener: Listener,
    replies: Replies,
    outbox: Outbox,
    store: Option<Store>,
    gaps: Option<Gaps>,
    sigterm: SignalPipe,
    /// SIGCHLD of the pipeline, or SIGHUP where records go to a file.
    attention: SignalPipe,
    wake: Wake,
    origin: Origin,
    /// The pool and the server of the last event, which records of our own name too.
    pool: (Option<String>, Option<String>),
    drain_timeout: Duration,
    /// Set by SIGTERM, or the end of input: when everything must be through, the pipeline included.
    deadline: Option<Instant>,
    sigterm_at: Option<Instant>,
    /// Whether the pipeline may have ended, or the file is to be opened anew.
    was_alerted: bool,
    /// When the event that is coming in, or came in last, began to.
    received: Timestamp,
    /// When something was read last.
    heard_at: Instant,
    /// Records that are not in the store yet, or, without one, in the outbox.
    records: VecDeque<Record>,
    /// Since when there is an event that supervisord waits for an answer to.
    in_hand: Option<Instant>,
}

impl Session {
    pub(crate) fn new(
        args: &Args,
        replies: Replies,
        sink: Sink,
        store: Option<(Store, Repairs)>,
        sigterm: SignalPipe,
        attention: SignalPipe,
        wake: Wake,
    ) -> anyhow::Result<Self> {
        let mut session = Self {
            listener: Listener::new(Decoder::live(args.len, args.max_payload)),
            replies,
            outbox: Outbox::new(sink),
            store: None,
            gaps: args.reports_gaps().then(Gaps::default),
            sigterm,
            attention,
            wake,
            origin: Origin::new(args),
            pool: (None, None),
            drain_timeout: args.drain_timeout,
            deadline: None,
            sigterm_at: None,
            was_alerted: false,
            received: Timestamp::now(),
            heard_at: Instant::now(),
            records: VecDeque::new(),
            in_hand: None,
        };
        if let Some((store, repairs)) = store {
            store.remind(&mut session.listener, &mut session.gaps, session.origin.boot())?;
            let may_be_confirmed = session.outbox.sink().has_reader() && !args.confirms_on_write();
            session.store = Some(if may_be_confirmed { store } else { store.without_marks() });
            for gone in repairs.unreadable {
                let record = session.own(own::lost(gone, "unreadable"));
                session.records.push_back(record);
            }
        }
        Ok(session)
    }

    /// Ends the conversation and closes the sink, which tells the pipeline to finish. What is left is the signal to
    /// wait for the pipeline with, and until when.
    pub(crate) fn close(mut self) -> (SignalPipe, Instant) {
        let deadline = self.start_draining();
        (self.attention, deadline)
    }

    fn start_draining(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.drain_timeout)
    }

    /// Converses until one side has had enough.
    pub(crate) fn run(&mut self, pipeline: Option<&mut Pipeline>) -> anyhow::Result<End> {
        let end = self.converse(pipeline)?;
        if matches!(end, End::Input | End::Sigterm) && !self.bring_home()? {
            return Ok(End::PipelineEnded);
        }
        if let Some(store) = &mut self.store {
            // What stands in a pipe that nobody reads any more has not been dealt with.
            if end != End::PipelineEnded && self.outbox.is_empty() {
                store.confirm(self.outbox.sink(), Instant::now());
            }
            store.let_go();
        }
        match end {
            End::Input | End::Sigterm if !self.finish_line()? => Ok(End::PipelineEnded),
            End::Input => self.end_of_input(),
            _ => Ok(end),
        }
    }

    fn converse(&mut self, mut pipeline: Option<&mut Pipeline>) -> anyhow::Result<End> {
        let mut buf = vec![0; 64 * 1024];
        let mut ended = false;
        // What an earlier listener did not bring home comes first.
        let mut now = Instant::now();
        if self.forward(now)? == Flow::Gone {
            return Ok(self.pipeline_ended());
        }
        loop {
            let silence = self.listener.is_undecided().then(|| self.heard_at + SILENCE);
            let patience = self.patience();
            let timers = [silence, patience, self.next_timer(now)];
            let happened = self.wait(!ended, timers.into_iter().flatten().min())?;
            if happened.sink_closed || self.has_ended(pipeline.as_deref_mut()) {
                return Ok(self.pipeline_ended());
            }
            now = Instant::now();
            if happened.input {
                ended = !self.read(&mut buf, now)?;
            } else if silence.is_some_and(is_past) {
                if let Some(incoming) = self.listener.silence_means_bytes() {
                    self.take(incoming, now);
                }
            } else if patience.is_some_and(is_past) {
                return Ok(self.give_up());
            }
            // One event after another; as long as one is in hand, supervisord sends no other.
            loop {
                self.declare_gaps(now);
                let flow = self.forward(now)?;
                if flow == Flow::Gone {
                    return Ok(self.pipeline_ended());
                }
                if let Some(since) = self.in_hand {
                    if !self.is_handed_on(flow) {
                        break;
                    }
                    if !self.answer(since, now, ended)? {
                        return Ok(End::Input);
                    }
                    // With a store, that is the moment to hand on what it holds.
                    continue;
                }
                let Some(incoming) = self.next(ended)? else { break };
                self.take(incoming, now);
            }
            if ended && self.in_hand.is_none() {
                return Ok(End::Input);
            }
        }
    }

    /// When something is to be done though nothing happens.
    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let gap = self.gaps.as_ref().filter(|_| self.in_hand.is_none()).and_then(|gaps| gaps.deadline(now));
        let outbox = self.outbox.retry_at();
        let retry = self.store.as_ref().and_then(Store::retry_at);
        let due = self.store.as_ref().filter(|_| self.outbox.is_empty()).and_then(Store::due);
        [gap, outbox, retry, due].into_iter().flatten().min()
    }

    fn has_ended(&mut self, pipeline: Option<&mut Pipeline>) -> bool {
        if !std::mem::take(&mut self.was_alerted) {
            return false;
        }
        self.outbox.reopen();
        pipeline.is_some_and(Pipeline::has_ended)
    }

    fn pipeline_ended(&self) -> End {
        log::error!("hand records on to {}: whoever read them has ended", self.outbox.sink().name());
        End::PipelineEnded
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

    /// Takes an event in hand.
    fn take(&mut self, incoming: Incoming, now: Instant) {
        match incoming {
            Incoming::Event(event) => {
                if let Some(gaps) = &mut self.gaps {
                    gaps.saw(event.header.poolserial, now);
                }
                if self.pool.0.as_ref() != Some(&event.header.pool) {
                    self.pool = (Some(event.header.pool.clone()), Some(event.header.server.clone()));
                }
                let mut record = Record::from_event(event);
                self.origin.sign(&mut record, self.received);
                self.accept(record, now);
                self.in_hand = Some(now);
                self.wake.refresh_soon();
            }
            Incoming::Redelivered(event) => {
                log::debug!("{} {} came again", event.header.eventname, event.header.serial);
                self.in_hand = Some(now);
            }
            Incoming::Stray { bytes, eventname } => {
                log::warn!(
                    "read event '{eventname}': skipped {bytes} bytes of it that 'len' did not count; see --len"
                );
            }
        }
    }

    /// Moves records on as far as they go: into the store, or the outbox; out of the store into the outbox; out of that.
    fn forward(&mut self, now: Instant) -> anyhow::Result<Flow> {
        self.put_away(now);
        loop {
            let flow = self.outbox.flush(now)?;
            let Some(store) = self.store.as_mut().filter(|_| flow == Flow::Through) else { return Ok(flow) };
            store.settle(&mut self.outbox, now);
            if !store.refill(self.outbox.lines(), now)? && self.outbox.is_empty() {
                return Ok(flow);
            }
        }
    }

    /// Whether the event in hand is where it must be before it may be answered.
    fn is_handed_on(&self, flow: Flow) -> bool {
        self.records.is_empty() && (self.store.is_some() || flow == Flow::Through)
    }

    /// Accepts the event in hand; false when supervisord no longer reads our replies.
    fn answer(&mut self, since: Instant, now: Instant, ended: bool) -> anyhow::Result<bool> {
        self.in_hand = None;
        if let Some(gaps) = &mut self.gaps {
            gaps.was_held_up(now - since);
        }
        // SIGTERM may have come after poll(2) looked; an event asked for now would leak into other pools.
        let last = ended || self.sigterm.has_come();
        let reply = if last { Listener::ACCEPT_LAST } else { Listener::ACCEPT };
        let is_read = self.replies.send(reply)?;
        if !is_read {
            log::debug!("supervisord no longer reads our replies");
        }
        Ok(is_read)
    }

    /// Reads once; false at the end of input.
    fn read(&mut self, buf: &mut [u8], now: Instant) -> anyhow::Result<bool> {
        let bytes = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut *buf))
            .context("read an event from supervisord")?;
        if bytes == 0 {
            self.listener.finish();
            return Ok(false);
        }
        if !self.listener.is_mid_event() {
            self.received = Timestamp::now();
        }
        self.heard_at = now;
        self.listener.feed(&buf[..bytes]);
        Ok(true)
    }

    fn wait(&mut self, wants_input: bool, until: Option<Instant>) -> anyhow::Result<Happened> {
        let stdin = io::stdin();
        let takes_input = wants_input && self.in_hand.is_none();
        let room = if self.outbox.wants_room() { PollFlags::OUT } else { PollFlags::empty() };
        let mut fds = [
            PollFd::new(&stdin, if takes_input { PollFlags::IN } else { PollFlags::empty() }),
            PollFd::new(&self.sigterm, PollFlags::IN),
            PollFd::new(&self.attention, PollFlags::IN),
            PollFd::new(&self.outbox, room),
        ];
        // What stands first and last can be left out. Who holds an event must learn that supervisord has gone, but only
        // once; and a file has no reader who could leave, so that every event would pay for looking.
        let watches_input = takes_input || (wants_input && self.deadline.is_none());
        let watches_sink = self.outbox.wants_room() || self.outbox.sink().has_reader();
        let watched = usize::from(!watches_input)..fds.len() - usize::from(!watches_sink);
        stdio::poll(&mut fds[watched], until).context("wait for an event")?;
        let [input, sigterm, attention, sink] = fds.map(|fd| fd.revents());
        if !sigterm.is_empty() && self.sigterm.take() {
            log::debug!("SIGTERM: taking nothing new, draining for at most {:?}", self.drain_timeout);
            self.sigterm_at.get_or_insert_with(Instant::now);
            self.start_draining();
        }
        if input.contains(PollFlags::HUP) && !takes_input {
            self.start_draining();
        }
        if !attention.is_empty() {
            self.was_alerted |= self.attention.take();
        }
        Ok(Happened {
            sink_closed: self.outbox.sink().is_closed(sink),
            input: takes_input && !input.is_empty(),
        })
    }
}

fn is_past(time: Instant) -> bool {
    time <= Instant::now()
}

struct Happened {
    sink_closed: bool,
    input: bool,
}

//! `supd-mock replay`: one listener, one event after another, and what it makes of each.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::json;
use supd_core::children::Children;
use supd_core::family::Family;
use supd_core::input::Source;
use supd_core::signals::{SIGCHLD, SignalPipe};
use supd_core::stdio::ClosedStdout;
use supd_core::supervisor::{Dispatcher, ListenerState, Reaction};
use supd_core::{cli, stdio};

use crate::args::{Replay, Speed};
use crate::events::{Events, Next, Planned};
use crate::process::{Process, Program};

/// supervisord would go on for ever.
const MAX_DELIVERIES: u32 = 10;

pub(crate) fn run(args: &Replay) -> anyhow::Result<u8> {
    let mut events = match &args.events {
        Some(path) => Events::read_from(Source::open(Some(path))?, args.from, args.len),
        None => Events::bad_day(args.len)?,
    };
    // A replay of nothing proves nothing.
    if !events.wait()? {
        let path = args.events.as_deref().unwrap_or(Path::new("-")).display();
        bail!("read '{path}': it holds no event");
    }
    let sigchld = SignalPipe::watch(&[SIGCHLD]).context("catch SIGCHLD")?;
    Children::adopt_orphans().context("become a subreaper")?;
    let process = Process::start(&Program::new(&args.listener, &args.name))?;
    let family = Family::of(process.pid);
    let mut player = Player {
        args,
        process,
        family,
        signalled: false,
        sigchld,
        dispatcher: Dispatcher::default(),
        outgoing: Vec::new(),
        in_hand: None,
        started: Instant::now(),
        ready_after: None,
        since: Instant::now(),
        tally: Tally::default(),
        at_fault: false,
        crashed: false,
        unread: false,
    };
    player.play(&mut events)?;
    player.stop()?;
    player.summarise(events.malformed())
}

/// An event that the listener has been sent and has not answered.
struct InHand {
    event: Planned,
    deliveries: u32,
    sent: Instant,
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    rejected: u64,
    /// Events that were never accepted.
    lost: u64,
    latency: Duration,
    max_latency: Duration,
}

struct Player<'a> {
    args: &'a Replay,
    process: Process,
    family: Family,
    /// Whether we have signalled it: then its end by a signal is no failure.
    signalled: bool,
    sigchld: SignalPipe,
    dispatcher: Dispatcher,
    /// What of an event could not be written yet.
    outgoing: Vec<u8>,
    in_hand: Option<InHand>,
    started: Instant,
    ready_after: Option<Duration>,
    /// When the listener's state changed last.
    since: Instant,
    tally: Tally,
    /// Whether the listener has broken the protocol.
    at_fault: bool,
    /// Whether supervisord would have crashed by now.
    crashed: bool,
    /// Whether the reader of our standard output has left; the listener is judged all the same.
    unread: bool,
}

impl Player<'_> {
    /// Plays until all events are answered or the listener is of no more use.
    fn play(&mut self, events: &mut Events) -> anyhow::Result<()> {
        let mut again: Option<InHand> = None;
        loop {
            let busy = again.is_some() || self.in_hand.is_some();
            let (next, at_end) = match events.peek()? {
                Next::Event(event) if !busy => (Some(self.due(event)), false),
                Next::End if !busy => (None, true),
                _ => (None, false),
            };
            let state = self.dispatcher.state();
            if at_end && state != ListenerState::Unknown {
                return Ok(());
            }
            if state == ListenerState::Unknown || self.crashed || !self.is_in_time() || self.has_left() {
                return self.give_up(again, events);
            }
            if state == ListenerState::Ready
                && (again.is_some() || next.is_some_and(|due| due <= Instant::now()))
            {
                let (event, deliveries) = match again.take() {
                    Some(InHand { event, deliveries, .. }) => (event, deliveries),
                    None => (events.take().expect("it was peeked at"), 0),
                };
                self.send(event, deliveries)?;
            }
            // A listener that is READY may wait as long as the next event does.
            let ready = self.dispatcher.state() == ListenerState::Ready;
            let until = if ready { next } else { Some(self.since + self.args.timeout) };
            let awaited = events.fd().filter(|_| ready && next.is_none());
            again = self.turn(until, awaited)?.or(again);
        }
    }

    fn due(&self, event: &Planned) -> Instant {
        let start = self.started + self.ready_after.unwrap_or_default();
        match (self.args.speed, event.at) {
            (Speed::Times(factor), Some(at)) => start + at.div_f64(factor),
            _ => start,
        }
    }

    fn send(&mut self, event: Planned, deliveries: u32) -> anyhow::Result<()> {
        self.dispatcher.sent();
        self.since = Instant::now();
        self.outgoing.clone_from(&event.wire);
        self.in_hand = Some(InHand { event, deliveries: deliveries + 1, sent: self.since });
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Some(stdin) = &self.process.stdin else {
            return Ok(());
        };
        match rustix::io::write(stdin, &self.outgoing) {
            Ok(bytes) => drop(self.outgoing.drain(..bytes)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // supervisord notices it only when the listener ends; nobody will answer.
            Err(Errno::PIPE) => {
                self.fault("closed its standard input");
                self.process.stdin = None;
            }
            Err(error) => return Err(error).context("write an event to the listener"),
        }
        Ok(())
    }

    /// Waits until something happens, and takes it in; an event that was rejected comes back.
    /// It also ends when there is something to read from `awaited`.
    fn turn(
        &mut self,
        until: Option<Instant>,
        awaited: Option<BorrowedFd<'_>>,
    ) -> anyhow::Result<Option<InHand>> {
        let Process { stdin, stdout, stderr, .. } = &self.process;
        let waiting = stdin.as_ref().filter(|_| !self.outgoing.is_empty());
        // In the place of a descriptor that is closed or not wanted stands one that is watched anyway.
        let spare = self.sigchld.as_fd();
        let mut fds = [
            (Some(spare), PollFlags::IN),
            (stdout.as_ref().map(OwnedFd::as_fd), PollFlags::IN),
            (stderr.as_ref().map(OwnedFd::as_fd), PollFlags::IN),
            (waiting.map(OwnedFd::as_fd), PollFlags::OUT),
            (awaited, PollFlags::IN),
        ]
        .map(|(fd, flags)| fd.map_or((spare, PollFlags::empty()), |fd| (fd, flags)))
        .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags));
        stdio::poll(&mut fds, until).context("wait for the listener")?;
        let [_, out, err, input, _] = fds.map(|fd| !fd.revents().is_empty());
        self.sigchld.take();
        if input {
            self.write()?;
        }
        if err {
            self.pass_stderr()?;
        }
        if out { self.listen() } else { Ok(None) }
    }

    fn pass_stderr(&mut self) -> anyhow::Result<()> {
        let mut buf = [0; 16 * 1024];
        let bytes = read(self.process.stderr.as_ref(), &mut buf)?;
        if bytes == 0 {
            self.process.stderr = None;
        }
        // Where our own standard error is closed, nobody listens.
        let _ = io::stderr().write_all(&buf[..bytes]);
        Ok(())
    }

    fn listen(&mut self) -> anyhow::Result<Option<InHand>> {
        let mut buf = [0; 16 * 1024];
        let bytes = read(self.process.stdout.as_ref(), &mut buf)?;
        if bytes == 0 {
            self.process.stdout = None;
        }
        let mut again = None;
        for reaction in self.dispatcher.feed(&buf[..bytes]) {
            self.since = Instant::now();
            again = self.react(reaction)?.or(again);
        }
        Ok(again)
    }

    fn react(&mut self, reaction: Reaction) -> anyhow::Result<Option<InHand>> {
        if matches!(reaction, Reaction::Accepted | Reaction::Rejected(_)) && !self.outgoing.is_empty() {
            self.fault(
                "answered an event before it had read the whole of it: supervisord itself would crash",
            );
            self.crashed = true;
        }
        match reaction {
            Reaction::Ready => {
                self.ready_after.get_or_insert(self.started.elapsed());
            }
            Reaction::Accepted => {
                self.tally.accepted += 1;
                if let Some(in_hand) = self.in_hand.take() {
                    self.report(&in_hand, "OK")?;
                }
            }
            Reaction::Rejected(body) => {
                self.tally.rejected += 1;
                if let Some(in_hand) = self.in_hand.take() {
                    self.report(&in_hand, &String::from_utf8_lossy(&body))?;
                    if in_hand.deliveries < MAX_DELIVERIES {
                        return Ok(Some(in_hand));
                    }
                    self.tally.lost += 1;
                    self.fault(&format!("rejected event {} {MAX_DELIVERIES} times", in_hand.event.serial));
                }
            }
            Reaction::Unknown(output) => {
                let shown = output[..output.len().min(200)].escape_ascii();
                let instead = if self.in_hand.is_some() { "a result" } else { "READY" };
                self.fault(&format!(
                    "wrote '{shown}' instead of {instead}: supervisord would never send it an event again"
                ));
                if let Some(in_hand) = self.in_hand.take() {
                    self.tally.lost += 1;
                    self.report(&in_hand, "UNKNOWN")?;
                }
            }
        }
        Ok(None)
    }

    fn report(&mut self, in_hand: &InHand, result: &str) -> anyhow::Result<()> {
        let latency = in_hand.sent.elapsed();
        self.tally.latency += latency;
        self.tally.max_latency = self.tally.max_latency.max(latency);
        let Planned { serial, eventname, .. } = &in_hand.event;
        let seconds = (latency.as_secs_f64() * 1e6).round() / 1e6;
        let line = json!({"serial": serial, "eventname": eventname, "result": result, "latency": seconds});
        if self.unread {
            return Ok(());
        }
        match stdio::print(format!("{line}\n").as_bytes()) {
            Err(error) if error.is::<ClosedStdout>() => self.unread = true,
            result => return result,
        }
        Ok(())
    }

    fn is_in_time(&mut self) -> bool {
        if self.dispatcher.state() == ListenerState::Ready || self.since.elapsed() < self.args.timeout {
            return true;
        }
        let what = if self.in_hand.is_some() { "did not answer an event" } else { "did not write READY" };
        self.fault(&format!("{what} within {:?}", self.args.timeout));
        false
    }

    fn has_left(&mut self) -> bool {
        // What it wrote last may still be in the pipe.
        let silent = self.process.stdout.is_none() || self.dispatcher.state() == ListenerState::Ready;
        if !silent || !self.family.has_ended() {
            return false;
        }
        self.fault(&format!("{} before all events were played", self.end()));
        true
    }

    fn give_up(&mut self, again: Option<InHand>, events: &mut Events) -> anyhow::Result<()> {
        for in_hand in [self.in_hand.take(), again].into_iter().flatten() {
            self.tally.lost += 1;
            self.report(&in_hand, "none")?;
        }
        while let Next::Event(_) = events.peek()? {
            events.take();
            self.tally.lost += 1;
        }
        Ok(())
    }

    /// Closes standard input, then waits for everything to end, with signals if need be.
    fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stdin = None;
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
                log::warn!("the listener did not end within {:?}; sending {name}", self.args.stop_timeout);
                self.family.signal_all(signal);
                self.signalled = true;
            }
            let until = Instant::now() + self.args.stop_timeout;
            while Instant::now() < until {
                let gone = self.family.is_gone();
                if gone && self.process.stdout.is_none() && self.process.stderr.is_none() {
                    return Ok(());
                }
                self.turn(Some(until), None)?;
            }
        }
        Ok(())
    }

    fn end(&self) -> String {
        self.family.end().map_or_else(|| "is still running".to_owned(), |end| end.to_string())
    }

    fn has_failed(&self) -> bool {
        self.family.end().is_some_and(|end| {
            end.status().is_some_and(|status| status != 0) || (end.signal().is_some() && !self.signalled)
        })
    }

    fn fault(&mut self, fault: &str) {
        log::error!("the listener {fault}");
        self.at_fault = true;
    }

    fn summarise(&mut self, malformed: u64) -> anyhow::Result<u8> {
        let Tally { accepted, rejected, lost, latency, max_latency } = self.tally;
        let answers = u32::try_from(accepted + rejected).unwrap_or(u32::MAX).max(1);
        let ready = self.ready_after.map_or("never ready".into(), |after| format!("ready after {after:.2?}"));
        let summary = format!(
            "{accepted} events accepted, {rejected} rejections, {lost} events lost; {ready}; latency mean {:.1?}, \
             max {max_latency:.1?}; the listener {}",
            latency / answers,
            self.end()
        );
        log::info!("{summary}");
        let well = lost == 0 && malformed == 0 && !self.at_fault && !self.has_failed();
        Ok(if well { cli::DONE } else { cli::FAILED })
    }
}

fn read(fd: Option<&OwnedFd>, buf: &mut [u8]) -> anyhow::Result<usize> {
    let Some(fd) = fd else { return Ok(0) };
    rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buf)).context("read from the listener")
}

//! One listener process for one case: started, sent bytes, listened to with a deadline, and ended.
//!
//! What it writes goes through [`Dispatcher`], so that every failure can say what supervisord would have made of it.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use supd_core::children::End;
use supd_core::family::Family;
use supd_core::stdio;
use supd_core::supervisor::{Dispatcher, Reaction};

use super::Setting;
use super::case::{Verdict, failure};
use super::clock::{Clock, STEP};
use super::consequence;
use super::transcript::{Transcript, shown};
use crate::proc;
use crate::process::{Process, Program};

/// How long everything that was killed may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(30);

/// What to wait for between two parts of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pause {
    /// Until the listener has read what was written, or does not care to for a moment.
    UntilRead,
    /// Until it has read it, and then so long.
    Longer(Duration),
}

/// A listener and all that is known of it.
pub(crate) struct Session<'a> {
    pub(crate) setting: &'a Setting,
    pub(super) process: Process,
    pub(super) family: Family,
    pub(super) dispatcher: Dispatcher,
    pub(super) reactions: VecDeque<Reaction>,
    /// What of an event could not be written yet.
    pub(super) outgoing: Vec<u8>,
    pub(super) transcript: Transcript,
    clock: Clock,
    /// Whether it was given as much time again.
    was_indulged: bool,
    /// Number of the event that was made last.
    pub(super) serial: u64,
    /// Whether the listener, and all that share it, have closed its standard input.
    pub(super) is_deaf: bool,
    /// Whether it is being cleared away, which no signal interrupts.
    is_over: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn start(setting: &'a Setting) -> anyhow::Result<Self> {
        let process = Process::start(&Program::new(&setting.listener, "listener"))?;
        let family = Family::of(process.pid);
        Ok(Self {
            setting,
            process,
            family,
            dispatcher: Dispatcher::default(),
            reactions: VecDeque::new(),
            outgoing: Vec::new(),
            transcript: Transcript::default(),
            clock: Clock::start(Instant::now()),
            was_indulged: false,
            serial: 0,
            is_deaf: false,
            is_over: false,
        })
    }

    // Time.

    /// The time since the start, without that in which the machine stood still.
    pub(crate) fn now(&mut self) -> Duration {
        self.clock.look(Instant::now())
    }

    /// Whether the machine stood still for a moment: then nothing that took too long proves anything.
    pub(crate) fn stood_still(&self) -> bool {
        self.clock.stood_still()
    }

    /// How long the listener was given for what came last.
    pub(super) fn patience(&self) -> Duration {
        self.setting.timeout * if self.was_indulged { 2 } else { 1 }
    }

    /// Waits for something with all patience: who at the end of it has work to do, or waits for a disk, may be good and
    /// the machine slow, and gets as much again.
    pub(super) fn indulge<T>(
        &mut self,
        mut wait: impl FnMut(&mut Self, Duration) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        let patience = self.setting.timeout;
        let result = wait(self, patience)?;
        if result.is_some() {
            self.was_indulged = false;
            return Ok(result);
        }
        self.was_indulged = !proc::are_at_rest(&proc::descendants());
        // Who is at rest may have answered while we looked.
        wait(self, if self.was_indulged { patience } else { STEP })
    }

    // What is sent.

    /// Sends an event, to be answered; what the pipe does not take goes out as the listener reads.
    pub(crate) fn send(&mut self, event: &[u8]) -> anyhow::Result<()> {
        self.transcript.send(event);
        self.dispatcher.sent();
        self.put(event)
    }

    /// Sends an event in parts. Before the last has gone out there must be no answer.
    pub(crate) fn send_in_parts(&mut self, parts: &[&[u8]], pause: Pause) -> Verdict {
        self.transcript.send(&parts.concat());
        self.dispatcher.sent();
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                self.pause(pause)?;
                self.not_answered_yet()?;
            }
            self.put(part)?;
        }
        Ok(())
    }

    fn not_answered_yet(&self) -> Verdict {
        let received = self.transcript.received();
        if received.is_empty() {
            return Ok(());
        }
        let wrote = format!("it wrote '{}' before the whole event had come", shown(received, 60));
        Err(failure(wrote, consequence::UNREAD))
    }

    fn pause(&mut self, pause: Pause) -> anyhow::Result<()> {
        let (patience, longer) = match pause {
            Pause::UntilRead => (Duration::from_millis(20), Duration::ZERO),
            Pause::Longer(longer) => (self.setting.timeout, longer),
        };
        let until = self.now() + patience;
        while (self.unread() > 0 || !self.outgoing.is_empty()) && self.may_wait(until)? {
            // Nothing tells when a pipe has become empty, so it is looked at often.
            let soon = self.now() + Duration::from_micros(200);
            self.turn(soon.min(until))?;
        }
        let until = self.now() + longer;
        while self.may_wait(until)? {
            self.turn(until)?;
        }
        Ok(())
    }

    /// Whether it is not yet that time, and there is no answer.
    fn may_wait(&mut self, until: Duration) -> anyhow::Result<bool> {
        Ok(self.now() < until && self.transcript.received().is_empty() && !self.is_gone()?)
    }

    /// How many bytes the listener has not read out of the pipe.
    pub(super) fn unread(&self) -> u64 {
        self.process.stdin.as_ref().and_then(|stdin| rustix::io::ioctl_fionread(stdin).ok()).unwrap_or(0)
    }

    /// Sends more of an event.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.outgoing.extend_from_slice(bytes);
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Some(stdin) = &self.process.stdin else {
            return Ok(());
        };
        match rustix::io::write(stdin, &self.outgoing) {
            Ok(bytes) => drop(self.outgoing.drain(..bytes)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::PIPE) => self.goes_deaf(),
            Err(error) => return Err(error).context("write an event to the listener"),
        }
        Ok(())
    }

    /// supervisord makes nothing of it; nobody will answer.
    fn goes_deaf(&mut self) {
        self.outgoing.clear();
        self.process.stdin = None;
        self.is_deaf = true;
    }

    // How it ends.

    /// The listener sees the end of its input.
    pub(crate) fn close_stdin(&mut self) {
        self.process.stdin = None;
    }

    /// As when supervisord is killed, or has reaped the process it started: all pipes are closed.
    pub(crate) fn hang_up(&mut self) {
        self.process.stdin = None;
        self.process.stdout = None;
        self.process.stderr = None;
    }

    /// The listener's group stands still, so that all that is done meanwhile is there when it goes on. What it starts
    /// into a group of its own should be started by now: on its way from one group to the other it could be stopped.
    pub(crate) fn freeze(&mut self) {
        self.family.signal_group(Signal::STOP);
    }

    pub(crate) fn thaw(&mut self) {
        self.family.signal_group(Signal::CONT);
    }

    /// Tells the process to stop, and no other, as supervisord does; its pipes stay open.
    pub(crate) fn terminate(&mut self) {
        // Who ends before the signal comes needs none.
        let _ = rustix::process::kill_process(self.process.pid, Signal::TERM);
    }

    /// Waits for the process that was started to end; `None` when it does not in time.
    pub(crate) fn end(&mut self) -> anyhow::Result<Option<End>> {
        self.wait(|session| session.family.has_ended())?;
        Ok(self.family.end())
    }

    /// Waits until nothing that it started is left.
    pub(crate) fn leaves_nothing(&mut self) -> anyhow::Result<bool> {
        self.wait(|session| session.family.is_gone())
    }

    /// Lets time pass, and takes in what comes meanwhile.
    pub(crate) fn pass(&mut self, duration: Duration) -> anyhow::Result<()> {
        let until = self.now() + duration;
        while self.now() < until && !self.family.has_ended() {
            self.turn(until)?;
        }
        Ok(())
    }

    fn wait(&mut self, mut holds: impl FnMut(&mut Self) -> bool) -> anyhow::Result<bool> {
        let held = self.indulge(|session, patience| {
            let until = session.now() + patience;
            loop {
                if holds(session) {
                    return Ok(Some(()));
                }
                if session.now() >= until {
                    return Ok(None);
                }
                session.turn(until)?;
            }
        })?;
        Ok(held.is_some())
    }

    /// Ends everything that is left, and hands out what was said.
    pub(crate) fn finish(mut self) -> anyhow::Result<Transcript> {
        self.is_over = true;
        // What its programs wrote last is evidence.
        self.turn(Duration::ZERO)?;
        let until = self.now() + AFTER_KILL;
        while !self.family.is_gone() {
            anyhow::ensure!(self.now() < until, "kill the listener: something it started does not end");
            self.family.signal_all(Signal::KILL);
            // An orphan becomes ours when its parent has ended, and is signalled at the next turn.
            let soon = self.now() + Duration::from_millis(20);
            self.turn(soon.min(until))?;
        }
        Ok(self.transcript)
    }

    /// Whether the process that was started has ended, and how; nothing is waited for.
    pub(crate) fn ended(&mut self) -> Option<End> {
        self.family.has_ended();
        self.family.end()
    }

    // The descriptors.

    /// Whether nothing more can come: the process has ended or reads nothing more, and what it wrote has been read.
    pub(super) fn is_gone(&mut self) -> anyhow::Result<bool> {
        if !self.family.has_ended() && !self.is_deaf {
            return Ok(self.process.stdout.is_none());
        }
        while self.listen()? > 0 {}
        self.pass_stderr()?;
        Ok(true)
    }

    /// Waits until something happens, for at most one [`STEP`], and takes it in.
    pub(super) fn turn(&mut self, until: Duration) -> anyhow::Result<()> {
        let step = until.saturating_sub(self.now()).min(STEP);
        let Process { stdin, stdout, stderr, .. } = &self.process;
        // That nobody reads it any more is told without asking.
        let writable = if self.outgoing.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        // In the place of a descriptor that is closed or not wanted stands one that is watched anyway.
        let spare = self.setting.sigchld.as_fd();
        let mut fds = [
            (Some(spare), PollFlags::IN),
            (Some(self.setting.interruption.as_fd()).filter(|_| !self.is_over), PollFlags::IN),
            (stdout.as_ref().map(OwnedFd::as_fd), PollFlags::IN),
            (stderr.as_ref().map(OwnedFd::as_fd), PollFlags::IN),
            (stdin.as_ref().map(OwnedFd::as_fd), writable),
        ]
        .map(|(fd, flags)| fd.map_or((spare, PollFlags::empty()), |fd| (fd, flags)))
        .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags));
        stdio::poll(&mut fds, Some(Instant::now() + step)).context("wait for the listener")?;
        let is_deaf = fds[4].revents().intersects(stdio::CLOSED);
        let [_, interrupted, out, err, input] = fds.map(|fd| !fd.revents().is_empty());
        if interrupted {
            self.setting.interruption.check()?;
        }
        self.setting.sigchld.take();
        if is_deaf {
            self.goes_deaf();
        } else if input {
            self.write()?;
        }
        if err {
            self.pass_stderr()?;
        }
        if out {
            self.listen()?;
        }
        Ok(())
    }

    fn listen(&mut self) -> anyhow::Result<usize> {
        let mut buf = [0; 16 * 1024];
        let Some(bytes) = read(&mut self.process.stdout, &mut buf)? else {
            return Ok(0);
        };
        self.transcript.receive(bytes);
        self.reactions.extend(self.dispatcher.feed(bytes));
        Ok(bytes.len())
    }

    fn pass_stderr(&mut self) -> anyhow::Result<()> {
        let mut buf = [0; 16 * 1024];
        if let Some(bytes) = read(&mut self.process.stderr, &mut buf)? {
            self.transcript.receive_stderr(bytes);
        }
        Ok(())
    }
}

/// What there is to read; `None` when there is nothing, now or (then the descriptor is closed) ever again.
fn read<'a>(fd: &mut Option<OwnedFd>, buf: &'a mut [u8]) -> anyhow::Result<Option<&'a [u8]>> {
    let Some(open) = fd else { return Ok(None) };
    match rustix::io::retry_on_intr(|| rustix::io::read(&*open, &mut *buf)) {
        Ok(0) => {
            *fd = None;
            Ok(None)
        }
        Ok(bytes) => Ok(Some(&buf[..bytes])),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error).context("read from the listener"),
    }
}

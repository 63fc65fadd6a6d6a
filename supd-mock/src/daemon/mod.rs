//! supervisord's body: does what supd-core's `Supervisor` decides, with real processes, pipes and signals.

mod end;

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use supd_core::children::{Children, End};
use supd_core::interruption::Interruption;
use supd_core::signals::{SIGCHLD, SignalPipe};
use supd_core::stdio;
use supd_core::supervisor::{Id, PoolConfig, ProcessConfig, Report, Step, Supervisor};

use crate::fault::{Faults, GARBAGE, Hit, Pace};
use crate::listeners::Cast;
use crate::process::{Process, Program};
use crate::transcript::Transcript;

/// Where what listeners write to standard error goes.
pub(crate) type Say = Box<dyn FnMut(&[u8])>;

/// A listener section, and what to start for each of its processes.
pub(crate) type Section = (PoolConfig, Vec<(ProcessConfig, Program)>);

/// How much is read at once.
const READ: usize = 16 * 1024;
/// As much as a pipe holds, twice.
const PIPE: usize = 128 * 1024;

/// What happened, for whoever plays.
#[derive(Debug)]
pub(crate) enum Happening {
    /// As supervisord would log it.
    Report(Report),
    /// A process ended. Processes are called by their names.
    Ended(String, End),
    /// A listener answered an event before it had read the whole of it. supervisord would crash when it next writes
    /// to that pipe while it is full.
    Early(String),
    /// A listener closed its standard input.
    Deaf(String),
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// What of an event could not be written yet.
    outgoing: Vec<u8>,
    pace: Pace,
    /// What is to be done to it when that has been written.
    then: Vec<Hit>,
}

/// A supervisord with running listeners.
pub(crate) struct Daemon {
    pub(crate) supervisor: Supervisor,
    children: Children,
    programs: Vec<Program>,
    running: Vec<Option<Running>>,
    /// Standard errors of processes that have ended, still held by their descendants.
    lingering: Vec<OwnedFd>,
    sigchld: SignalPipe,
    interruption: Interruption,
    pub(crate) faults: Faults,
    transcript: Option<Transcript>,
    happenings: Vec<Happening>,
    say: Say,
    /// Whether what a dead listener left behind may still write to standard error; supervisord closes it.
    lets_linger: bool,
}

impl Daemon {
    /// A supervisord that has started nothing. What listeners write to standard error goes to `say`.
    pub(crate) fn new(
        Cast { supervisor, sections, .. }: Cast,
        faults: Faults,
        transcript: Option<Transcript>,
        say: Say,
    ) -> anyhow::Result<Self> {
        let sigchld = SignalPipe::watch(&[SIGCHLD]).context("catch SIGCHLD")?;
        let interruption = Interruption::watch().context("catch the signals that end us")?;
        Children::adopt_orphans().context("become a subreaper")?;
        let programs: Vec<Program> = sections
            .iter()
            .flat_map(|(_, processes)| processes)
            .map(|(_, program)| program.clone())
            .collect();
        let without_programs = |(pool, processes): Section| {
            (pool, processes.into_iter().map(|(process, _)| process).collect::<Vec<_>>())
        };
        Ok(Self {
            supervisor: Supervisor::new(supervisor, sections.into_iter().map(without_programs).collect()),
            children: Children::default(),
            running: programs.iter().map(|_| None).collect(),
            programs,
            lingering: Vec::new(),
            sigchld,
            interruption,
            faults,
            transcript,
            happenings: Vec::new(),
            say,
            lets_linger: false,
        })
    }

    /// Waits until something happens, at most until then or until there is something to read from `awaited`, and
    /// takes it in. In supervisord's order: what listeners wrote, who ended, what that and the time bring about.
    pub(crate) fn turn(
        &mut self,
        until: Option<Instant>,
        awaited: Option<BorrowedFd<'_>>,
    ) -> anyhow::Result<Vec<Happening>> {
        self.wait(until, awaited)?;
        self.settle()
    }

    /// As [`Self::turn`], without waiting for anything.
    pub(crate) fn settle(&mut self) -> anyhow::Result<Vec<Happening>> {
        self.reap()?;
        self.supervisor.turn(Instant::now());
        while let Some(step) = self.supervisor.next() {
            self.perform(step)?;
        }
        Ok(std::mem::take(&mut self.happenings))
    }

    fn wait(&mut self, until: Option<Instant>, awaited: Option<BorrowedFd<'_>>) -> anyhow::Result<()> {
        let paces = self.running.iter().flatten().filter(|running| !running.outgoing.is_empty());
        let not_before = paces.filter_map(|running| running.pace.not_before()).min();
        let until = [until, self.supervisor.due(), not_before].into_iter().flatten().min();
        let watched = self.watched(awaited);
        let mut fds: Vec<PollFd<'_>> =
            watched.iter().map(|&(fd, flags, _)| PollFd::from_borrowed_fd(fd, flags)).collect();
        stdio::poll(&mut fds, until).context("wait for the listeners")?;
        let ready = fds.iter().zip(&watched).filter(|(fd, _)| !fd.revents().is_empty());
        let ready: Vec<Meaning> = ready.map(|(_, &(_, _, meaning))| meaning).collect();
        self.interruption.check()?;
        self.sigchld.take();
        // From the last, since an index must hold until it is used.
        for meaning in ready.into_iter().rev() {
            match meaning {
                Meaning::Stdout(id) => drop(self.listen(id)?),
                Meaning::Stderr(id) => drop(self.pass_stderr(id)?),
                Meaning::Stdin(id) => drop(self.write(id)?),
                Meaning::Lingering(index) => self.pass_lingering(index)?,
                Meaning::Other => {}
            }
        }
        Ok(())
    }

    fn watched<'a>(&'a self, awaited: Option<BorrowedFd<'a>>) -> Vec<(BorrowedFd<'a>, PollFlags, Meaning)> {
        let signals = [self.sigchld.as_fd(), self.interruption.as_fd()];
        let mut watched = signals.map(|fd| (fd, PollFlags::IN, Meaning::Other)).to_vec();
        watched.extend(awaited.map(|fd| (fd, PollFlags::IN, Meaning::Other)));
        for (id, running) in self.running.iter().enumerate() {
            let Some(Running { process, outgoing, pace, .. }) = running else { continue };
            let stdin = process.stdin.as_ref().filter(|_| !outgoing.is_empty() && pace.is_over());
            watched
                .extend(process.stdout.as_ref().map(|fd| (fd.as_fd(), PollFlags::IN, Meaning::Stdout(id))));
            watched
                .extend(process.stderr.as_ref().map(|fd| (fd.as_fd(), PollFlags::IN, Meaning::Stderr(id))));
            watched.extend(stdin.map(|fd| (fd.as_fd(), PollFlags::OUT, Meaning::Stdin(id))));
        }
        let lingering = self.lingering.iter().enumerate();
        watched.extend(lingering.map(|(index, fd)| (fd.as_fd(), PollFlags::IN, Meaning::Lingering(index))));
        watched
    }

    /// Takes in what a listener wrote to its standard output; whether there may be more.
    fn listen(&mut self, id: Id) -> anyhow::Result<bool> {
        let mut buf = [0; READ];
        let Some(running) = &mut self.running[id] else { return Ok(false) };
        let Some(bytes) = read(running.process.stdout.as_ref(), &mut buf)? else { return Ok(false) };
        if bytes == 0 {
            running.process.stdout = None;
            return Ok(false);
        }
        let unread = !running.outgoing.is_empty();
        let before = self.supervisor.in_hand();
        self.supervisor.output(id, &buf[..bytes]);
        if unread && self.supervisor.in_hand() < before {
            self.happenings.push(Happening::Early(self.supervisor.name(id).to_owned()));
        }
        Ok(true)
    }

    fn pass_stderr(&mut self, id: Id) -> anyhow::Result<bool> {
        let mut buf = [0; READ];
        let Some(running) = &mut self.running[id] else { return Ok(false) };
        let Some(bytes) = read(running.process.stderr.as_ref(), &mut buf)? else { return Ok(false) };
        if bytes == 0 {
            running.process.stderr = None;
        }
        (self.say)(&buf[..bytes]);
        Ok(bytes > 0)
    }

    fn pass_lingering(&mut self, index: usize) -> anyhow::Result<()> {
        let mut buf = [0; READ];
        match read(self.lingering.get(index), &mut buf)? {
            Some(0) => drop(self.lingering.swap_remove(index)),
            Some(bytes) => (self.say)(&buf[..bytes]),
            None => {}
        }
        Ok(())
    }

    fn reap(&mut self) -> anyhow::Result<()> {
        self.children.reap();
        for id in self.supervisor.ids() {
            let Some(pid) = self.running[id].as_ref().map(|running| running.process.pid) else { continue };
            if let Some(end) = self.children.end_of(pid) {
                self.children.forget(pid);
                // What it wrote last may still be in the pipes; what others go on writing there is not its own.
                for _ in 0..PIPE / READ {
                    if !(self.listen(id)? | self.pass_stderr(id)?) {
                        break;
                    }
                }
                self.happenings.push(Happening::Ended(self.supervisor.name(id).to_owned(), end));
                self.supervisor.exited(id, end.status(), Instant::now());
            }
        }
        Ok(())
    }

    fn perform(&mut self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Spawn(id) => self.spawn(id)?,
            Step::Write(id, wire) => self.send(id, &wire)?,
            Step::Kill { process, signal, as_group } => self.kill(process, signal, as_group)?,
            Step::Close(id) => {
                if let Some(running) = self.running[id].take() {
                    self.lingering.extend(running.process.stderr.filter(|_| self.lets_linger));
                }
            }
            Step::Report(report) => {
                log::debug!("{report}");
                if let Some(transcript) = &mut self.transcript {
                    transcript.report(&report)?;
                }
                self.happenings.push(Happening::Report(report));
            }
        }
        Ok(())
    }

    fn spawn(&mut self, id: Id) -> anyhow::Result<()> {
        match Process::start(&self.programs[id]) {
            Ok(process) => {
                self.children.watch(process.pid);
                let pid = process.pid.as_raw_nonzero().get().unsigned_abs();
                self.supervisor.spawned(id, pid, Instant::now());
                let pace = self.faults.pace();
                self.running[id] = Some(Running { process, outgoing: Vec::new(), pace, then: Vec::new() });
            }
            Err(error) => {
                log::error!("{error:#}");
                self.supervisor.spawn_failed(id, Instant::now());
            }
        }
        Ok(())
    }

    fn send(&mut self, id: Id, wire: &[u8]) -> anyhow::Result<()> {
        let hits = self.faults.next_event();
        let running = self.running[id].as_mut().filter(|running| running.process.stdin.is_some());
        let Some(running) = running else {
            self.supervisor.deaf(id);
            return Ok(());
        };
        if hits.contains(&Hit::Garbage) {
            running.outgoing.extend_from_slice(GARBAGE);
        }
        running.outgoing.extend_from_slice(wire);
        running.pace.begins(wire);
        running.then = hits;
        if self.write(id)? {
            if let Some(transcript) = &mut self.transcript {
                transcript.sent(self.supervisor.name(id), wire)?;
            }
        } else {
            // Only what finds the pipe closed from the beginning goes to another; what breaks off is in hand.
            self.supervisor.deaf(id);
        }
        Ok(())
    }

    /// Writes what the pipe takes and the pace allows; whether it is still open.
    fn write(&mut self, id: Id) -> anyhow::Result<bool> {
        let Some(running) = &mut self.running[id] else { return Ok(false) };
        let Some(stdin) = &running.process.stdin else { return Ok(false) };
        let Some(piece) = running.pace.piece(stdin, &running.outgoing) else { return Ok(true) };
        match rustix::io::write(stdin, piece) {
            Ok(bytes) => {
                drop(running.outgoing.drain(..bytes));
                running.pace.wrote(bytes);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::PIPE) => {
                running.outgoing.clear();
                running.process.stdin = None;
                self.happenings.push(Happening::Deaf(self.supervisor.name(id).to_owned()));
                return Ok(false);
            }
            Err(error) => return Err(error).context("write an event to the listener"),
        }
        if running.outgoing.is_empty() {
            self.hit(id)?;
        }
        Ok(true)
    }

    /// Does what a fault wants done to a listener that has been sent an event.
    fn hit(&mut self, id: Id) -> anyhow::Result<()> {
        let Some(running) = &mut self.running[id] else { return Ok(()) };
        for hit in std::mem::take(&mut running.then) {
            match hit {
                Hit::Close => running.process.stdin = None,
                Hit::Kill => return self.kill(id, Signal::KILL.as_raw(), false),
                Hit::Garbage => {}
            }
        }
        Ok(())
    }

    /// Signals a listener. Who ends before the signal comes needs none.
    pub(crate) fn kill(&mut self, id: Id, signal: i32, as_group: bool) -> anyhow::Result<()> {
        let Some(running) = &self.running[id] else { return Ok(()) };
        let Some(signal) = Signal::from_named_raw(signal) else {
            log::error!("signal a listener: there is no signal {signal}");
            return Ok(());
        };
        let pid = running.process.pid;
        let _ = if as_group {
            rustix::process::kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
        match &mut self.transcript {
            Some(transcript) => transcript.signalled(self.supervisor.name(id), signal),
            None => Ok(()),
        }
    }

    /// Ends the transcript, if there is one, and gives what it kept.
    pub(crate) fn finish_transcript(&mut self) -> anyhow::Result<Option<String>> {
        self.transcript.take().map(Transcript::finish).transpose()
    }
}

/// What a descriptor that is ready is about.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Stdout(Id),
    Stderr(Id),
    Stdin(Id),
    Lingering(usize),
    Other,
}

/// Reads from a non-blocking pipe: nothing at its end, `None` when nothing has come yet.
fn read(fd: Option<&OwnedFd>, buf: &mut [u8]) -> anyhow::Result<Option<usize>> {
    let Some(fd) = fd else { return Ok(None) };
    match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buf)) {
        Err(Errno::AGAIN) => Ok(None),
        result => Ok(Some(result.context("read from a listener")?)),
    }
}

/// Where listeners' standard error goes unless there is a reason: to ours, as it comes.
pub(crate) fn to_stderr(bytes: &[u8]) {
    // Where our own standard error is closed, nobody listens.
    let _ = std::io::stderr().write_all(bytes);
}

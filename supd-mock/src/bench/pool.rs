//! The processes of one listener, from their start to the end of the last thing that any of them left behind.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal};
use supd_core::children::{Children, End};
use supd_core::signals::SignalPipe;
use supd_core::stdio;

use super::drive;
use super::member::{Fault, Member};
use crate::process::Program;

/// A closed pipe is seen a moment before the end of the process that closed it.
const MOMENT: Duration = Duration::from_secs(1);

/// A pool that runs. Whatever is left of it when it is dropped is killed.
pub(crate) struct Pool<'a> {
    pub(crate) members: Vec<Member>,
    children: Children,
    sigchld: &'a SignalPipe,
    timeout: Duration,
}

impl<'a> Pool<'a> {
    /// Starts so many processes of a listener. They are named as supervisord would name them, with
    /// `process_name=%(program_name)s_%(process_num)02d` when there is more than one.
    pub(crate) fn start(
        words: &[OsString],
        count: usize,
        sigchld: &'a SignalPipe,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        Children::adopt_orphans().context("become a subreaper")?;
        let mut pool = Self { members: Vec::new(), children: Children::default(), sigchld, timeout };
        for number in 0..count {
            let mut program = Program::new(words, super::NAME);
            if count > 1 {
                program.processname = format!("{}_{number:02}", super::NAME);
            }
            let member = Member::start(&program)?;
            pool.children.watch(member.pid);
            pool.members.push(member);
        }
        Ok(pool)
    }

    /// Waits until all are READY; false when one is not in time.
    pub(crate) fn wait_until_ready(&mut self) -> Result<bool, Fault> {
        let until = Instant::now() + self.timeout;
        while !self.members.iter().all(Member::is_ready) {
            let wrote = drive::poll(&self.members, Some(until))?;
            if !wrote.contains(&true) {
                return Ok(false);
            }
            for (member, _) in self.members.iter_mut().zip(wrote).filter(|(_, wrote)| *wrote) {
                member.hear()?;
            }
        }
        Ok(true)
    }

    /// How a process ended that has closed a pipe; `None` when it goes on without.
    pub(crate) fn end_of(&mut self, pid: Pid) -> anyhow::Result<Option<End>> {
        let until = Instant::now() + MOMENT;
        while Instant::now() < until {
            self.children.reap();
            if let Some(end) = self.children.end_of(pid) {
                return Ok(Some(end));
            }
            self.wait_for_an_end(until)?;
        }
        Ok(None)
    }

    /// Closes standard input and waits for everything to end, with signals if need be; how one ended that did so with
    /// an error of its own.
    pub(crate) fn finish(&mut self) -> anyhow::Result<Option<End>> {
        self.members.iter_mut().for_each(Member::close);
        let mut signalled = false;
        for signal in [None, Some((Signal::TERM, "SIGTERM")), Some((Signal::KILL, "SIGKILL"))] {
            if let Some((signal, name)) = signal {
                log::warn!("the listener did not end within {:?}; sending {name}", self.timeout);
                self.signal(signal);
                signalled = true;
            }
            if self.wait_until_gone()? {
                break;
            }
        }
        let ends = self.members.iter().filter_map(|member| self.children.end_of(member.pid));
        Ok(ends.into_iter().find(|end| match end.status() {
            Some(status) => status != 0,
            None => !signalled,
        }))
    }

    fn wait_until_gone(&mut self) -> anyhow::Result<bool> {
        let until = Instant::now() + self.timeout;
        loop {
            self.children.reap();
            if self.children.none_left() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            self.wait_for_an_end(until)?;
        }
    }

    fn wait_for_an_end(&self, until: Instant) -> anyhow::Result<()> {
        let mut fds = [PollFd::new(self.sigchld, PollFlags::IN)];
        stdio::poll(&mut fds, Some(until)).context("wait for the listener to end")?;
        self.sigchld.take();
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        for member in &self.members {
            if self.children.end_of(member.pid).is_none() {
                let _ = rustix::process::kill_process_group(member.pid, signal);
            }
        }
        self.children.signal(signal);
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        self.children.reap();
        // What one leaves behind when it is killed becomes our child, so that it is found the next time.
        while !self.children.none_left() {
            self.signal(Signal::KILL);
            let _ = self.wait_for_an_end(Instant::now() + Duration::from_millis(100));
            self.children.reap();
        }
        self.members.iter_mut().for_each(Member::wait_for_stderr);
    }
}

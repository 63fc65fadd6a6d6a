//! One process of the pool: its pipes, and what it answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use super::answers::{Answers, Breach, Heard};
use crate::process::{Process, Program};

/// Why a listener is of no more use.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It has ended, or closed a pipe.
    Left(Pid),
    /// It broke the protocol.
    Breach(Breach),
    /// It rejects and rejects.
    Rejections,
    /// The system's.
    System(Errno),
}

/// An event that has been sent and not been answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InHand {
    pub(crate) number: u64,
    pub(crate) sent: Instant,
}

/// A process of the pool.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) pid: Pid,
    pub(crate) in_hand: Option<InHand>,
    answers: Answers,
    /// `None` once closed.
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: Option<JoinHandle<()>>,
}

impl Member {
    pub(crate) fn start(program: &Program) -> anyhow::Result<Self> {
        let Process { pid, stdin, stdout, stderr } = Process::start(program)?;
        let mut pipes =
            [stdin, stdout, stderr].map(|pipe| pipe.expect("a process begins with its pipes open"));
        for pipe in &mut pipes {
            // Nothing else is to be done while a listener works on its only event.
            set_blocking(pipe).context("wait on the listener's pipes")?;
        }
        let [stdin, stdout, stderr] = pipes;
        Ok(Self {
            pid,
            in_hand: None,
            answers: Answers::default(),
            stdin: Some(stdin),
            stdout,
            stderr: Some(std::thread::spawn(move || pass_on(stderr.into()))),
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.answers.is_ready()
    }

    /// Writes an event to it, which is ready; waits while the pipe is full.
    pub(crate) fn send(&mut self, event: &[u8]) -> Result<(), Fault> {
        self.answers.sent();
        let Some(stdin) = &self.stdin else { return Err(Fault::Left(self.pid)) };
        let mut rest = event;
        while !rest.is_empty() {
            match rustix::io::write(stdin, rest) {
                Ok(bytes) => rest = &rest[bytes..],
                Err(Errno::INTR) => {}
                Err(Errno::PIPE) => return Err(Fault::Left(self.pid)),
                Err(errno) => return Err(Fault::System(errno)),
            }
        }
        Ok(())
    }

    /// Reads what it has written; waits when that is nothing.
    pub(crate) fn hear(&mut self) -> Result<Heard, Fault> {
        // Small, because it is filled with zeros each time; answers are a few bytes.
        let mut buf = [0; 128];
        let bytes = rustix::io::retry_on_intr(|| rustix::io::read(&self.stdout, &mut buf));
        match bytes.map_err(Fault::System)? {
            0 => Err(Fault::Left(self.pid)),
            bytes => self.answers.take(&buf[..bytes]).map_err(Fault::Breach),
        }
    }

    /// Tells it that there are no more events.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Once all who hold its standard error have ended: what they wrote there has been passed on.
    pub(crate) fn wait_for_stderr(&mut self) {
        if let Some(thread) = self.stderr.take() {
            let _ = thread.join();
        }
    }
}

impl AsFd for Member {
    /// What becomes readable when it has written something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }
}

fn set_blocking(pipe: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(pipe)?;
    Ok(rustix::fs::fcntl_setfl(pipe, flags - OFlags::NONBLOCK)?)
}

fn pass_on(mut stderr: File) {
    let mut buf = [0; 16 * 1024];
    while let Ok(bytes @ 1..) = stderr.read(&mut buf) {
        // Where our own standard error is closed, nobody listens.
        let _ = io::stderr().write_all(&buf[..bytes]);
    }
}

//! The pipeline that supd-listen runs: started in a process group of its own, fed, drained, and never left behind.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use supd_core::signals::SignalPipe;
use supd_core::stdio;

use crate::args::Output;

/// What a pipeline may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// A running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The process that we started, and its process group: they have the same number.
    pid: Pid,
    name: String,
    status: Option<WaitStatus>,
    /// Nothing of its group is left.
    gone: bool,
}

impl Pipeline {
    /// Starts what the output asks for, if it asks for a pipeline.
    pub(crate) fn start(output: &Output<'_>) -> anyhow::Result<Option<(Self, ChildStdin)>> {
        let mut command = match output {
            Output::Shell(script) => {
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(script);
                command
            }
            Output::Program(words) => {
                let (program, args) = words.split_first().expect("clap asks for at least one word");
                let mut command = Command::new(program);
                command.args(args);
                command
            }
            Output::File(_) | Output::Stdout => return Ok(None),
        };
        let name = match output {
            Output::Shell(script) => (*script).to_owned(),
            _ => command.get_program().to_string_lossy().into_owned(),
        };
        // What is left of the pipeline when its shell dies becomes our child, so that we can wait for it.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("become a subreaper")?;
        let stderr = io::stderr().as_fd().try_clone_to_owned().context("duplicate standard error")?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(stderr)
            // With `stopasgroup=true` supervisord signals our group; the pipeline should drain first.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start '{name}'"))?;
        let stdin = child.stdin.take().expect("its standard input was asked to be a pipe");
        let pid = Pid::from_child(&child);
        Ok(Some((Self { pid, name, status: None, gone: false }, stdin)))
    }

    /// Whether the process that we started has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.reap();
        self.status.is_some()
    }

    fn reap(&mut self) {
        loop {
            match rustix::process::waitpgid(self.pid, WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => return self.gone = true,
            }
        }
    }

    /// Waits for the whole group, whose input has been closed: until the deadline, then with SIGTERM, then with SIGKILL.
    /// Gives the exit status of the process that we started, 128 + n when signal n ended it.
    pub(crate) fn drain(mut self, sigchld: &SignalPipe, deadline: Instant) -> anyhow::Result<u8> {
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
                log::warn!("drain '{}': still running; sending {name}", self.name);
                // It may have ended just now.
                let _ = rustix::process::kill_process_group(self.pid, signal);
            }
            let until = if signal.is_none() { deadline } else { Instant::now() + GRACE };
            if self.wait(sigchld, until)? {
                break;
            }
        }
        let status = self.status.map_or(1, exit_status);
        if status != 0 {
            log::error!("pipeline '{}' ended with status {status}", self.name);
        }
        Ok(status)
    }

    fn wait(&mut self, sigchld: &SignalPipe, until: Instant) -> anyhow::Result<bool> {
        loop {
            sigchld.take();
            self.reap();
            if self.gone || Instant::now() >= until {
                return Ok(self.gone);
            }
            let mut fds = [PollFd::new(sigchld, PollFlags::IN)];
            stdio::poll(&mut fds, Some(until)).context("wait for the pipeline")?;
        }
    }
}

fn exit_status(status: WaitStatus) -> u8 {
    let signalled = || status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or_else(signalled).and_then(|status| u8::try_from(status).ok()).unwrap_or(1)
}

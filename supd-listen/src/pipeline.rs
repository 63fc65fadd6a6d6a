//! The pipeline that supd-listen runs: started in a process group of its own, fed, drained, and never left behind.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal};
use supd_core::children::Children;
use supd_core::family::Family;
use supd_core::signals::SignalPipe;
use supd_core::stdio;

use crate::args::Output;

/// What a pipeline may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// A running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    family: Family,
    name: String,
}

impl Pipeline {
    /// Starts what the output asks for, if it asks for a pipeline, with these variables beside our own.
    pub(crate) fn start(
        output: &Output<'_>,
        environment: impl IntoIterator<Item = impl IntoIterator<Item = (&'static str, OsString)>>,
    ) -> anyhow::Result<Option<(Self, ChildStdin)>> {
        let (mut command, name) = match output {
            Output::Shell(script) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", script]);
                (command, (*script).to_owned())
            }
            Output::Program(words) => {
                let (program, args) = words.split_first().expect("clap asks for at least one word");
                let mut command = Command::new(program);
                command.args(args);
                (command, program.to_string_lossy().into_owned())
            }
            Output::File(_) | Output::Stdout => return Ok(None),
        };
        Children::adopt_orphans().context("become a subreaper")?;
        let stderr = io::stderr().as_fd().try_clone_to_owned().context("duplicate standard error")?;
        let mut child = command
            .envs(environment.into_iter().flatten())
            .stdin(Stdio::piped())
            .stdout(stderr)
            // With `stopasgroup=true` supervisord signals our group; the pipeline should drain first.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start '{name}'"))?;
        let stdin = child.stdin.take().expect("its standard input was asked to be a pipe");
        Ok(Some((Self { family: Family::of(Pid::from_child(&child)), name }, stdin)))
    }

    /// Whether the process that we started has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.family.has_ended()
    }

    /// Waits for the whole group, whose input has been closed: until the deadline, then with SIGTERM, then with
    /// SIGKILL. Gives the exit status of the process that we started.
    pub(crate) fn drain(mut self, sigchld: &SignalPipe, deadline: Instant) -> anyhow::Result<u8> {
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
                log::warn!("drain '{}': still running; sending {name}", self.name);
                self.family.signal_group(signal);
            }
            let until = if signal.is_none() { deadline } else { Instant::now() + GRACE };
            if self.wait(sigchld, until)? {
                break;
            }
        }
        let Some(end) = self.family.end() else {
            log::error!("pipeline '{}' is still running", self.name);
            return Ok(1);
        };
        if end.code() != 0 {
            log::error!("pipeline '{}' {end}", self.name);
        }
        Ok(end.code())
    }

    /// Whether the group has gone by this time.
    fn wait(&mut self, sigchld: &SignalPipe, until: Instant) -> anyhow::Result<bool> {
        loop {
            sigchld.take();
            let gone = self.family.group_is_gone();
            if gone || Instant::now() >= until {
                return Ok(gone);
            }
            let mut fds = [PollFd::new(sigchld, PollFlags::IN)];
            stdio::poll(&mut fds, Some(until)).context("wait for the pipeline")?;
        }
    }
}

//! The listener as supervisord starts it, with everything that it starts in turn.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use supd_core::ancestry;

/// A running listener and our ends of its pipes.
pub(crate) struct Process {
    pid: Pid,
    /// `None` once closed. Non-blocking, as supervisord's.
    pub(crate) stdin: Option<OwnedFd>,
    /// `None` once the listener and all that share it have closed it.
    pub(crate) stdout: Option<OwnedFd>,
    /// As stdout.
    pub(crate) stderr: Option<OwnedFd>,
    status: Option<WaitStatus>,
    gone: bool,
}

impl Process {
    pub(crate) fn start(listener: &[OsString], name: &str) -> anyhow::Result<Self> {
        // Orphans of the listener become our children, so that none is missed at the end.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("become a subreaper")?;
        // supervisord's children inherit these signals as ignored; the standard library would reset them, a shell does
        // not.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "trap '' PIPE XFSZ; exec \"$@\"", "supd-mock"])
            .args(listener)
            .env("SUPERVISOR_ENABLED", "1")
            .env("SUPERVISOR_SERVER_URL", "unix:///nonexistent/supd-mock.sock")
            .env("SUPERVISOR_PROCESS_NAME", name)
            .env("SUPERVISOR_GROUP_NAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start '/bin/sh'")?;
        let pid = Pid::from_child(&child);
        let stdin: OwnedFd = child.stdin.take().expect("asked to be a pipe").into();
        let flags = rustix::fs::fcntl_getfl(&stdin)?;
        rustix::fs::fcntl_setfl(&stdin, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            pid,
            stdin: Some(stdin),
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
            status: None,
            gone: false,
        })
    }

    /// Whether the listener itself has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.reap();
        self.status.is_some()
    }

    /// Whether nothing is left of the listener and what it started.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.reap();
        self.gone
    }

    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => return self.gone = true,
            }
        }
    }

    /// Sends a signal to the listener's group, and to whatever else of it is a child of ours by now.
    pub(crate) fn signal(&self, signal: Signal) {
        // A process may end before its signal reaches it, which is what the signal is for.
        let _ = rustix::process::kill_process_group(self.pid, signal);
        for pid in ancestry::children_of(std::process::id()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    /// Whether the listener ended by itself with another status than 0. A signal is what supervisord would send too.
    pub(crate) fn has_failed(&self) -> bool {
        self.status.and_then(WaitStatus::exit_status).is_some_and(|status| status != 0)
    }

    /// How the listener ended, in words.
    pub(crate) fn end(&self) -> String {
        match self.status {
            Some(status) => match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => format!("ended with status {status}"),
                (_, Some(signal)) => format!("was ended by signal {signal}"),
                _ => "ended".to_owned(),
            },
            None => "is still running".to_owned(),
        }
    }
}

//! A child process with everything that it starts: reaped, signalled, and known to be gone or not.

use std::io;
use std::process::Child;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::ancestry;

/// A child of ours and its descendants. One program has one of these at most: whatever else ends is reaped with it.
#[derive(Debug)]
pub struct Family {
    /// The child, and its process group, which it leads.
    pid: Pid,
    status: Option<WaitStatus>,
    /// We have no child left at all.
    childless: bool,
    sent: Vec<Signal>,
}

impl Family {
    /// From now on, what a dead descendant leaves behind becomes our child, so that we can wait for it and end it.
    ///
    /// # Errors
    /// The system's.
    pub fn adopt_orphans() -> io::Result<()> {
        Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
    }

    /// The family of a child that was started with `process_group(0)`.
    pub fn of(child: &Child) -> Self {
        Self { pid: Pid::from_child(child), status: None, childless: false, sent: Vec::new() }
    }

    /// Takes in who has ended, adopted orphans too.
    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => return self.childless = true,
            }
        }
    }

    /// Whether the child itself has ended.
    pub fn has_ended(&mut self) -> bool {
        self.reap();
        self.status.is_some()
    }

    /// Whether nothing of the child's process group is left.
    pub fn group_is_gone(&mut self) -> bool {
        self.reap();
        self.childless || rustix::process::test_kill_process_group(self.pid) == Err(Errno::SRCH)
    }

    /// Whether none of its descendants is left, in whatever group.
    pub fn is_gone(&mut self) -> bool {
        self.reap();
        self.childless
    }

    /// Signals the child's group. Who ends before the signal comes needs none.
    pub fn signal_group(&mut self, signal: Signal) {
        self.sent.push(signal);
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Signals the child's group, and orphans of other groups.
    pub fn signal_all(&mut self, signal: Signal) {
        self.signal_group(signal);
        for pid in ancestry::children_of(std::process::id()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    /// The child's exit status, 128 + n when signal n ended it; `None` while it runs.
    pub fn exit_status(&self) -> Option<u8> {
        let status = self.status?;
        let number = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
        Some(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1))
    }

    /// Whether the child ended with another status than 0, or by a signal that we did not send.
    pub fn has_failed(&self) -> bool {
        let Some(status) = self.status else { return false };
        let ours = |number: i32| self.sent.iter().any(|signal| signal.as_raw() == number);
        status.exit_status().is_some_and(|status| status != 0)
            || status.terminating_signal().is_some_and(|n| !ours(n))
    }

    /// How the child ended, as the rest of a sentence.
    pub fn end(&self) -> String {
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

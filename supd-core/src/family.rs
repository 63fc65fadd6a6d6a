//! A child process with everything that it starts: reaped, signalled, and known to be gone or not.

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use crate::children::{Children, End};

/// A child of ours that leads a process group, and its descendants.
#[derive(Debug)]
pub struct Family {
    pid: Pid,
    children: Children,
}

impl Family {
    /// The family of a child that was started with `process_group(0)`.
    pub fn of(pid: Pid) -> Self {
        let mut children = Children::default();
        children.watch(pid);
        Self { pid, children }
    }

    /// Whether the child itself has ended.
    pub fn has_ended(&mut self) -> bool {
        self.children.reap();
        self.end().is_some()
    }

    /// How the child ended; `None` while it runs.
    pub fn end(&self) -> Option<End> {
        self.children.end_of(self.pid)
    }

    /// Whether nothing of the child's process group is left.
    pub fn group_is_gone(&mut self) -> bool {
        self.children.reap();
        self.children.none_left() || rustix::process::test_kill_process_group(self.pid) == Err(Errno::SRCH)
    }

    /// Whether none of its descendants is left, in whatever group.
    pub fn is_gone(&mut self) -> bool {
        self.children.reap();
        self.children.none_left()
    }

    /// Signals the child's group. Who ends before the signal comes needs none.
    pub fn signal_group(&mut self, signal: Signal) {
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Signals the child's group, and orphans of other groups.
    pub fn signal_all(&mut self, signal: Signal) {
        self.signal_group(signal);
        self.children.signal(signal);
    }
}

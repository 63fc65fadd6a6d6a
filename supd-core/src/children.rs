//! Our children, and what they leave behind when they die: adopted, reaped, and known to be gone or not.

use std::collections::HashMap;
use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::ancestry;

/// How a process ended. Displayed as the rest of a sentence: `ended with status 3`, `was ended by signal 9`.
#[derive(Debug, Clone, Copy)]
pub struct End(WaitStatus);

impl End {
    /// Its exit status; `None` when a signal ended it.
    pub fn status(self) -> Option<i32> {
        self.0.exit_status()
    }

    /// The number of the signal that ended it.
    pub fn signal(self) -> Option<i32> {
        self.0.terminating_signal()
    }

    /// What a shell would call its status: 128 + n when signal n ended it.
    pub fn code(self) -> u8 {
        let number = self.status().or_else(|| Some(128 + self.signal()?));
        number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status(), self.signal()) {
            (Some(status), _) => write!(f, "ended with status {status}"),
            (_, Some(signal)) => write!(f, "was ended by signal {signal}"),
            _ => f.write_str("ended"),
        }
    }
}

/// All children of this program. A program has one of these at a time, since whatever ends is reaped with it.
#[derive(Debug, Default)]
pub struct Children {
    /// Those of interest, and how they ended.
    watched: HashMap<Pid, Option<End>>,
    none_left: bool,
}

impl Children {
    /// From now on, what a dead descendant leaves behind becomes our child, so that we can wait for it and end it.
    ///
    /// # Errors
    /// The system's.
    pub fn adopt_orphans() -> io::Result<()> {
        Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
    }

    /// Remembers how this child ends, which has been started just now.
    pub fn watch(&mut self, pid: Pid) {
        self.watched.insert(pid, None);
        self.none_left = false;
    }

    /// Takes in who has ended, adopted orphans too.
    pub fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(end) = self.watched.get_mut(&pid) {
                        *end = Some(End(status));
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => return self.none_left = true,
            }
        }
    }

    /// How a watched child ended, as far as it has been reaped.
    pub fn end_of(&self, pid: Pid) -> Option<End> {
        self.watched.get(&pid).copied().flatten()
    }

    /// Forgets a child that has ended: its number may be another's soon.
    pub fn forget(&mut self, pid: Pid) {
        self.watched.remove(&pid);
    }

    /// Whether, when we last reaped, there was no child at all: none of ours, and no descendant of theirs.
    pub fn none_left(&self) -> bool {
        self.none_left
    }

    /// Signals every child, the adopted ones too. Who ends before the signal comes needs none.
    pub fn signal(&self, signal: Signal) {
        for pid in ancestry::children_of(std::process::id()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }
}

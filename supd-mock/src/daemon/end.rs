//! The end of a daemon: its listeners, what they started, and whatever of that outlives them.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use supd_core::{cli, stdio};

use super::{Daemon, Happening};

/// How long everything that was killed may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(5);

impl Daemon {
    /// Closes the standard input of every listener, as if supervisord had gone. Nothing is started any more.
    pub(crate) fn hang_up(&mut self) {
        self.supervisor.retire();
        self.lets_linger = true;
        for running in self.running.iter_mut().flatten() {
            running.outgoing.clear();
            running.process.stdin = None;
        }
    }

    /// Whether no listener is left, no descendant of one, and nothing more will come from their pipes.
    fn is_gone(&mut self) -> bool {
        self.running.iter().all(Option::is_none) && self.lingering.is_empty() && {
            self.children.reap();
            self.children.none_left()
        }
    }

    /// Waits until no listener is left and nothing that one left behind; with SIGTERM, then SIGKILL, each time that takes
    /// longer than this. What happens meanwhile goes to `take_in`.
    pub(crate) fn wait_for_all(
        &mut self,
        patience: Duration,
        mut take_in: impl FnMut(Happening) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
                log::warn!("the listener did not end within {}; sending {name}", cli::span(patience));
                self.signal_all(signal);
            }
            // Nobody survives the last, but it takes its time.
            let patience = if signal == Some(Signal::KILL) { patience.max(AFTER_KILL) } else { patience };
            let until = Instant::now() + patience;
            while !self.is_gone() {
                if Instant::now() >= until {
                    break;
                }
                for happening in self.turn(Some(until), None)? {
                    take_in(happening)?;
                }
            }
            if self.is_gone() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Signals all listeners' groups, and what dead ones left behind.
    fn signal_all(&self, signal: Signal) {
        for running in self.running.iter().flatten() {
            let _ = rustix::process::kill_process_group(running.process.pid, signal);
        }
        self.children.signal(signal);
    }
}

impl Drop for Daemon {
    /// Whatever is left, which is something only when an error or a signal ends us, is killed: a listener has a process
    /// group of its own, so nobody else would end it.
    fn drop(&mut self) {
        let until = Instant::now() + AFTER_KILL;
        self.children.reap();
        while !self.children.none_left() && Instant::now() < until {
            self.signal_all(Signal::KILL);
            let mut fds = [PollFd::new(&self.sigchld, PollFlags::IN)];
            // An orphan becomes ours when its parent has ended, and is signalled the next time.
            let _ = stdio::poll(&mut fds, Some(until.min(Instant::now() + Duration::from_millis(20))));
            self.sigchld.take();
            self.children.reap();
        }
    }
}

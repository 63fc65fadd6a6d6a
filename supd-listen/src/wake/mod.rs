//! Hearing first: when a process of supervisord's ends, supervisord is woken, so that its event comes at once.
//!
//! supervisord reaps after it has handed out events, so what it reaps waits for the next turn of its poll, up to a
//! second. Anything that it reads from ends that turn: a connection to its socket that is closed again, or a newline on
//! our standard error. Who has ended is known from pidfds, in a thread of its own that sleeps until then; the
//! conversation only tells it, with every event, that there may be new processes to watch.

mod means;
mod timing;
mod watch;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use rustix::event::EventfdFlags;
use supd_core::ancestry::Ancestry;

use crate::replies::Replies;
use means::Means;
pub(crate) use means::Way;
use timing::{Rereading, Schedule};
use watch::{Watch, children_of};

/// The stack of a thread that calls a few functions deep.
const STACK: usize = 128 * 1024;

/// The conversation's end of it: nothing at all where supervisord cannot be woken.
#[derive(Debug)]
pub(crate) struct Wake {
    bell: Option<Arc<Bell>>,
}

impl Wake {
    /// Starts watching, if it was asked for and can be done. The pipeline must have been started before: the limit of
    /// descriptors may be raised here, and is not for others to inherit.
    pub(crate) fn start(way: Option<Way>, replies: &Replies) -> Self {
        let Some(way) = way else {
            return Self { bell: None };
        };
        match Self::try_start(way, replies) {
            Ok(bell) => Self { bell: Some(bell) },
            Err(reason) => {
                not_waking(&reason);
                Self { bell: None }
            }
        }
    }

    fn try_start(way: Way, replies: &Replies) -> anyhow::Result<Arc<Bell>> {
        let means = Means::find(way, replies)?;
        let ancestry = Ancestry::climb().ok_or_else(|| anyhow!("this was not started by supervisord"))?;
        let bell = Arc::new(Bell::new().context("create an eventfd")?);
        let watcher = Watcher {
            supervisord: ancestry.supervisord,
            watch: Watch::new(bell.fd.as_fd()).context("create an epoll set")?,
            bell: Arc::clone(&bell),
            means,
            schedule: Schedule::default(),
            rereading: Rereading::new(Instant::now()),
        };
        let thread = thread::Builder::new().name("wake".into()).stack_size(STACK);
        // Nobody waits for it: it has nothing to finish when the program ends.
        thread.spawn(move || {
            let Err(reason) = watcher.run();
            not_waking(&reason);
        })?;
        Ok(bell)
    }

    /// Tells that supervisord's processes may have changed. Costs a look at a flag, and a write(2) ten times a second
    /// at most.
    pub(crate) fn refresh_soon(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }
}

fn not_waking(reason: &anyhow::Error) {
    log::debug!("not waking supervisord when a process ends: {reason:#}");
}

/// Rung by the conversation, heard and silenced by the thread.
#[derive(Debug)]
struct Bell {
    fd: OwnedFd,
    /// Whether it has been rung since the processes were read last.
    rung: AtomicBool,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, rung: AtomicBool::new(false) })
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // It cannot be full: the thread empties it before it lets itself be rung for again.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    fn hear(&self) {
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }

    /// From here on it can be rung again. Call this before reading the processes, so that no change is missed.
    fn reset(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}

/// The thread.
struct Watcher {
    supervisord: u32,
    watch: Watch,
    bell: Arc<Bell>,
    means: Means,
    schedule: Schedule,
    rereading: Rereading,
}

impl Watcher {
    fn run(mut self) -> anyhow::Result<Infallible> {
        log::debug!("waking supervisord (process {}) {} when a process ends", self.supervisord, self.means);
        loop {
            let now = Instant::now();
            if self.schedule.due().is_some_and(|due| due <= now) {
                self.means.wake();
                self.schedule.woke(Instant::now());
            }
            if self.rereading.due().is_some_and(|due| due <= now) {
                self.bell.reset();
                self.watch.reread(&children_of(self.supervisord)).context("watch a process")?;
                self.rereading.done(now, Instant::now());
            }
            let until = self.schedule.due().into_iter().chain(self.rereading.due()).min();
            let happened = self.watch.wait(until).context("wait for a process to end")?;
            let now = Instant::now();
            if happened.ended {
                self.schedule.death(now);
            }
            if happened.rung {
                self.bell.hear();
            }
            if happened.ended || happened.rung {
                self.rereading.note(now);
            }
        }
    }
}

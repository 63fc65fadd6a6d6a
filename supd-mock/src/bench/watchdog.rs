//! What looks on from a thread of its own while the loop waits in a read: it ends a listener that answers no more, and
//! looks at how much memory is in use.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use supd_core::children::Children;

use super::measure;

/// Seldom, so that it does not count; a listener's memory grows slowly or not at all.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the watchdog has seen.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How many events have been accepted, which the loop tells.
    pub(crate) accepted: AtomicU64,
    timed_out: AtomicBool,
    /// In bytes.
    memory: AtomicU64,
}

impl Watch {
    /// Does something and looks on.
    pub(crate) fn during<T>(&self, timeout: Duration, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            scope.spawn(move || self.look_on(timeout, &is_done));
            let result = work();
            drop(done);
            result
        })
    }

    /// Whether the listener was killed because nothing was accepted for so long.
    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Relaxed)
    }

    /// Notes how much memory is in use now, if it is more than before; the most so far.
    pub(crate) fn look_at_memory(&self) -> u64 {
        let now = measure::peak_memory();
        self.memory.fetch_max(now, Ordering::Relaxed).max(now)
    }

    fn look_on(&self, timeout: Duration, is_done: &mpsc::Receiver<()>) {
        let mut seen = self.accepted.load(Ordering::Relaxed);
        let mut since = Instant::now();
        let mut looked = since;
        while is_done.recv_timeout(INTERVAL.min(timeout / 4)) == Err(RecvTimeoutError::Timeout) {
            let accepted = self.accepted.load(Ordering::Relaxed);
            if accepted != seen {
                (seen, since) = (accepted, Instant::now());
            }
            if since.elapsed() >= timeout {
                self.timed_out.store(true, Ordering::Relaxed);
                // Once nobody holds its end of a pipe, the loop no longer waits. Whoever is orphaned by this becomes
                // our child, and is found the next time.
                Children::default().signal(Signal::KILL);
            } else if looked.elapsed() >= INTERVAL {
                self.look_at_memory();
                looked = Instant::now();
            }
        }
    }
}

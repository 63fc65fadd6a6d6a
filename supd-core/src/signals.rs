//! A signal as a descriptor to poll, and as a flag to look at.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags};
pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::consts::{SIGQUIT, SIGUSR1, SIGUSR2};

use crate::stdio;

/// What supervisord's `stopsignal=` can be, and can be caught.
pub const STOP_SIGNALS: [i32; 6] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];

/// Becomes readable when one of its signals has come.
#[derive(Debug)]
pub struct SignalPipe {
    pipe: UnixStream,
    has_come: Arc<AtomicBool>,
}

impl SignalPipe {
    /// Catches these signals from now on.
    ///
    /// # Errors
    /// When no socket pair or no handler can be had.
    pub fn watch(signals: &[i32]) -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let has_come = Arc::new(AtomicBool::new(false));
        for &signal in signals {
            signal_hook::flag::register(signal, Arc::clone(&has_come))?;
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Self { pipe, has_come })
    }

    /// Whether a signal has come since the last call.
    pub fn take(&self) -> bool {
        (&self.pipe).read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0)
    }

    /// Waits until a signal comes; one that came before and was not taken counts.
    pub fn wait(&self) {
        // A wait that fails would fail again: whoever waits for the end of something is better told too early than never.
        while stdio::poll(&mut [PollFd::new(self, PollFlags::IN)], None).is_ok() && !self.take() {}
    }

    /// Whether a signal has ever come; costs no system call.
    pub fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Relaxed)
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

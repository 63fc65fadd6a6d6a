//! A signal as a descriptor to poll.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

pub use signal_hook::consts::{SIGCHLD, SIGTERM};

/// Becomes readable when the signal has come.
#[derive(Debug)]
pub struct SignalPipe {
    pipe: UnixStream,
}

impl SignalPipe {
    /// Catches a signal from now on.
    ///
    /// # Errors
    /// When no socket pair or no handler can be had.
    pub fn watch(signal: i32) -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal, write)?;
        Ok(Self { pipe })
    }

    /// Whether the signal has come since the last call.
    pub fn take(&self) -> bool {
        (&self.pipe).read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0)
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

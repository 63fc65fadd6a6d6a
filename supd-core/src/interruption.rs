//! The signals with which a person, a terminal or a service manager ends a program: kept until the program has cleared
//! away what it started, then obeyed.
//!
//! `signal --check()--> Interrupted, an error like any other --Drop clears away--> cli::run --obey()--> death by the signal`

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::signals::SignalPipe;

const SIGNALS: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Becomes readable, and stays so, when the program is to end.
#[derive(Debug)]
pub struct Interruption {
    pipe: SignalPipe,
    /// The signal that came last; 0 before.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Keeps SIGHUP, SIGINT and SIGTERM from ending the program, but not those that are ignored already: `nohup` and
    /// a shell's `&` mean that they should be.
    ///
    /// # Errors
    /// When no socket pair or no handler can be had.
    pub fn watch() -> io::Result<Self> {
        let ignored = ignored();
        let signals: Vec<i32> =
            SIGNALS.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
        let last = Arc::new(AtomicUsize::new(0));
        for &signal in &signals {
            let number = usize::try_from(signal).expect("signals are positive numbers");
            signal_hook::flag::register_usize(signal, Arc::clone(&last), number)?;
        }
        // Registered last: when the pipe is readable, the number is there.
        Ok(Self { pipe: SignalPipe::watch(&signals)?, signal: last })
    }

    /// # Errors
    /// [`Interrupted`], when one of the signals has come.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(i32::try_from(signal).expect("it was an i32"))),
        }
    }
}

impl AsFd for Interruption {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// A signal asks the program to end.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted(i32);

impl Interrupted {
    /// Ends the program as the signal would have, so that whoever started it sees that it was the signal.
    pub fn obey(self) {
        // The numbers are those of signals that end a program, so it does not return.
        let _ = signal_hook::low_level::emulate_default_handler(self.0);
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// The signals that were ignored when we were started: bit n - 1 for signal n; none where /proc does not tell.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_an_error_from_then_on() {
        let interruption = Interruption::watch().unwrap();
        interruption.check().unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!(interruption.check().unwrap_err().0, SIGHUP);
        assert_eq!(interruption.check().unwrap_err().0, SIGHUP);
    }
}

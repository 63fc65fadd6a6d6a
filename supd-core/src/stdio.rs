//! Standard output as a Unix filter treats it: a reader that leaves ends the program quietly, and supervisord's own
//! pipe is not written to.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};

use crate::ancestry;
use crate::cli::Usage;

/// The reader of our standard output has left.
#[derive(Debug)]
pub struct ClosedStdout;

impl fmt::Display for ClosedStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write standard output: its reader has left")
    }
}

impl std::error::Error for ClosedStdout {}

/// Marks the end of our reader, so that [`crate::cli::run`] can tell it from another broken pipe.
pub fn stdout_error(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ClosedStdout.into(),
        _ => anyhow::Error::new(error).context(UnwritableStdout),
    }
}

/// Standard output takes nothing any more.
#[derive(Debug)]
struct UnwritableStdout;

impl fmt::Display for UnwritableStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write standard output")
    }
}

/// Whether this came of [`stdout_error`]: whatever else could be read, nobody would get it.
pub fn is_about_stdout(error: &anyhow::Error) -> bool {
    error.is::<ClosedStdout>() || error.is::<UnwritableStdout>()
}

/// Writes to standard output and flushes.
///
/// # Errors
/// [`ClosedStdout`], or what went wrong.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(stdout_error)
}

/// Refuses to go on when standard output is the pipe on which supervisord expects protocol replies: one line there
/// would silence the listener for ever.
///
/// # Errors
/// A [`Usage`] error with the cure.
pub fn refuse_supervisords_pipe() -> anyhow::Result<()> {
    if ancestry::is_supervisords_pipe(io::stdout()) {
        let cure = "standard output is supervisord's pipe, where any text would silence this listener for ever; \
                    add '>&2' after the last program of the pipeline";
        return Err(Usage(cure.into()).into());
    }
    Ok(())
}

/// Points standard output at standard error, for this program and for what it starts.
///
/// # Errors
/// When standard error is closed.
pub fn point_stdout_at_stderr() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(io::stderr())?)
}

/// Whether this descriptor is a pipe.
pub fn is_fifo(fd: impl AsFd) -> bool {
    file_type(fd) == Some(FileType::Fifo)
}

/// What this descriptor is; `None` when it is closed.
pub fn file_type(fd: impl AsFd) -> Option<FileType> {
    rustix::fs::fstat(fd).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// From here on, reading and writing through this description does not wait, for whoever shares it.
///
/// # Errors
/// The system's.
pub fn set_non_blocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

/// What poll(2) says of a descriptor to write to when its reader has left: a pipe is at fault, a socket hung up.
pub const CLOSED: PollFlags = PollFlags::ERR.union(PollFlags::HUP);

/// poll(2) until something happens or the time has come; a signal in between does not count.
///
/// # Errors
/// poll's own.
pub fn poll(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match rustix::event::poll(fds, left.map(timespec).as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

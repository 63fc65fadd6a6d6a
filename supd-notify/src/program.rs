//! A program that is run for a parcel: a file as its standard input, and an end, by itself or by us.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Access, MemfdFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use supd_core::stdio;

use crate::channel::Failure;

/// A program that ended by itself.
pub(crate) struct Ended {
    pub(crate) status: i32,
    /// `'sh' ended with status 3`
    pub(crate) words: String,
}

/// Runs a program to its end, with this as its standard input; when its time is up, it and its children are killed.
///
/// # Errors
/// A temporary failure when it could not be run, was ended by a signal, or had no time left.
pub(crate) fn run(command: &mut Command, stdin: &[u8], timeout: Duration) -> Result<Ended, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child =
        start(command, stdin).map_err(|error| Failure::temporary(format!("start '{name}': {error}")))?;
    let ended = wait(child, timeout).map_err(|error| Failure::temporary(format!("run '{name}': {error}")))?;
    match ended.map(|status| (status.code(), status.signal())) {
        Some((Some(status), _)) => {
            Ok(Ended { status, words: format!("'{name}' ended with status {status}") })
        }
        Some((None, signal)) => {
            let signal = signal.map_or("a signal".into(), |signal| format!("signal {signal}"));
            Err(Failure::temporary(format!("'{name}' was ended by {signal}")))
        }
        None => Err(Failure::temporary(format!("'{name}' did not end within {timeout:.1?}"))),
    }
}

/// That there is no such program to run, if so: at its path or, without one, in PATH.
pub(crate) fn missing(program: &Path) -> Option<String> {
    let can_be_run = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    let is_there = if program.as_os_str().as_bytes().contains(&b'/') {
        can_be_run(program)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| can_be_run(&directory.join(program)))
    };
    (!is_there).then(|| format!("there is no program '{}' that can be run", program.display()))
}

/// An empty file in memory, which a program can read or write without making us wait, as a pipe would.
///
/// # Errors
/// The system's.
pub(crate) fn file(name: &str) -> std::io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?))
}

fn start(command: &mut Command, text: &[u8]) -> std::io::Result<Child> {
    let mut stdin = file("stdin")?;
    stdin.write_all(text)?;
    stdin.rewind()?;
    // A group of its own: its children are ended with it when its time is up.
    command.stdin(stdin).process_group(0).spawn()
}

/// Waits for the program; `None` when its time was up, and it and its group were killed.
fn wait(mut child: Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    stdio::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(Instant::now() + timeout))?;
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    rustix::process::kill_process_group(pid, Signal::KILL)?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_at_its_path_or_in_path() {
        let missing = |program: &str| missing(Path::new(program)).is_some();
        assert!(!missing("sh") && !missing("/bin/sh"));
        assert!(
            missing("no-such-program")
                && missing("/bin/no-such-program")
                && missing("/bin")
                && missing("/etc/passwd")
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        let failure = run(command.args(["-c", "sleep 1000 & wait"]), b"", Duration::from_millis(50)).err();
        assert_eq!(failure, Some(Failure::temporary("'sh' did not end within 50.0ms")));
    }
}

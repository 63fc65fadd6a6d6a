//! Where in the process tree we are: which process supervisord started, and which is supervisord.
//!
//! supervisord gives every child it starts the same four variables with values of their own. A shell in between passes
//! them on unchanged, so the topmost process that carries ours is the one that supervisord started, its parent is
//! supervisord, and its standard output is the pipe on which supervisord waits for replies.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::Stat;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use thiserror::Error;

use crate::stdio::is_fifo;

/// What supervisord sets; see "Subprocess Environment" in its documentation.
const VARIABLES: [&str; 4] =
    ["SUPERVISOR_ENABLED", "SUPERVISOR_SERVER_URL", "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_GROUP_NAME"];

/// Two processes above us (or ourselves and one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestry {
    /// The process that supervisord started: ourselves, or the shell of a pipeline.
    pub topmost: u32,
    /// supervisord.
    pub supervisord: u32,
}

/// Why supervisord's pipe could not be had. Each is the reason part of a message.
#[derive(Debug, Error)]
pub enum NoPipe {
    /// There is no SUPERVISOR_ENABLED in our environment.
    #[error("this was not started by supervisord (SUPERVISOR_ENABLED is not set)")]
    NotSupervised,
    /// Nobody is between supervisord and us who could hold it.
    #[error(
        "there is no shell between supervisord and this program, so this program's standard output is supervisord's pipe"
    )]
    Topmost,
    /// The process that supervisord started has another standard output.
    #[error("the standard output of process {0}, which supervisord started, is not supervisord's pipe")]
    Redirected(u32),
    /// The kernel refused it.
    #[error("the standard output of process {0}, which supervisord started, cannot be opened: {1}")]
    Refused(u32, io::Error),
}

impl Ancestry {
    /// Climbs from ourselves; `None` when supervisord did not start us, or /proc cannot tell.
    pub fn climb() -> Option<Self> {
        std::env::var_os("SUPERVISOR_ENABLED")?;
        let ours: Vec<Vec<u8>> = VARIABLES
            .iter()
            .filter_map(|name| {
                let value = std::env::var_os(name)?;
                Some([name.as_bytes(), b"=", value.as_bytes()].concat())
            })
            .collect();
        let mut topmost = std::process::id();
        let mut parent = std::os::unix::process::parent_id();
        while carries(parent, &ours) {
            topmost = parent;
            parent = parent_of(parent)?;
        }
        Some(Self { topmost, supervisord: parent })
    }
}

/// Another process's environment; unreadable is as good as different.
fn carries(pid: u32, ours: &[Vec<u8>]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    ours.iter().all(|ours| environment.split(|&byte| byte == 0).any(|theirs| theirs == ours))
}

fn parent_of(pid: u32) -> Option<u32> {
    stat_field(pid, 4)?.parse().ok()
}

/// The fields of /proc/PID/stat from the third on, the state: a process's name may hold anything, its closing
/// parenthesis is the last. `None` when there is no such process.
pub fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    Some(after_name.split_whitespace().map(str::to_owned).collect())
}

/// A field of /proc/PID/stat, numbered as in proc(5), above the second.
fn stat_field(pid: u32, number: usize) -> Option<String> {
    stat(pid)?.into_iter().nth(number - 3)
}

/// The processes whose parent this is, as far as /proc tells.
pub fn children_of(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&child| parent_of(child) == Some(pid)).collect()
}

/// Opens the pipe on which supervisord waits for replies, when our own standard output leads elsewhere.
///
/// # Errors
/// [`NoPipe`] says which of the conditions does not hold.
pub fn open_supervisords_pipe() -> Result<OwnedFd, NoPipe> {
    let Ancestry { topmost, .. } = Ancestry::climb().ok_or(NoPipe::NotSupervised)?;
    if topmost == std::process::id() {
        return Err(NoPipe::Topmost);
    }
    let pipe = open_fd(topmost, 1).map_err(|error| NoPipe::Refused(topmost, error))?;
    // A shell that has replaced itself by its last program may have another standard output by now.
    let ours = same_file(&pipe, io::stdout()) || same_file(&pipe, io::stderr());
    if ours || !is_fifo(&pipe) {
        return Err(NoPipe::Redirected(topmost));
    }
    Ok(pipe)
}

/// Opens another process's descriptor (or our own, by its number) for writing.
///
/// # Errors
/// The system's.
pub fn open_fd(pid: u32, fd: u32) -> io::Result<OwnedFd> {
    match File::options().write(true).open(format!("/proc/{pid}/fd/{fd}")) {
        // With `user=` the pipe is root's and cannot be opened anew, but what is open can be shared.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let number = |n: u32| i32::try_from(n).ok();
            let (Some(pid), Some(fd)) = (number(pid).and_then(Pid::from_raw), number(fd)) else {
                return Err(error);
            };
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
            Ok(rustix::process::pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty())?)
        }
        file => Ok(file?.into()),
    }
}

/// Whether this descriptor is the pipe on which supervisord waits for replies.
pub fn is_supervisords_pipe(fd: impl AsFd) -> bool {
    if !is_fifo(&fd) {
        return false;
    }
    let Some(Ancestry { topmost, .. }) = Ancestry::climb() else {
        return false;
    };
    let theirs = rustix::fs::stat(format!("/proc/{topmost}/fd/1"));
    let (Ok(ours), Ok(theirs)) = (rustix::fs::fstat(fd), theirs) else {
        return false;
    };
    same(&ours, &theirs)
}

/// Whether two descriptors are the same pipe, file or device.
pub fn same_file(one: impl AsFd, other: impl AsFd) -> bool {
    matches!((rustix::fs::fstat(one), rustix::fs::fstat(other)), (Ok(one), Ok(other)) if same(&one, &other))
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Names one lifetime of our supervisord: `1b4e28ba-2766-51234`, from the kernel's boot_id, supervisord's pid and its
/// start time in clock ticks. A container's pid 1 can have the same start time at every boot, hence the first part.
/// Random where /proc does not tell.
pub fn boot() -> String {
    known_boot().unwrap_or_else(|| format!("{:016x}", RandomState::new().build_hasher().finish()))
}

fn known_boot() -> Option<String> {
    let supervisord = Ancestry::climb()?.supervisord;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{}-{supervisord}-{}", boot_id.get(..8)?, stat_field(supervisord, 22)?))
}

/// The machine's name, as `hostname` prints it.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_stat_are_counted_as_in_its_manual() {
        let pid = std::process::id();
        assert_eq!(stat_field(pid, 4), Some(std::os::unix::process::parent_id().to_string()));
        assert!(stat_field(pid, 22).unwrap().parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn a_process_carries_its_own_environment_and_no_other() {
        let pid = std::process::id();
        let name = "PATH";
        let path = [name.as_bytes(), b"=", std::env::var_os(name).unwrap().as_bytes()].concat();
        assert!(carries(pid, std::slice::from_ref(&path)));
        assert!(!carries(pid, &[path, b"SUPERVISOR_PROCESS_NAME=none".to_vec()]));
    }
}

//! Who may write: one process at a time, as long as it lives.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::disk;

/// A lock that is held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock(File);

/// The outcome of asking for what only one process can have at a time.
#[derive(Debug)]
pub enum Asked<T> {
    /// It is ours.
    Ours(T),
    /// Another process holds it: its pid, where it can be told.
    Held(Option<u32>),
}

impl Lock {
    /// Asks for the lock on this file, which is created when missing.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn ask(path: &Path) -> anyhow::Result<Asked<Self>> {
        let name = || format!("lock '{}'", path.display());
        let open = disk::private().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.with_context(name)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // It is for a message only, and a full disk is no reason not to work.
                let _ = write_pid(&mut file);
                Ok(Asked::Ours(Self(file)))
            }
            Err(Errno::WOULDBLOCK) => Ok(Asked::Held(pid_in(&mut file))),
            Err(error) => Err(io::Error::from(error)).with_context(name),
        }
    }

    /// The process that holds the lock on this file, if one does: its pid, where it can be told.
    ///
    /// # Errors
    /// The system's, with the name; a file that is missing is held by nobody.
    pub fn holder(path: &Path) -> anyhow::Result<Option<Option<u32>>> {
        let name = || format!("look at the lock '{}'", path.display());
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.with_context(name)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(Errno::WOULDBLOCK) => Ok(Some(pid_in(&mut file))),
            Err(error) => Err(io::Error::from(error)).with_context(name),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It belongs to the description, which a child that is being started may share for a moment yet.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

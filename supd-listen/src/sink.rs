//! Where records go. A file takes a line in one write; a full pipe takes part of one, and the session waits for room.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use anyhow::{Context as _, bail};
use rustix::event::PollFlags;
use rustix::fs::FileType;
use rustix::io::Errno;
use supd_core::cli::Usage;
use supd_core::{ancestry, append, stdio};

/// The next program of the pipeline, or a file.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    name: String,
    /// Where a regular file was opened, which may be moved away.
    path: Option<PathBuf>,
    /// Whether that could not be opened again, which has been said.
    is_orphan: bool,
    /// Whether somebody reads it as it is written, and can leave: a pipe or a socket, not a file.
    has_reader: bool,
}

impl Sink {
    /// A file to append to, created when missing.
    pub(crate) fn file(path: &Path) -> anyhow::Result<Self> {
        let name = format!("'{}'", path.display());
        let file = append::open(path).with_context(|| format!("open {name}"))?;
        if stdio::is_fifo(&file) && ancestry::same_file(&file, io::stdout()) {
            bail!(Usage(format!(
                "write to {name}: supervisord waits there for replies, and would take records for garbage"
            )));
        }
        let is_regular = stdio::file_type(&file) == Some(FileType::RegularFile);
        let has_reader = has_reader(&file);
        let sink =
            Self { file, name, path: is_regular.then(|| path.to_owned()), is_orphan: false, has_reader };
        if has_reader { sink.non_blocking() } else { Ok(sink) }
    }

    /// Our own standard output.
    pub(crate) fn stdout() -> anyhow::Result<Self> {
        let name = "standard output".to_owned();
        let has_reader = has_reader(io::stdout());
        // A description that is not shared with the shell, so that non-blocking is ours alone.
        if has_reader && let Ok(file) = File::options().write(true).open("/dev/stdout") {
            return Self { file, name, path: None, is_orphan: false, has_reader }.non_blocking();
        }
        let file = io::stdout().as_fd().try_clone_to_owned().context("duplicate standard output")?.into();
        Ok(Self { file, name, path: None, is_orphan: false, has_reader })
    }

    /// The pipeline that we run.
    pub(crate) fn pipe(stdin: ChildStdin) -> anyhow::Result<Self> {
        let file = OwnedFd::from(stdin).into();
        Self { file, name: "the pipeline".into(), path: None, is_orphan: false, has_reader: true }
            .non_blocking()
    }

    /// A pipeline that is stuck must not keep us from hearing SIGTERM.
    fn non_blocking(self) -> anyhow::Result<Self> {
        stdio::set_non_blocking(&self.file)?;
        Ok(self)
    }

    /// Writes what can be written now; how much that was.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                result => return result,
            }
        }
    }

    /// Takes the last bytes out of a file again: the beginning of a record for which the disk had no room. False when
    /// they are still there.
    pub(crate) fn take_back(&self, bytes: usize) -> bool {
        if self.path.is_none() {
            return false;
        }
        let shorter = self.file.metadata().map(|file| file.len().saturating_sub(bytes as u64));
        // If this fails too, the record goes on where it stopped, or the next start finds the torn line.
        shorter.and_then(|len| self.file.set_len(len)).is_ok()
    }

    /// Goes on in a new file when the one at our path is another one now, or none.
    pub(crate) fn follow(&mut self) {
        let Some(path) = &self.path else { return };
        let is_ours = match (rustix::fs::stat(path), rustix::fs::fstat(&self.file)) {
            (Ok(theirs), Ok(ours)) => (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino),
            (Err(error), _) => error != Errno::NOENT,
            // Nothing is known; the next write will tell.
            _ => true,
        };
        if !is_ours {
            self.reopen();
        }
    }

    /// Waits until what a file holds is on disk.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        if self.path.is_none() {
            return Ok(());
        }
        self.file.sync_data().with_context(|| format!("write {} to disk", self.name))
    }

    /// Opens the file at our path anew.
    pub(crate) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append::open(path) {
            Ok(file) => {
                log::debug!("opened {} anew", self.name);
                // Nobody can do that later.
                if let Err(error) = self.sync() {
                    log::warn!("{error:#}");
                }
                (self.file, self.is_orphan) = (file, false);
                return;
            }
            Err(_) if self.is_orphan => return,
            Err(error) => log::warn!("open {} anew: {error}; going on in the file that was there", self.name),
        }
        self.is_orphan = true;
    }

    /// Whether somebody reads it as it is written, and can leave.
    pub(crate) fn has_reader(&self) -> bool {
        self.has_reader
    }

    /// Whether the pipe holds something that its reader has not taken.
    pub(crate) fn holds_unread(&self) -> bool {
        self.has_reader && rustix::io::ioctl_fionread(&self.file).is_ok_and(|bytes| bytes > 0)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether these events of poll(2) mean that nobody reads any more.
    pub(crate) fn is_closed(&self, happened: PollFlags) -> bool {
        self.has_reader && happened.intersects(stdio::CLOSED)
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn has_reader(fd: impl AsFd) -> bool {
    matches!(stdio::file_type(fd), Some(FileType::Fifo | FileType::Socket))
}

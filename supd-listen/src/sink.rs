//! Where records go, one line in one write.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ChildStdin;

use anyhow::Context as _;
use rustix::fs::OFlags;
use supd_core::stdio;

/// The next program of the pipeline, or a file.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    name: String,
    is_pipe: bool,
}

impl Sink {
    pub(crate) fn file(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::options().append(true).create(true).open(path);
        Ok(Self {
            file: file.with_context(|| format!("open '{name}'"))?,
            name,
            is_pipe: false,
        })
    }

    /// Our own standard output.
    pub(crate) fn stdout() -> anyhow::Result<Self> {
        let name = "standard output".to_owned();
        let is_pipe = stdio::is_fifo(io::stdout());
        // A description that is not shared with the shell, so that non-blocking is ours alone.
        if is_pipe && let Ok(file) = File::options().write(true).open("/dev/stdout") {
            return Self { file, name, is_pipe }.non_blocking();
        }
        let file = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .context("duplicate standard output")?
            .into();
        Ok(Self { file, name, is_pipe })
    }

    pub(crate) fn pipe(stdin: ChildStdin) -> anyhow::Result<Self> {
        let file = OwnedFd::from(stdin).into();
        Self {
            file,
            name: "the pipeline".into(),
            is_pipe: true,
        }
        .non_blocking()
    }

    /// A pipeline that is stuck must not keep us from hearing SIGTERM.
    fn non_blocking(self) -> anyhow::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&self.file)?;
        rustix::fs::fcntl_setfl(&self.file, flags | OFlags::NONBLOCK)?;
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

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What poll(2) should watch: a file's reader cannot leave.
    pub(crate) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.is_pipe.then(|| self.file.as_fd())
    }
}

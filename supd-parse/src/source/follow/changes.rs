//! What the kernel tells of changes to files, by the directories in which their names stand.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use supd_core::input::Watch;

/// Changes to some paths.
pub(super) struct Changes {
    /// `None` where there is none to be had; then only time tells.
    inotify: Option<OwnedFd>,
    paths: Vec<PathBuf>,
    /// By directory: names that matter, and those that continue them, as rotated files do. All of a spool's do.
    names: HashMap<i32, Vec<OsString>>,
}

impl Changes {
    /// Changes from now on.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        if let Err(error) = &inotify {
            log::debug!("follow: changes are looked for every second: {error}");
        }
        let mut changes = Self { inotify: inotify.ok(), paths: paths.to_owned(), names: HashMap::new() };
        changes.renew();
        changes
    }

    /// Waits until something has changed, the time has come, or the watch has something to say.
    ///
    /// # Errors
    /// The watch's; the system's.
    pub(super) fn wait(&mut self, watch: &mut Watch, until: Instant) -> anyhow::Result<()> {
        while watch.wait(self.inotify.as_ref().map(OwnedFd::as_fd), Some(until))? {
            if self.take().context("read changes to files")? {
                return Ok(());
            }
        }
        // A directory may be another one by now.
        self.renew();
        Ok(())
    }

    /// Whether one of the changes that were told matters.
    fn take(&mut self) -> Result<bool, Errno> {
        let Some(inotify) = &self.inotify else { return Ok(false) };
        let mut buf = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify, &mut buf);
        let mut matters = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let changed = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                    let begins = |name: &OsString| changed.starts_with(name.as_bytes());
                    // Where no name is said it is the directory itself, or more than the kernel could keep.
                    matters |= changed.is_empty()
                        || self.names.get(&event.wd()).is_some_and(|names| names.iter().any(begins));
                }
                Err(Errno::AGAIN) => return Ok(matters),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Watches the directories that are there, which costs nothing where they are watched already.
    fn renew(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for (directory, name) in self.paths.iter().flat_map(|path| places(path)) {
            // One that is not there yet is looked for every second.
            if let Ok(number) = inotify::add_watch(inotify, &directory, flags) {
                let names = self.names.entry(number).or_default();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
}

/// The directories in which the names stand that lead to a file: its own, and where a symbolic link points. All names in
/// a spool begin with nothing.
fn places(path: &Path) -> Vec<(PathBuf, OsString)> {
    let place = |path: &Path| {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some((directory.unwrap_or(Path::new(".")).to_owned(), path.file_name()?.to_owned()))
    };
    let spool = path.is_dir().then(|| (path.to_owned(), OsString::new()));
    let target = fs::canonicalize(path).ok();
    place(path).into_iter().chain(target.and_then(|target| place(&target))).chain(spool).collect()
}

//! The listener as supervisord starts it, with everything that it starts in turn.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use supd_core::family::Family;
use supd_core::stdio;

/// A running listener and our ends of its pipes.
pub(crate) struct Process {
    pub(crate) family: Family,
    /// `None` once closed. Non-blocking, as supervisord's.
    pub(crate) stdin: Option<OwnedFd>,
    /// `None` once the listener and all that share it have closed it.
    pub(crate) stdout: Option<OwnedFd>,
    /// As stdout.
    pub(crate) stderr: Option<OwnedFd>,
}

impl Process {
    pub(crate) fn start(listener: &[OsString], name: &str) -> anyhow::Result<Self> {
        Family::adopt_orphans().context("become a subreaper")?;
        // supervisord's children inherit these signals as ignored; the standard library would reset them, a shell does
        // not.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "trap '' PIPE XFSZ; exec \"$@\"", "supd-mock"])
            .args(listener)
            .env("SUPERVISOR_ENABLED", "1")
            .env("SUPERVISOR_SERVER_URL", "unix:///nonexistent/supd-mock.sock")
            .env("SUPERVISOR_PROCESS_NAME", name)
            .env("SUPERVISOR_GROUP_NAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start '/bin/sh'")?;
        let family = Family::of(&child);
        let stdin: OwnedFd = child.stdin.take().expect("asked to be a pipe").into();
        stdio::set_non_blocking(&stdin)?;
        Ok(Self {
            family,
            stdin: Some(stdin),
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
        })
    }
}

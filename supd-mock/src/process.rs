//! A listener process as supervisord starts it, and our ends of its pipes.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use rustix::fs::Access;
use rustix::process::Pid;
use supd_core::stdio;

/// What to start, and in what surroundings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    /// The program and its arguments; it is looked for in PATH.
    pub(crate) words: Vec<OsString>,
    pub(crate) processname: String,
    pub(crate) groupname: String,
    /// Variables beside those that are inherited and those that supervisord sets.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) umask: Option<u32>,
    pub(crate) serverurl: Option<String>,
    /// The numbers of the user and group to run as; only root can.
    pub(crate) ids: Option<(u32, u32)>,
}

impl Program {
    /// A program of which only the command line and the name are known.
    pub(crate) fn new(words: &[OsString], name: &str) -> Self {
        Self {
            words: words.to_vec(),
            processname: name.to_owned(),
            groupname: name.to_owned(),
            serverurl: Some("unix:///nonexistent/supd-mock.sock".to_owned()),
            ..Self::default()
        }
    }
}

impl Program {
    /// Looks for its program as supervisord does before it starts one: as it stands if it has a slash, else in PATH.
    ///
    /// # Errors
    /// It is nowhere, or nothing to execute.
    pub(crate) fn look_up(&self) -> anyhow::Result<()> {
        let name = self.words.first().context("start a listener: its command is empty")?;
        let set =
            self.environment.iter().find(|(variable, _)| variable == "PATH").map(|(_, path)| path.into());
        let search =
            set.or_else(|| std::env::var_os("PATH")).unwrap_or_else(|| "/bin:/usr/bin:/usr/local/bin".into());
        let candidates: Vec<PathBuf> = match Path::new(name).components().count() {
            1 if !name.as_bytes().contains(&b'/') => {
                std::env::split_paths(&search).map(|directory| directory.join(name)).collect()
            }
            _ => vec![PathBuf::from(name)],
        };
        let shown = Path::new(name).display();
        let found = candidates.iter().find(|path| path.exists());
        let found = found.with_context(|| match candidates.len() {
            1 => format!("start '{shown}': no such file"),
            _ => format!("start '{shown}': not found in PATH"),
        })?;
        if found.is_dir() || rustix::fs::access(found, Access::EXEC_OK).is_err() {
            bail!("start '{}': it cannot be executed", found.display());
        }
        Ok(())
    }
}

/// A running listener. It leads its own process group.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// `None` once closed. Non-blocking, as supervisord's.
    pub(crate) stdin: Option<OwnedFd>,
    /// `None` once the listener and all that share it have closed it. Non-blocking.
    pub(crate) stdout: Option<OwnedFd>,
    /// As stdout.
    pub(crate) stderr: Option<OwnedFd>,
}

impl Process {
    /// Starts a program. Whoever starts one adopts orphans first, and reaps.
    ///
    /// # Errors
    /// supervisord would not start it either: there is no such program.
    pub(crate) fn start(program: &Program) -> anyhow::Result<Self> {
        program.look_up()?;
        // supervisord's children inherit these signals as ignored; the standard library would reset them, a shell does
        // not. As there, who cannot enter the directory ends with 127.
        let umask = program.umask.map_or(String::new(), |umask| format!("umask {umask:03o}; "));
        let script = umask + "trap '' PIPE XFSZ; cd -- \"$1\" || exit 127; shift; exec \"$@\"";
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script, "supd-mock"])
            .arg(program.directory.as_deref().unwrap_or(Path::new(".")))
            .args(&program.words)
            .env("SUPERVISOR_ENABLED", "1")
            .env_remove("SUPERVISOR_SERVER_URL")
            .envs(program.serverurl.iter().map(|url| ("SUPERVISOR_SERVER_URL", url)))
            .env("SUPERVISOR_PROCESS_NAME", &program.processname)
            .env("SUPERVISOR_GROUP_NAME", &program.groupname)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some((user, group)) = program.ids {
            command.uid(user).gid(group);
        }
        let mut child = command.spawn().context("start '/bin/sh'")?;
        let stdin: OwnedFd = child.stdin.take().expect("asked to be a pipe").into();
        let stdout: OwnedFd = child.stdout.take().expect("asked to be a pipe").into();
        let stderr: OwnedFd = child.stderr.take().expect("asked to be a pipe").into();
        for fd in [&stdin, &stdout, &stderr] {
            stdio::set_non_blocking(fd)?;
        }
        Ok(Self {
            pid: Pid::from_child(&child),
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
        })
    }
}

//! What the tests share: a sandbox with the tools in PATH, real supervisord, an HTTP receiver, waiting on conditions.

mod listener;
mod mail_server;
mod receiver;
mod recorder;
mod supervisord;
mod twin;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as StdCommand};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use listener::{Listener, OK_READY, big_log, tick};
pub(crate) use mail_server::{MailServer, certify, header};
pub(crate) use receiver::Receiver;
pub(crate) use recorder::{Recorder, Sent};
pub(crate) use supervisord::{Driver, Supervisord, VERSIONS, kill};
pub(crate) use twin::{Scenario, Step};

/// More than anything here takes on a machine that is busy with other tests; a test fails long before it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const TOOLS: [(&str, &str); 4] = [
    ("supd-listen", env!("CARGO_BIN_EXE_test-supd-listen")),
    ("supd-parse", env!("CARGO_BIN_EXE_test-supd-parse")),
    ("supd-notify", env!("CARGO_BIN_EXE_test-supd-notify")),
    ("supd-mock", env!("CARGO_BIN_EXE_test-supd-mock")),
];

/// A directory of the test's own, with the tools in `bin`.
pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("supd-test-").tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for (name, path) in TOOLS {
            symlink(path, dir.path().join("bin").join(name)).unwrap();
        }
        Self { dir }
    }

    /// As [`Self::new`], but any user may run the tools and write beside them.
    pub(crate) fn for_everyone() -> Self {
        let sandbox = Self::new();
        for (name, path) in TOOLS {
            let copy = sandbox.path("bin").join(name);
            fs::remove_file(&copy).unwrap();
            fs::copy(path, copy).unwrap();
        }
        fs::set_permissions(sandbox.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Leaves everything where it is, for somebody to look at.
    pub(crate) fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The records in a file.
    pub(crate) fn records(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A tool, to run to its end.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::from_std(self.spawnable(name));
        command.timeout(PATIENCE);
        command
    }

    /// A shell script with the tools in its PATH.
    pub(crate) fn sh(&self, script: &str) -> Command {
        let mut command = self.tool("sh");
        command.args(["-c", script]);
        command
    }

    /// A program with the tools in its PATH and nothing of supervisord's in its environment, to start.
    pub(crate) fn spawnable(&self, name: &str) -> StdCommand {
        let own = self.path("bin").join(name);
        let mut command = StdCommand::new(if own.exists() { own } else { name.into() });
        command.current_dir(self.dir.path()).env("PATH", self.search_path()).env_remove("RUST_BACKTRACE");
        for variable in [
            "SUPERVISOR_ENABLED",
            "SUPD_SLACK_URL",
            "SUPD_SMTP_PASSWORD",
            "SUPD_WEBHOOK_URL",
            "SUPD_HEARTBEAT_URL",
            "SUPD_SPOOL",
            "NO_COLOR",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn search_path(&self) -> OsString {
        let mut path = OsString::from(self.path("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        path
    }
}

/// A process of the test's own, killed and reaped when the test is over.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Waits for its end; its status, 128 + n for signal n.
    pub(crate) fn status(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let status = eventually("the process ends", || self.0.try_wait().unwrap());
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Stops it, and waits until it stands still: what is sent to it now is all there when it goes on.
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
        let stat = format!("/proc/{}/stat", self.0.id());
        until("the process is stopped", || fs::read_to_string(&stat).unwrap().contains(") T "));
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }
}

/// How long a test takes that can be as long as somebody wants: SUPD_TEST_SECONDS.
pub(crate) fn test_seconds(usual: u64) -> Duration {
    let text = std::env::var("SUPD_TEST_SECONDS");
    Duration::from_secs(text.map_or(usual, |text| text.parse().expect("SUPD_TEST_SECONDS is a number")))
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

/// As [`eventually`], for what takes its time.
pub(crate) fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As [`eventually`], for a yes.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// Processes whose environment holds this text.
pub(crate) fn processes_with(text: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| carries(pid, text)).collect()
}

/// Processes whose environment holds this text and whose command line begins with this program.
pub(crate) fn processes_running(text: &str, word: &str) -> Vec<u32> {
    let runs = |pid: &u32| program_of(*pid).is_some_and(|program| program == word);
    processes_with(text).into_iter().filter(runs).collect()
}

/// Whether a process has this in its environment; one that has ended has nothing.
fn carries(pid: u32, variable: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    format!("\0{}", String::from_utf8_lossy(&environment)).contains(&format!("\0{variable}\0"))
}

/// The name of the program that a process runs.
fn program_of(pid: u32) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let program = String::from_utf8_lossy(words.split(|&byte| byte == 0).next()?).into_owned();
    Some(Path::new(&program).file_name()?.to_string_lossy().into_owned())
}

/// A file of real bytes from supervisord.
pub(crate) fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// A record with these fields.
pub(crate) fn state(serial: u64, process: &str, state: &str, more: &str) -> String {
    format!(
        r#"{{"ts":"2026-01-05T08:00:00.000Z","host":"web1","serial":{serial},"eventname":"PROCESS_STATE_{state}","processname":"{process}","groupname":"{process}"{more}}}"#
    ) + "\n"
}

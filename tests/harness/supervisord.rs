//! Real supervisord, from the environment that scripts/test has made.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};

use super::{
    Running, Sandbox, capture, carries, eventually, processes_running, processes_with, program_of, until,
};

/// The versions that scripts/test installs.
pub(crate) const VERSIONS: [&str; 2] = ["4.3.0", "4.2.5"];

/// A running supervisord with a configuration of the test's own.
pub(crate) struct Supervisord<'a> {
    sandbox: &'a Sandbox,
    bin: PathBuf,
    running: Running,
}

impl<'a> Supervisord<'a> {
    /// Starts it with these sections; `environment` is for the listeners, which inherit it.
    pub(crate) fn start(
        sandbox: &'a Sandbox,
        version: &str,
        sections: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
        let bin = peers.join(format!("supervisor-{version}/bin"));
        assert!(
            bin.join("supervisord").exists(),
            "supervisord {version} is not in {}: run scripts/test",
            bin.display()
        );
        let config = sandbox.write("supervisord.conf", Self::config(sections));
        let mut command = sandbox.spawnable("env");
        command.arg(bin.join("supervisord")).arg("-c").arg(config);
        command.env("SUPD_TEST", sandbox.path("")).envs(environment.iter().copied());
        let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let started = Self { sandbox, bin, running };
        until("supervisord answers", || started.ctl(&["version"]).contains(version));
        started
    }

    /// A configuration with what every supervisord needs, and these sections.
    pub(crate) fn config(sections: &str) -> String {
        format!(
            "[supervisord]\nnodaemon=true\nuser=root\nlogfile=%(here)s/supervisord.log\nloglevel=debug\n\
             pidfile=%(here)s/supervisord.pid\nchildlogdir=%(here)s\n\
             [unix_http_server]\nfile=%(here)s/supervisor.sock\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://%(here)s/supervisor.sock\n{sections}"
        )
    }

    /// A Python script with supervisor's modules at hand, in the sandbox.
    pub(crate) fn python(&self, script: &Path) -> std::process::Command {
        let mut command = self.sandbox.spawnable("env");
        command.arg(self.bin.join("python")).arg(script);
        command
    }

    /// What `supervisorctl` prints.
    pub(crate) fn ctl(&self, words: &[&str]) -> String {
        let mut command = self.sandbox.spawnable("env");
        command.arg(self.bin.join("supervisorctl")).args(["-c", "supervisord.conf"]).args(words);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// Somebody who does over XML-RPC what supd-mock play does.
    pub(crate) fn driver(&self) -> Driver {
        let mut command = self.python(&capture("differential/play.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Driver { commands: child.stdin.take().unwrap(), _running: Running(child) }
    }

    /// Waits for a process to be in this state.
    pub(crate) fn wait_for(&self, process: &str, state: &str) {
        until(&format!("{process} is {state}"), || {
            let status = self.ctl(&["status", process]);
            status.split_whitespace().nth(1) == Some(state)
        });
    }

    pub(crate) fn pid_of(&self, process: &str) -> i32 {
        eventually(&format!("{process} has a pid"), || {
            self.ctl(&["pid", process]).trim().parse().ok().filter(|&pid| pid > 0)
        })
    }

    /// Kills a process as a crash would.
    pub(crate) fn kill(&self, process: &str) {
        kill(self.pid_of(process));
    }

    pub(crate) fn log(&self) -> String {
        self.sandbox.read("supervisord.log")
    }

    /// The variable that supervisord and everything below it carries.
    fn mark(&self) -> String {
        format!("SUPD_TEST={}", self.sandbox.path("").display())
    }

    /// Everything below supervisord whose program has this name.
    pub(crate) fn processes_running(&self, program: &str) -> Vec<u32> {
        processes_running(&self.mark(), program)
    }

    /// Everything that runs for a listener or a program, with the name of what it runs.
    pub(crate) fn processes_of(&self, group: &str) -> Vec<(u32, String)> {
        let variable = format!("SUPERVISOR_GROUP_NAME={group}");
        let pids = processes_with(&self.mark()).into_iter().filter(|&pid| carries(pid, &variable));
        pids.filter_map(|pid| Some((pid, program_of(pid)?))).collect()
    }

    /// Shuts down, and waits until nothing is left.
    pub(crate) fn shut_down(self) {
        self.ctl(&["shutdown"]);
        self.wait();
    }

    /// Waits until supervisord itself has ended; its status.
    pub(crate) fn status(mut self) -> i32 {
        self.running.status()
    }

    /// Waits for the end of a shutdown.
    pub(crate) fn wait(mut self) {
        assert_eq!(self.running.status(), 0);
        let mark = self.mark();
        until("every process has ended with supervisord", || processes_with(&mark).is_empty());
    }
}

impl Drop for Supervisord<'_> {
    fn drop(&mut self) {
        // After a failure nothing may stay behind; after `shut_down` there is nothing.
        for pid in processes_with(&self.mark()) {
            kill(i32::try_from(pid).unwrap());
        }
        if std::thread::panicking() {
            for entry in fs::read_dir(self.sandbox.path("")).unwrap().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".log") || name.ends_with(".err") {
                    eprintln!("--- {name}\n{}", self.sandbox.read(&name));
                }
            }
        }
    }
}

/// Gives commands to a supervisord.
pub(crate) struct Driver {
    commands: ChildStdin,
    _running: Running,
}

impl Driver {
    /// A command of supd-mock play, such as `start NAME`; it is not waited for.
    pub(crate) fn command(&mut self, line: &str) {
        writeln!(self.commands, "{line}").unwrap();
    }
}

/// kill -9, of a process that may have ended.
pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

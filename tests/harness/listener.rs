//! supd-listen with the test in supervisord's place: events in, replies out, each expected by itself.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use super::{Running, Sandbox};

/// supd-listen with pipes, as supervisord starts it.
pub(crate) struct Listener {
    pub(crate) running: Running,
    pub(crate) stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
}

impl Listener {
    pub(crate) fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut command = sandbox.spawnable(words[0]);
        command.args(&words[1..]).env("SUPERVISOR_ENABLED", "1").env("SUPERVISOR_PROCESS_NAME", "test");
        let stderr = std::fs::File::create(sandbox.path("stderr")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { running: Running(child), stdin, stdout }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn expect(&mut self, reply: &str) {
        let mut bytes = vec![0; reply.len()];
        self.stdout.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), reply);
    }

    /// What else it writes before it closes its end.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        text
    }
}

pub(crate) const OK_READY: &str = "RESULT 2\nOKREADY\n";

pub(crate) fn tick(serial: u32) -> Vec<u8> {
    format!(
        "ver:3.0 server:s serial:{serial} pool:p poolserial:{serial} eventname:TICK_5 len:15\nwhen:1795356105"
    )
    .into()
}

/// A log event that is larger than a pipe, so that its record does not fit into one.
pub(crate) fn big_log() -> Vec<u8> {
    let payload = format!("processname:a groupname:a pid:1 channel:stdout\n{}", "x".repeat(200_000));
    let header = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:PROCESS_LOG_STDOUT len:";
    format!("{header}{}\n{payload}", payload.len()).into()
}

//! A real mail server on loopback: aiosmtpd, from the environment that scripts/test has made.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Running, Sandbox, capture, until};

/// A running mail server. What recipients' names make it answer is told in `data/mail/server.py`.
pub(crate) struct MailServer<'a> {
    sandbox: &'a Sandbox,
    _running: Running,
}

impl<'a> MailServer<'a> {
    /// Starts it with these words; the certificates it may need are those of [`certify`].
    pub(crate) fn start(sandbox: &'a Sandbox, words: &[&str]) -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/aiosmtpd/bin/python3");
        assert!(python.exists(), "aiosmtpd is not at {}: run scripts/test", python.display());
        std::fs::create_dir(sandbox.path("mail")).unwrap();
        for file in ["server.pem", "server.key", "password"] {
            // Not every test needs each of them.
            let _ = std::fs::copy(sandbox.path(file), sandbox.path("mail").join(file));
        }
        let mut command = sandbox.spawnable("env");
        command.arg(python).arg(capture("mail/server.py")).arg(sandbox.path("mail")).args(words);
        command.stderr(std::fs::File::create(sandbox.path("server.err")).unwrap());
        let running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        until("the mail server listens", || sandbox.path("mail/port").exists());
        Self { sandbox, _running: running }
    }

    pub(crate) fn port(&self) -> String {
        self.sandbox.read("mail/port")
    }

    /// `localhost:PORT`
    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.port())
    }

    /// The mails that it has taken.
    pub(crate) fn mails(&self) -> Vec<Value> {
        self.sandbox.records("mail/mails")
    }

    /// The commands that it has been given.
    pub(crate) fn said(&self) -> String {
        self.sandbox.read("mail/said")
    }
}

/// Makes an authority (`ca.pem`), and a certificate of it for this name (`server.pem`, `server.key`).
pub(crate) fn certify(sandbox: &Sandbox, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    for line in [
        format!("req -x509 {key} -subj /CN=test-authority -keyout ca.key -out ca.pem"),
        format!(
            "req -x509 -CA ca.pem -CAkey ca.key {key} -subj /CN=mail -addext subjectAltName=DNS:{name} \
             -addext basicConstraints=critical,CA:FALSE -keyout server.key -out server.pem"
        ),
    ] {
        let mut command = Command::new("openssl");
        let output = command.args(line.split(' ')).current_dir(sandbox.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The value of a header that a mail has once.
pub(crate) fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let headers = mail["headers"].as_array().unwrap();
    let found: Vec<&Value> = headers.iter().filter(|header| header[0] == name).collect();
    let [one] = found[..] else { panic!("{name} is there {} times in {mail}", found.len()) };
    one[1].as_str().unwrap()
}

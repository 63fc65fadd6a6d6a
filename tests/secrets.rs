//! Every secret that supd-notify is given, used at once, with servers that repeat what they were asked: nothing that is
//! written anywhere holds one, nor does the command line of any process.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::Signal;
use tiny_http::{Response, Server};

use crate::harness::{MailServer, Running, Sandbox, certify, processes_with, state, until};

/// As they are given, and as they go over the wire: SMTP encodes a login.
const SECRETS: [&str; 7] = [
    "s1ackPath",
    "w3bhookPath",
    "t0kenValue",
    "h3artbeatPath",
    "passw0rdValue",
    "cGFzc3cwcmRWYWx1ZQ",
    "AHN1cGQAcGFzc3cwcmRWYWx1ZQ",
];

/// Answers each request with what it was asked: at first that it is busy, then that it will have none of it, then OK.
fn parrot() -> (Arc<Server>, String) {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let url = format!("http://{}", server.server_addr());
    let answering = Arc::clone(&server);
    std::thread::spawn(move || {
        let statuses = [503, 403, 503, 403, 500].into_iter().chain(std::iter::repeat(200));
        for (request, status) in answering.incoming_requests().zip(statuses) {
            let headers: Vec<String> = request.headers().iter().map(ToString::to_string).collect();
            let told = format!("{} {} {url}", headers.join(" "), request.url(), url = request.url());
            // A client that was killed does not wait for its answer.
            let _ = request.respond(Response::from_string(told).with_status_code(status));
        }
    });
    (server, url)
}

/// Every file below a directory, but for those in which the secrets stand.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.starts_with("secret") && name != "mail"
    };
    let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) =
        entries.filter(is_ours).partition(|path| path.is_dir());
    files.into_iter().chain(directories.iter().flat_map(|directory| self::files(directory))).collect()
}

#[test]
fn no_secret_is_written_anywhere_or_stands_on_a_command_line() {
    let sandbox = Sandbox::new();
    certify(&sandbox, "localhost");
    sandbox.write("password", "passw0rdValue\n");
    let mail = MailServer::start(&sandbox, &["starttls", "auth", "parrot"]);
    // The mail server's own files, in `mail`, are no output of ours.
    fs::rename(sandbox.path("password"), sandbox.path("secret-password")).unwrap();
    let (server, url) = parrot();
    sandbox.write("secret-token", "t0kenValue\n");
    sandbox.write("secret-hook", format!("{url}/services/w3bhookPath?x=1\n"));
    sandbox.write(
        "notify.toml",
        format!(
            "dead_letter = 'dead.ndjson'\n[policy]\ntimeout = '2s'\nretry_for = '1h'\n\
             [targets.chat]\nslack = {{ url = {{ env = 'CHAT_URL' }} }}\n\
             [targets.hook]\nwebhook = {{ url = {{ file = 'secret-hook' }}, token = {{ file = 'secret-token' }} }}\n\
             [targets.mail]\nemail = {{ smtp = '{}', user = 'supd', password = {{ file = 'secret-password' }}, \
             ca_file = 'ca.pem', from = 'supd@example.org', to = ['ops@example.org'] }}\n",
            mail.address()
        ),
    );
    let record = |serial| state(serial, "web", "FATAL", &format!(r#","seq":{serial}"#));
    let mut command = sandbox.spawnable("supd-notify");
    command.args(["-v", "--config", "notify.toml", "--spool", "spool", "--metrics", "metrics.prom"]);
    command.args(["--heartbeat-interval", "1s"]);
    command.env("CHAT_URL", format!("{url}/services/s1ackPath"));
    command.env("SUPD_HEARTBEAT_URL", format!("{url}/ping/h3artbeatPath"));
    command.stdin(Stdio::piped()).stderr(File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut running = Running(child);
    let mark = format!("CHAT_URL={url}/services/s1ackPath");
    for serial in 1..=3 {
        stdin.write_all(record(serial).as_bytes()).unwrap();
    }
    until("a mail has arrived", || !mail.mails().is_empty());
    until("the servers have said all that they say", || {
        let said = sandbox.read("err");
        said.contains("403 Forbidden") && said.contains("next attempt in") && said.contains("200 OK")
    });
    let mut words = String::new();
    for pid in processes_with(&mark) {
        words += &fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    }
    assert!(words.contains("notify.toml"), "its own is among them: {words}");
    running.signal(Signal::TERM);
    drop(stdin);
    running.status();
    // And a wrong password, which the server repeats; then the commands for people.
    sandbox.write("secret-password", "passw0rdValue-wrong\n");
    let mut told = Vec::new();
    for words in [
        &["-v", "--config", "notify.toml", "--retry-for", "1s"][..],
        &["-v", "check-config", "notify.toml"],
        &["-v", "test", "--config", "notify.toml"],
        &["-v", "retry", "dead.ndjson", "--retry-for", "1s", "--config", "notify.toml"],
        &["--dry-run", "--config", "notify.toml"],
    ] {
        let mut notify = sandbox.tool("supd-notify");
        notify.args(words).env("CHAT_URL", format!("{url}/services/s1ackPath"));
        let output = notify.write_stdin(record(4)).output().unwrap();
        told.extend([output.stdout, output.stderr].concat());
    }
    sandbox.write("told", told);
    let files = files(&sandbox.path(""));
    for name in
        ["err", "told", "dead.ndjson", "metrics.prom", "spool/state/notify.mail", "spool/cursors/notify.chat"]
    {
        assert!(files.contains(&sandbox.path(name)), "{name} is among {files:#?}");
    }
    assert!(sandbox.read("told").contains("the server refused the password"), "{}", sandbox.read("told"));
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let found: Vec<_> = SECRETS.iter().filter(|secret| text.contains(**secret)).collect();
        assert!(found.is_empty(), "{found:?} in {}: {text}", file.display());
    }
    assert!(!SECRETS.iter().any(|secret| words.contains(secret)), "{words}");
    server.unblock();
}

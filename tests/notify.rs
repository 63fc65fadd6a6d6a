//! supd-notify in a shell, with a real HTTP server as its other end.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Instant;

use predicates::prelude::*;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Receiver, Running, Sandbox, processes_running, state, until};

fn crash(serial: u64) -> String {
    state(serial, "web", "EXITED", r#","from_state":"RUNNING","expected":false,"pid":7"#)
}

#[test]
fn wrong_usage_is_one_line_with_the_programs_name_and_the_cure() {
    let sandbox = Sandbox::new();
    let says = |words: &[&str], said: &str| {
        let assert = sandbox.tool("supd-notify").args(words).write_stdin("").assert().code(2);
        let line = predicate::str::starts_with("supd-notify: ").and(predicate::str::contains("\n").count(1));
        assert.stderr(line.and(predicate::str::contains(said)));
    };
    says(&["--resolve", "soon", "log"], "; a value follows --resolve after '=': --resolve=soon; ");
    says(&["slak"], "unrecognized subcommand 'slak'; a similar subcommand exists: 'slack'; ");
    says(&["retry", "x", "--", "slak"], "unrecognized subcommand 'slak'; ");
    says(&["retry", "x", "--spool", "y", "--", "log"], "leave --spool out; ");
    says(&["log", "--mute-until", "2026-01-05 08:00"], "were not provided: --mute <GLOB>; ");
}

#[test]
fn slack_gets_one_message_a_record_and_none_for_marks_and_ends_of_problems() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let records = [
        crash(1),
        "{\"seq\":1,\"eventname\":\"SUPD_MARK\"}\n".into(),
        state(2, "web", "RUNNING", r#","resolves":1"#),
        state(3, "<!channel>", "FATAL", ""),
    ];
    let url = sandbox.write("url", receiver.url("/hook\n"));
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["slack", "--url-file"])
        .arg(url)
        .write_stdin(records.concat())
        .assert()
        .success()
        .stdout("")
        .stderr("");
    assert_eq!(
        receiver.slack_texts(),
        [
            "🔴 web on web1 exited unexpectedly",
            "🔥 &lt;!channel&gt; on web1 could not be started; supervisord gave up"
        ]
    );
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_says_so_and_order_is_kept() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[(503, "starting", &[]), (429, "slow down", &[("Retry-After", "5")])]);
    let started = Instant::now();
    let mut notify = sandbox.tool("supd-notify");
    // Without more input there would be no time for so many attempts.
    notify.args(["--drain-timeout", "20s", "webhook", "--url", &receiver.url("/")]);
    let assert = notify.write_stdin(crash(1) + &crash(2)).assert().success();
    let serials: Vec<Value> = receiver
        .received()
        .iter()
        .map(|r| serde_json::from_str::<Value>(&r.body).unwrap()["serial"].clone())
        .collect();
    assert_eq!(serials, [1, 1, 1, 2]);
    assert!(started.elapsed().as_secs() >= 5, "what was asked for");
    assert.stderr(
        predicate::str::contains(
            "deliver to webhook: the server answered 503 Service Unavailable: starting; next attempt in",
        )
        .and(predicate::str::contains("429 Too Many Requests: slow down; next attempt in 5.0s")),
    );
}

#[test]
fn what_the_server_will_never_take_goes_to_the_dead_letters_with_the_reason() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[(404, "no_service", &[])]);
    let odd = crash(1).replace("{\"ts\"", "{ \"note\": 1, \"ts\"");
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["--dead-letter", "dead.ndjson", "slack"])
        .env("SUPD_SLACK_URL", receiver.url("/services/s3cret"));
    let assert = notify.write_stdin(odd.clone() + &crash(2)).assert().code(1);
    assert.stderr(
        "supd-notify: deliver to slack: the server answered 404 Not Found: no_service; gave up 'web exited unexpectedly' (serial 1)\n",
    );
    let [dead] = &sandbox.records("dead.ndjson")[..] else { panic!("there is one") };
    let undelivered = &dead["undelivered"];
    assert_eq!(undelivered["target"], "slack");
    assert_eq!(undelivered["reason"], "the server answered 404 Not Found: no_service");
    supd_core::cli::moment(undelivered["time"].as_str().unwrap()).unwrap();
    let member = format!(",\"undelivered\":{undelivered}");
    assert_eq!(sandbox.read("dead.ndjson").replace(&member, ""), odd);
    assert_eq!(receiver.slack_texts().len(), 2);
}

#[test]
fn without_a_dead_letter_file_the_record_ends_on_stderr() {
    let sandbox = Sandbox::new();
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--retry-for", "100ms", "webhook", "--url", &format!("http://{closed}/s3cret")]);
    let assert = notify.write_stdin(crash(1)).assert().code(1);
    assert.stderr(
        predicate::str::contains("so here is the record: {\"ts\":")
            .and(predicate::str::contains("s3cret").not()),
    );
}

#[test]
fn the_end_of_input_gives_what_waits_its_time_and_no_more() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[(503, "", &[("Retry-After", "3600")])]);
    let mut notify = sandbox.tool("supd-notify");
    notify.args([
        "--drain-timeout",
        "300ms",
        "--dead-letter",
        "dead.ndjson",
        "webhook",
        "--url",
        &receiver.url("/"),
    ]);
    notify.write_stdin(crash(1) + &crash(2)).assert().code(1);
    assert_eq!(sandbox.records("dead.ndjson").len(), 2);
}

/// An address that accepts connections and never answers.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn input_is_read_on_while_a_delivery_hangs() {
    let sandbox = Sandbox::new();
    let (_silent, url) = silent();
    let mut command = sandbox.spawnable("supd-notify");
    command.args(["--drain-timeout", "500ms", "--dead-letter", "dead.ndjson", "webhook", "--url", &url]);
    command.stdin(Stdio::piped()).stderr(std::fs::File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut running = Running(child);
    // Many times what a pipe holds.
    for serial in 0..5_000 {
        stdin.write_all(crash(serial).as_bytes()).unwrap();
    }
    running.signal(Signal::TERM);
    assert_eq!(running.status(), 1);
    assert_eq!(sandbox.records("dead.ndjson").len(), 5_000);
    drop(stdin);
}

#[test]
fn sigterm_is_heard_with_a_full_queue_and_after_the_end_of_input() {
    let sandbox = Sandbox::new();
    let (_silent, url) = silent();
    for (records, drain_timeout) in [(12_000, "500ms"), (3, "1h")] {
        let input = sandbox.write("in.ndjson", (0..records).map(crash).collect::<String>());
        let mut command = sandbox.spawnable("supd-notify");
        command.args([
            "--dead-letter",
            "dead.ndjson",
            "--timeout",
            "100ms",
            "--drain-timeout",
            drain_timeout,
        ]);
        command.args(["webhook", "--url", &url]).stdin(std::fs::File::open(input).unwrap());
        command.stderr(std::fs::File::create(sandbox.path("err")).unwrap());
        let mut running = Running(command.spawn().unwrap());
        until("it has tried", || sandbox.read("err").contains("next attempt in"));
        running.signal(Signal::TERM);
        assert_eq!(running.status(), 1);
        assert_eq!(sandbox.records("dead.ndjson").len() as u64, records);
        std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();
    }
}

#[test]
fn the_end_of_input_does_not_hurry_a_channel_that_works() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args([
        "--drain-timeout",
        "10ms",
        "exec",
        "--",
        "sh",
        "-c",
        "sleep 0.05; echo $SUPD_SERIAL >>sent",
    ]);
    notify.write_stdin((0..10).map(crash).collect::<String>()).assert().success();
    assert_eq!(sandbox.read("sent").lines().count(), 10);
}

#[test]
fn a_servers_wish_for_endless_patience_is_not_followed() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[(503, "", &[("Retry-After", "18446744073709551615")])]);
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--drain-timeout", "100ms", "webhook", "--url", &receiver.url("/")]).write_stdin(crash(1));
    notify.assert().code(1).stderr(predicate::str::contains("next attempt in 3600.0s"));
}

#[test]
fn a_dry_run_prints_what_would_be_sent_and_needs_no_secret() {
    let sandbox = Sandbox::new();
    let script = "supd-notify --dry-run slack | jq -r '.text, .attachments[0].fields[2].value'";
    sandbox
        .sh(script)
        .write_stdin(crash(1))
        .assert()
        .success()
        .stdout("🔴 web on web1 exited unexpectedly\nRUNNING\n");
    let mut webhook = sandbox.tool("supd-notify");
    webhook.args(["webhook", "--dry-run", "--template", r#"{"s":"{{ severity }}","pid":{{ pid|tojson }}}"#]);
    webhook.write_stdin(crash(1)).assert().success().stdout("{\"s\":\"error\",\"pid\":7}\n");
    sandbox
        .tool("supd-notify")
        .args(["slack"])
        .write_stdin("")
        .assert()
        .code(2)
        .stderr(predicate::str::contains("SUPD_SLACK_URL"));
}

#[test]
fn a_template_that_cannot_work_is_refused_before_anything_is_read() {
    let sandbox = Sandbox::new();
    for (template, reason) in
        [("{{ proces }}", "undefined"), ("no json", "not JSON"), ("{% if %}", "syntax error")]
    {
        let assert = sandbox
            .tool("supd-notify")
            .args(["webhook", "--dry-run", "--template", template])
            .assert()
            .code(2);
        assert.stderr(predicate::str::contains(reason).and(predicate::str::contains("\n").count(1)));
    }
}

#[test]
fn exec_runs_a_program_for_each_record() {
    let sandbox = Sandbox::new();
    let program = sandbox
        .write("page", "#!/bin/sh\necho chatter\necho \"$1 $SUPD_PROCESSNAME $SUPD_PID $(cat)\" >>paged\n");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["exec", "--", "./page", "a b"])
        .write_stdin(crash(1))
        .assert()
        .success()
        .stdout("")
        .stderr("chatter\n");
    assert_eq!(sandbox.read("paged"), format!("a b web 7 {}", crash(1)));
}

#[test]
fn as_the_last_stage_of_a_shells_pipeline_nothing_it_starts_or_prints_reaches_supervisord() {
    let sandbox = Sandbox::new();
    for stage in ["exec -- echo chatter", "--dry-run slack", "log"] {
        let script = format!("supd-mock replay --speed max -- sh -c 'supd-listen | supd-notify {stage}'");
        sandbox.sh(&script).assert().success();
    }
}

#[test]
fn a_dead_letter_file_that_cannot_be_written_is_said_first_and_costs_no_record() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--dead-letter", "no/such/dir", "exec", "--", "sh", "-c", "exit 65"]).write_stdin(crash(1));
    notify
        .assert()
        .code(1)
        .stderr("supd-notify: open dead letter file 'no/such/dir': No such file or directory (os error 2)\n");
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["--dead-letter", "/dev/full", "exec", "--", "sh", "-c", "exit 65"])
        .write_stdin(crash(1) + &crash(2));
    let said = predicate::str::contains(
        "write dead letter file '/dev/full': No space left on device (os error 28); so here is the record: {",
    )
    .count(2);
    notify.assert().code(1).stderr(said);
}

#[test]
fn file_and_log_need_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.tool("supd-notify").args(["file", "out"]).write_stdin(crash(1)).assert().success();
    assert_eq!(sandbox.read("out"), crash(1));
    let log = sandbox.tool("supd-notify").arg("log").write_stdin(crash(1)).assert().success().stdout("");
    log.stderr("2026-01-05T08:00:00.000Z error web on web1 exited unexpectedly (was RUNNING, pid 7)\n");
}

#[test]
fn secrets_are_neither_on_the_command_line_nor_in_any_message() {
    let sandbox = Sandbox::new();
    let receiver =
        Receiver::start(&[(500, "error for /services/s3cret with t0ken", &[]), (403, "bad t0ken", &[])]);
    let mut command = sandbox.spawnable("supd-notify");
    command.args([
        "-v",
        "--dead-letter",
        "dead.ndjson",
        "--drain-timeout",
        "20s",
        "webhook",
        "--token-file",
        "token",
    ]);
    sandbox.write("token", "t0ken\n");
    command.env("SUPD_WEBHOOK_URL", receiver.url("/services/s3cret")).env("SUPD_TEST", sandbox.path(""));
    command.stdin(Stdio::piped()).stderr(std::fs::File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut running = Running(child);
    stdin.write_all(crash(1).as_bytes()).unwrap();
    until("it has been tried twice", || receiver.received().len() == 2);
    let mark = format!("SUPD_TEST={}", sandbox.path("").display());
    let [pid] = processes_running(&mark, "supd-notify")[..] else { panic!("it runs") };
    let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    drop(stdin);
    assert_eq!(running.status(), 1);
    assert_eq!(receiver.received()[0].authorization.as_deref(), Some("Bearer t0ken"));
    for text in [words, sandbox.read("err"), sandbox.read("dead.ndjson")] {
        assert!(!text.is_empty() && !text.contains("s3cret") && !text.contains("t0ken"), "{text}");
    }
}

#[test]
fn a_malformed_line_is_named_and_the_rest_is_delivered() {
    let sandbox = Sandbox::new();
    let assert = sandbox
        .tool("supd-notify")
        .args(["file", "out"])
        .write_stdin("oops\n".to_owned() + &crash(1))
        .assert();
    assert
        .code(1)
        .stderr("supd-notify: read 'stdin' line 1: not a record: expected value at column 1; skipped\n");
    assert_eq!(sandbox.read("out"), crash(1));
}

#[test]
fn a_line_that_was_torn_does_not_spoil_the_next() {
    let sandbox = Sandbox::new();
    sandbox.write("out", "{\"torn");
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["file", "out"]).write_stdin(state(1, "web", "EXITED", ""));
    let said = "supd-notify: append to 'out': its last line is not whole; beginning a new one\n";
    notify.assert().success().stderr(said);
    assert_eq!(sandbox.read("out"), format!("{{\"torn\n{}", state(1, "web", "EXITED", "")));
}

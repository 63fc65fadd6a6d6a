//! What people get of many events: one message at a time about each process, and one when it is over.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{ChildStdin, Stdio};

use predicates::prelude::*;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Receiver, Running, Sandbox, state, until};

/// With this number in the spool, and as its serial.
fn crash(seq: u64) -> String {
    state(seq, "web", "EXITED", &format!(r#","expected":false,"pid":7,"seq":{seq}"#))
}

fn again(seq: u64) -> String {
    state(seq, "web", "RUNNING", &format!(r#","seq":{seq},"resolves":1"#))
}

impl Sandbox {
    /// A supd-notify with its input open.
    fn notifier(&self, receiver: &Receiver, words: &[&str]) -> (Running, ChildStdin) {
        let mut command = self.spawnable("supd-notify");
        command.args(words).arg("slack").env("SUPD_SLACK_URL", receiver.url("/hook"));
        let errors = File::options().append(true).create(true).open(self.path("err")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stderr(errors).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (Running(child), stdin)
    }
}

fn send(stdin: &mut ChildStdin, records: &str) {
    stdin.write_all(records.as_bytes()).unwrap();
}

#[test]
fn five_hundred_crashes_are_three_messages_then_a_fatal_and_one_recovery() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &["--group-interval", "3s", "--resolve=1s"]);
    send(&mut stdin, &crash(1));
    until("the first message leaves at once", || receiver.count() == 1);
    send(&mut stdin, &(2..=500).map(crash).collect::<String>());
    until("the rest comes as one", || receiver.count() == 2);
    send(&mut stdin, &state(501, "web", "FATAL", r#","from_state":"BACKOFF""#));
    until("what is worse leaves at once", || receiver.count() == 3);
    send(&mut stdin, &state(502, "web", "RUNNING", r#","resolves":501"#));
    until("it has recovered", || receiver.count() == 4);
    drop(stdin);
    assert_eq!((running.status(), sandbox.read("err")), (0, String::new()));
    let texts = receiver.slack_texts();
    assert_eq!(texts[0], "🔴 web on web1 exited unexpectedly");
    assert!(texts[1].starts_with("🔴 web on web1 exited unexpectedly 499 times"), "{texts:#?}");
    assert_eq!(texts[2], "🔥 web on web1 could not be started; supervisord gave up");
    assert!(texts[3].starts_with("🟢 web on web1 recovered"), "{texts:#?}");
}

#[test]
fn a_file_of_many_records_is_two_messages_a_process() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--dry-run", "slack"]).write_stdin((1..=100).map(crash).collect::<String>());
    let texts: Vec<String> = String::from_utf8(notify.assert().success().get_output().stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:#?}");
    assert!(texts[1].contains("99 times"), "{texts:#?}");
}

#[test]
fn programs_get_each_record_and_digests_only_when_asked() {
    let sandbox = Sandbox::new();
    let input = (1..=5).map(crash).collect::<String>() + &again(6);
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["file", "each"]).write_stdin(input.clone()).assert().success();
    assert_eq!(sandbox.read("each"), (1..=5).map(crash).collect::<String>());
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["--group-interval", "1h", "--resolve=0s", "file", "some"])
        .write_stdin(input)
        .assert()
        .success();
    let records = sandbox.records("some");
    assert_eq!(records[0]["eventname"], "PROCESS_STATE_EXITED");
    let last = records.last().unwrap();
    assert_eq!((&last["eventname"], &last["count"]), (&"SUPD_RECOVERED".into(), &5.into()));
    assert!(records.len() <= 3, "{records:#?}");
}

#[test]
fn what_was_told_and_what_is_open_survives_kill_9_with_a_spool_and_a_restart_without() {
    for words in [&["--spool", "spool"][..], &["--state", "remembered"]] {
        let sandbox = Sandbox::new();
        let receiver = Receiver::start(&[]);
        let words = [words, &["--resolve=100ms"]].concat();
        let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
        send(&mut stdin, &crash(1));
        until("it is told", || receiver.count() == 1);
        let state = if words[0] == "--spool" { "spool/state/notify" } else { "remembered" };
        until("it is remembered", || sandbox.read(state).contains(r#""announced":true"#));
        if words[0] == "--spool" {
            running.signal(Signal::KILL);
        }
        drop(stdin);
        running.status();
        let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
        // A pipeline that starts gets the last records again.
        send(&mut stdin, &(crash(1) + &again(2)));
        until("it has recovered", || receiver.slack_texts().last().unwrap().contains("recovered"));
        drop(stdin);
        assert_eq!(running.status(), 0);
        if words[0] == "--spool" {
            assert_eq!((receiver.count(), sandbox.read("spool/cursors/notify").as_str()), (2, "2\n"));
        }
        assert!(!sandbox.read(state).contains("announced"), "closed: {}", sandbox.read(state));
    }
}

#[test]
fn nothing_that_was_delivered_beyond_the_cursor_comes_again() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let words = ["--spool", "spool", "--group-interval", "1h"];
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
    let other = |seq: u64| crash(seq).replace(r#":"web""#, &format!(r#":"p{seq}""#));
    // The second waits for an hour, and the cursor with it; the third is told at once.
    send(&mut stdin, &(crash(1) + &crash(2) + &other(3) + &other(4)));
    until("what is not of the first group is told", || receiver.count() == 3);
    until("it is remembered", || sandbox.read("spool/state/notify").contains(r#""highest":4,"waiting":[2]"#));
    until("the cursor stays below", || sandbox.read("spool/cursors/notify") == "1\n");
    running.signal(Signal::KILL);
    running.status();
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
    send(&mut stdin, &(crash(2) + &other(3) + &other(4) + &other(5)));
    until("the new one is told", || receiver.count() == 4);
    drop(stdin);
    assert_eq!(running.status(), 0);
    let texts = receiver.slack_texts();
    let processes: Vec<&str> = texts.iter().map(|text| text.split(' ').nth(1).unwrap()).collect();
    assert_eq!(processes, ["web", "p3", "p4", "p5", "web"]);
    assert_eq!(sandbox.read("spool/cursors/notify"), "5\n");
}

#[test]
fn a_cursor_that_was_moved_back_has_it_all_delivered_again() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let words = ["--spool", "spool", "--group-interval", "1h"];
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
    send(&mut stdin, &(1..=3).map(crash).collect::<String>());
    until("it is remembered", || sandbox.read("spool/state/notify").contains(r#""waiting":[2,3]"#));
    running.signal(Signal::KILL);
    running.status();
    fs::write(sandbox.path("spool/cursors/notify"), "0\n").unwrap();
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &words);
    send(&mut stdin, &(1..=3).map(crash).collect::<String>());
    drop(stdin);
    assert_eq!(running.status(), 0);
    assert!(receiver.slack_texts().last().unwrap().contains("3 times"), "{:#?}", receiver.slack_texts());
}

#[test]
fn what_there_is_no_time_for_stays_in_the_state_and_is_sent_by_the_next() {
    let sandbox = Sandbox::new();
    let words = ["--state", "left", "--drain-timeout", "300ms"];
    let mut notify = sandbox.tool("supd-notify");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    notify.args(words).args(["webhook", "--url", &format!("http://{closed}/")]);
    let assert = notify.write_stdin(crash(1) + &crash(2)).assert().success();
    assert.stderr(predicate::str::contains("; 2 records stay in the state for the next start\n"));
    let receiver = Receiver::start(&[]);
    for _ in 0..2 {
        let mut notify = sandbox.tool("supd-notify");
        notify.args(words).args(["webhook", "--url", &receiver.url("/")]).write_stdin("").assert().success();
    }
    let bodies: Vec<String> = receiver.received().into_iter().map(|received| received.body + "\n").collect();
    assert_eq!(bodies, [crash(1), crash(2)]);
}

#[test]
fn a_state_belongs_to_one_at_a_time_and_the_next_begins_with_what_it_left() {
    let sandbox = Sandbox::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (receiver, words) = (Receiver::start(&[]), ["--state", "left", "--drain-timeout", "300ms"]);
    let mut command = sandbox.spawnable("supd-notify");
    command.args(words).args(["webhook", "--url", &format!("http://{closed}/")]).stdin(Stdio::piped());
    let mut first = Running(command.stderr(File::create(sandbox.path("first")).unwrap()).spawn().unwrap());
    let mut stdin = first.0.stdin.take().unwrap();
    send(&mut stdin, &crash(1));
    until("it has tried", || sandbox.read("first").contains("next attempt"));
    let mut command = sandbox.spawnable("supd-notify");
    command.args(words).args(["webhook", "--url", &receiver.url("/")]).stdin(Stdio::piped());
    let mut second = Running(command.stderr(File::create(sandbox.path("second")).unwrap()).spawn().unwrap());
    let mut inherited = second.0.stdin.take().unwrap();
    send(&mut inherited, &crash(2));
    let holder = format!("waiting for the end of process {}, which has state 'left'", first.0.id());
    until("the second waits", || sandbox.read("second").contains(&holder));
    drop(stdin);
    assert_eq!(first.status(), 0);
    until("it has sent both", || receiver.count() == 2);
    drop(inherited);
    assert_eq!(second.status(), 0);
    let bodies: Vec<String> = receiver.received().into_iter().map(|received| received.body + "\n").collect();
    assert_eq!(bodies, [crash(1), crash(2)]);
}

#[test]
fn in_quiet_hours_it_stays_in_the_spool_and_what_is_muted_is_dropped() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let quiet = |minutes: i32| {
        sandbox.sh(&format!("TZ=UTC date -d '{minutes} minutes' +%H:%M")).output().unwrap().stdout
    };
    let hours =
        [quiet(-60), quiet(60)].map(|time| String::from_utf8(time).unwrap().trim().to_owned()).join("-");
    let consume = |words: &[&str], input: String| {
        let mut notify = sandbox.tool("supd-notify");
        notify.env("TZ", "UTC").env("SUPD_SLACK_URL", receiver.url("/")).args(["--spool", "spool"]);
        notify.args(words).arg("slack").write_stdin(input).assert().success()
    };
    let stay = predicate::str::contains("1 record stays in the spool for the next start");
    consume(&["--quiet", &hours], crash(1)).stderr(stay);
    assert_eq!(receiver.count(), 0);
    let fatal = state(2, "mail", "FATAL", r#","seq":2"#);
    consume(&["--mute", "web,other:*", "--mute-until", "2100-01-01 00:00"], crash(1) + &fatal).stderr("");
    assert_eq!(receiver.slack_texts(), ["🔥 mail on web1 could not be started; supervisord gave up"]);
    assert_eq!(sandbox.read("spool/cursors/notify"), "2\n");
}

#[test]
fn sigterm_has_what_waits_told_at_once() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let (mut running, mut stdin) = sandbox.notifier(&receiver, &["-v", "--drain-timeout", "1m"]);
    send(&mut stdin, &(1..=5).map(crash).collect::<String>());
    until("the first is told", || receiver.count() == 1);
    running.signal(Signal::TERM);
    until("the rest is told, with the input still open", || receiver.count() == 2);
    send(&mut stdin, &crash(6));
    until("and what still comes", || receiver.count() == 3);
    drop(stdin);
    assert_eq!(running.status(), 0);
    assert!(receiver.slack_texts()[1].contains("4 times"), "{:#?}", receiver.slack_texts());
}

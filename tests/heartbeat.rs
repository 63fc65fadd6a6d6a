//! `supd-notify --heartbeat`, with a real HTTP server that hears it.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{ChildStdin, Stdio};

use predicates::prelude::*;
use rustix::process::Signal;

use crate::harness::{Receiver, Running, Sandbox, processes_running, state, until};

const URL: &str = "/ping/5f2a-s3cret";
const OFTEN: [&str; 3] = ["-v", "--heartbeat-interval", "100ms"];
const HOURLY: [&str; 3] = ["-v", "--heartbeat-interval", "1h"];

fn crash(serial: u64) -> String {
    state(serial, "web", "EXITED", r#","from_state":"RUNNING","expected":false,"pid":7"#)
}

fn tick(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"eventname\":\"TICK_60\",\"when\":{}}}\n", seq * 60)
}

/// A supd-notify with its input open, its messages in `err`, and this heartbeat.
fn start(sandbox: &Sandbox, heart: &Receiver, words: &[&[&str]]) -> (Running, ChildStdin) {
    let mut command = sandbox.spawnable("supd-notify");
    command.args(words.concat()).env("SUPD_HEARTBEAT_URL", heart.url(URL));
    command.env("SUPD_TEST", sandbox.path(""));
    command.stdin(Stdio::piped()).stderr(File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (Running(child), stdin)
}

#[test]
fn it_beats_while_the_input_is_open_and_says_its_url_to_nobody() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[(500, "nothing at /ping/5f2a-s3cret", &[]), (404, "no 5f2a-s3cret", &[])]);
    let send = ["exec", "--", "sh", "-c", "sleep 3"];
    let (mut notify, mut stdin) = start(&sandbox, &heart, &[&OFTEN, &send]);
    until("it beats", || heart.count() > 3);
    assert!(heart.received().iter().all(|ping| (&*ping.method, &*ping.path) == ("GET", URL)));
    let mark = format!("SUPD_TEST={}", sandbox.path("").display());
    let [pid] = processes_running(&mark, "supd-notify")[..] else { panic!("it runs") };
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    // The delivery takes thirty intervals, all of them after the end of input.
    stdin.write_all(crash(1).as_bytes()).unwrap();
    drop(stdin);
    let before = heart.count();
    assert_eq!(notify.status(), 0);
    assert!(heart.count() < before + 15, "{before} {}", heart.count());
    let said = sandbox.read("err");
    let failed = "ping the heartbeat: the server answered 500 Internal Server Error: nothing at …; trying on";
    assert!(said.contains(failed), "{said}");
    assert_eq!(said.matches("; trying on").count(), 1, "{said}");
    assert_eq!(said.matches("ping the heartbeat: it works again").count(), 1, "{said}");
    for text in [words, said] {
        assert!(!text.is_empty() && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn sigterm_ends_it_although_the_input_stays_open() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    let send = ["--drain-timeout", "3s", "log"];
    let (mut notify, stdin) = start(&sandbox, &heart, &[&OFTEN, &send]);
    until("it beats", || heart.count() > 1);
    notify.signal(Signal::TERM);
    until("it has heard", || sandbox.read("err").contains("SIGTERM"));
    let before = heart.count();
    assert_eq!(notify.status(), 0);
    assert!(heart.count() <= before + 1, "one may have been under way");
    drop(stdin);
}

#[test]
fn it_is_withheld_while_a_target_fails() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    let send = ["exec", "--", "sh", "-c", "echo >>tried; test -e up"];
    let (mut notify, mut stdin) = start(&sandbox, &heart, &[&OFTEN, &send]);
    until("it beats", || heart.count() > 0);
    stdin.write_all(crash(1).as_bytes()).unwrap();
    until("it is withheld", || {
        sandbox.read("err").contains("heartbeat: withheld, exec has been failing for")
    });
    let (before, tried) = (heart.count(), sandbox.read("tried").len());
    until("it has been tried twice more", || sandbox.read("tried").len() > tried + 1);
    assert_eq!(heart.count(), before);
    sandbox.write("up", "");
    until("it beats again", || heart.count() > before);
    drop(stdin);
    assert_eq!(notify.status(), 0);
    let said = sandbox.read("err");
    assert_eq!(said.matches("heartbeat: withheld").count(), 1, "{said}");
    assert_eq!(said.matches("heartbeat: resumed").count(), 1, "{said}");
}

#[test]
fn a_target_that_refuses_for_good_does_not_let_it_beat_either() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    let send = ["exec", "--", "sh", "-c", "test $SUPD_SERIAL != 1 || exit 65"];
    let (mut notify, mut stdin) = start(&sandbox, &heart, &[&OFTEN, &send]);
    stdin.write_all(crash(1).as_bytes()).unwrap();
    until("it is withheld", || sandbox.read("err").contains("heartbeat: withheld"));
    let before = heart.count();
    stdin.write_all(crash(2).as_bytes()).unwrap();
    until("it beats again", || heart.count() > before);
    drop(stdin);
    assert_eq!(notify.status(), 1);
}

#[test]
fn once_supervisord_ticks_nothing_else_makes_it_beat() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    let send =
        ["--spool", "spool", "exec", "--", "sh", "-c", "sleep 0.5; echo $SUPD_SEQ $SUPD_EVENTNAME >>sent"];
    let (mut notify, mut stdin) = start(&sandbox, &heart, &[&OFTEN, &send]);
    until("our own clock makes it beat", || heart.count() > 2);
    let record = |seq: u64| state(seq, "web", "EXITED", &format!(r#","seq":{seq}"#));
    stdin.write_all((tick(1) + &record(2)).as_bytes()).unwrap();
    // Whoever has read the record has read the tick.
    until("it is delivered", || sandbox.read("sent").lines().count() == 1);
    let before = heart.count();
    // Fifteen intervals without a tick.
    stdin.write_all((3..6).map(record).collect::<String>().as_bytes()).unwrap();
    until("they are delivered", || sandbox.read("sent").lines().count() == 4);
    assert!(heart.count() <= before + 1, "one may have been under way");
    let silent = heart.count();
    stdin.write_all(tick(6).as_bytes()).unwrap();
    until("a tick makes it beat", || heart.count() == silent + 1);
    drop(stdin);
    assert_eq!(notify.status(), 0);
    assert!(!sandbox.read("sent").contains("TICK"));
    assert_eq!(sandbox.read("spool/cursors/notify"), "6\n", "what was for us alone is dealt with too");
}

#[test]
fn ticks_that_come_too_often_make_one_beat_an_interval() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    let (mut notify, mut stdin) = start(&sandbox, &heart, &[&HOURLY, &["file", "out"]]);
    until("it beats at the start", || heart.count() == 1);
    stdin.write_all(((1..1000).map(tick).collect::<String>() + &crash(1)).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(notify.status(), 0);
    assert_eq!(heart.count(), 1);
    assert_eq!(sandbox.read("out"), crash(1));
}

#[test]
fn without_a_heartbeat_ticks_are_delivered_like_any_record_and_a_dry_run_has_none() {
    let sandbox = Sandbox::new();
    let heart = Receiver::start(&[]);
    sandbox.tool("supd-notify").args(["file", "out"]).write_stdin(tick(1)).assert().success();
    assert_eq!(sandbox.read("out"), tick(1));
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--dry-run", "--heartbeat", &heart.url("/"), "log"]).write_stdin(tick(1));
    notify.assert().success().stdout(predicate::str::contains("ticked"));
    assert_eq!(heart.count(), 0);
}

#[test]
fn a_heartbeat_that_never_answers_delays_nothing() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--heartbeat", &url, "--heartbeat-interval", "1h", "file", "out"]).write_stdin(crash(1));
    let started = std::time::Instant::now();
    notify.assert().success();
    assert!(started.elapsed().as_secs() < 10, "no longer than a ping may take");
    assert_eq!(sandbox.read("out"), crash(1));
}

#[test]
fn what_is_no_url_is_refused_without_repeating_it() {
    let sandbox = Sandbox::new();
    sandbox.write("url", "hc-ping.com/s3cret\n");
    sandbox.write("empty", "\n");
    let refused = |words: &[&str], reason: &str| {
        let assert = sandbox.tool("supd-notify").args(words).write_stdin("").assert().code(2);
        assert.stderr(predicate::str::contains(reason).and(predicate::str::contains("s3cret").not()));
    };
    refused(&["--heartbeat-file", "url", "log"], "heartbeat: the URL is not one such as");
    refused(&["--heartbeat-file", "empty", "log"], "heartbeat: there is no URL in the file");
    let both = ["--heartbeat", "http://localhost/", "log", "--heartbeat-file", "url"];
    refused(&both, "either --heartbeat or --heartbeat-file");
}

//! `supd-notify retry`: dead letters are sent again, and whatever happens on the way, none is lost.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use assert_cmd::assert::Assert;
use predicates::prelude::*;
use rustix::process::Signal;

use crate::harness::{Receiver, Running, Sandbox, state, until};

/// A template whose result is known only for a record that has no serial, which those here have.
const NEVER: &str = r#"{"x":{% if serial is none %}1{% else %}{{ nothing.there }}{% endif %}}"#;

fn crash(serial: u64) -> String {
    state(serial, "web", "EXITED", r#","expected":false"#)
}

/// A dead letter of this target.
fn dead(serial: u64, target: &str) -> String {
    let member = format!(
        r#","undelivered":{{"target":"{target}","reason":"404","time":"2026-01-05T08:00:01.000Z"}}}}"#
    );
    crash(serial).replace("}\n", &(member + "\n"))
}

fn dead_letters(serials: impl IntoIterator<Item = u64>) -> String {
    serials.into_iter().map(|serial| dead(serial, "slack")).collect()
}

/// Appends to `sent` the number of each record; waits for somebody to open the gate at the third.
const GATED: &str = "echo $SUPD_SERIAL >>sent; test $SUPD_SERIAL != 3 || read -r go <gate";

impl Sandbox {
    fn retry(&self, words: &[&str]) -> Assert {
        self.tool("supd-notify").args(["retry", "dead"]).args(words).assert()
    }

    /// A retry that stands at the gate, having sent the first three of ten.
    fn retry_at_the_gate(&self) -> Running {
        self.sh("mkfifo gate").assert().success();
        self.write("dead", dead_letters(1..=10));
        let mut command = self.spawnable("supd-notify");
        command.args(["retry", "dead", "--timeout", "1m", "--", "exec", "--", "sh", "-c", GATED]);
        let running = Running(command.stderr(fs::File::create(self.path("err")).unwrap()).spawn().unwrap());
        until("it stands at the gate", || self.serials("sent").len() == 3);
        running
    }

    fn open_the_gate(&self) {
        fs::write(self.path("gate"), "go\n").unwrap();
    }

    /// The serials in a file of records, or of bare numbers.
    fn serials(&self, name: &str) -> Vec<u64> {
        let serial = |line: serde_json::Value| line.as_u64().or_else(|| line["serial"].as_u64()).unwrap();
        self.records(name).into_iter().map(serial).collect()
    }

    fn is_nothing_under_way(&self) -> bool {
        !self.path("dead.retrying").exists()
    }
}

#[test]
fn dead_letters_arrive_as_the_records_that_they_were() {
    let sandbox = Sandbox::new();
    let odd = crash(2).replace("{\"ts\"", "{ \"note\": 1, \"ts\"");
    let odd_dead =
        odd.replace("}\n", ",\"undelivered\":{\"target\":\"slack\",\"reason\":\"}\",\"time\":\"t\"}}\n");
    sandbox.write("dead", dead(1, "slack") + &odd_dead + &crash(3));
    sandbox.retry(&["--", "file", "sent"]).success().stdout("").stderr("supd-notify: sent 3 records again\n");
    assert_eq!(sandbox.read("sent"), crash(1) + &odd + &crash(3));
    assert_eq!((sandbox.read("dead").as_str(), sandbox.is_nothing_under_way()), ("", true));
    sandbox
        .retry(&["--", "file", "sent"])
        .success()
        .stderr("supd-notify: there are no dead letters in 'dead'\n");
    let missing = sandbox.tool("supd-notify").args(["retry", "none", "--", "file", "sent"]).assert().code(1);
    missing.stderr("supd-notify: open dead letter file 'none': No such file or directory (os error 2)\n");
}

#[test]
fn what_fails_again_is_in_the_file_with_the_new_reason() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[(200, "ok", &[]), (410, "gone", &[]), (200, "ok", &[])]);
    sandbox.write("dead", dead_letters(1..=3));
    let assert = sandbox.retry(&["--", "webhook", "--url", &receiver.url("/")]).code(1);
    assert.stderr(
        predicate::str::contains("deliver to webhook: the server answered 410 Gone: gone; gave up")
            .and(predicate::str::ends_with("sent 2 records again; 1 failed again and is in 'dead'\n")),
    );
    let [again] = &sandbox.records("dead")[..] else { panic!("there is one") };
    assert_eq!((&again["serial"], &again["undelivered"]["target"]), (&2.into(), &"webhook".into()));
    assert_eq!(again["undelivered"]["reason"], "the server answered 410 Gone: gone");
    assert!(again["undelivered"]["time"].as_str() > Some("2026-01-05T08:00:01.000Z"));
    assert_eq!(sandbox.read("dead").matches("undelivered").count(), 1);
    assert!(sandbox.is_nothing_under_way());
}

#[test]
fn a_channel_that_is_down_is_given_up_for_all_at_once_and_one_that_is_busy_is_not() {
    let sandbox = Sandbox::new();
    sandbox.write("dead", dead_letters(1..=50));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    let assert = sandbox.retry(&["--retry-for", "300ms", "--", "webhook", "--url", &url]).code(1);
    assert.stderr(predicate::str::ends_with("sent 0 records again; 50 failed again and are in 'dead'\n"));
    assert_eq!(sandbox.serials("dead"), (1..=50).collect::<Vec<_>>());
    // The end of the file was long ago when the server asks for patience.
    let receiver = Receiver::start(&[(200, "", &[]), (429, "", &[("Retry-After", "1")]), (200, "", &[])]);
    let words = ["--drain-timeout", "0s", "--", "webhook", "--retry-for", "30s", "--url", &receiver.url("/")];
    sandbox.retry(&words).success().stderr(predicate::str::ends_with("sent 50 records again\n"));
    assert_eq!(receiver.count(), 51);
}

#[test]
fn only_those_of_a_target_and_never_what_is_no_record() {
    let sandbox = Sandbox::new();
    let torn = "{\"torn\n";
    sandbox
        .write("dead", [&dead(1, "slack"), torn, &dead(2, "pager"), &crash(3), &dead(4, "slack")].concat());
    let assert = sandbox.retry(&["--target", "slack", "--", "file", "sent"]).code(1);
    assert.stderr(
        "supd-notify: read dead letters, line 2: not a record: EOF while parsing a string at column 6; kept as it is\n\
         supd-notify: sent 2 records again; 2 of other targets stay in 'dead'; 1 line is not a record, kept in 'dead'\n",
    );
    assert_eq!(sandbox.read("sent"), crash(1) + &crash(4));
    assert_eq!(sandbox.read("dead"), [torn, &dead(2, "pager"), &crash(3)].concat());
}

#[test]
fn with_a_configuration_each_target_gets_its_own() {
    let sandbox = Sandbox::new();
    let config = "[targets.ops]\nfile = { path = 'ops' }\n\
                  [targets.pager]\nexec = { program = ['sh', '-c', 'exit 65'] }\n";
    sandbox.write("notify.toml", config);
    let lines = [dead(1, "ops"), dead(2, "pager"), dead(3, "gone"), crash(4), dead(5, "ops")];
    sandbox.write("dead", lines.concat());
    let assert = sandbox.retry(&["--config", "notify.toml"]).code(1);
    assert.stderr(predicate::str::ends_with(
        "sent 2 records again; 1 failed again and is in 'dead'; 2 of other targets stay in 'dead'\n",
    ));
    assert_eq!((sandbox.read("ops"), sandbox.serials("dead")), (crash(1) + &crash(5), vec![2, 3, 4]));
    assert_eq!(sandbox.records("dead")[0]["undelivered"]["target"], "pager");
    // Somebody else is to get them, but whose they are is not forgotten.
    let words = ["--target", "pager", "--", "exec", "--", "sh", "-c", "exit 65"];
    sandbox
        .retry(&words)
        .code(1)
        .stderr(predicate::str::contains("deliver to pager: 'sh' ended with status 65"));
    sandbox.retry(&["--target", "pager", "--", "file", "sent"]).success();
    assert_eq!((sandbox.read("sent"), sandbox.serials("dead")), (crash(2), vec![3, 4]));
}

#[test]
fn people_get_groups_and_options_stand_on_either_side() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    sandbox.write("dead", dead_letters(1..=2));
    let mut notify = sandbox.tool("supd-notify");
    notify.env("SUPD_SLACK_URL", receiver.url("/")).args(["retry", "--group-interval", "0s", "dead", "--"]);
    notify.args(["-q", "slack", "--timeout", "9s"]).assert().success().stderr("");
    assert!(receiver.slack_texts()[0].starts_with("🔴 web on web1 exited unexpectedly"));
    for (words, reason) in [
        (&["--dead-letter", "x", "--", "log"][..], "leave --dead-letter out"),
        (&["--", "log", "--spool", "x"], "leave --spool out"),
        (&["--state", "x", "--metrics", "y", "--", "log"], "leave --state out"),
        (&["--", "--heartbeat", "http://localhost/", "log"], "leave --heartbeat out"),
        (&["--", "retry", "dead"], "after 'retry FILE --' stands a channel"),
        (&["--", "slak"], "slak"),
        (&[], "retry: where to send to is missing: supd-notify retry FILE -- slack"),
        (&["--config", "none.toml", "--", "log"], "a channel beside it has no place"),
        (&["--", "slack"], "SUPD_SLACK_URL"),
    ] {
        sandbox.write("dead", dead(1, "slack"));
        sandbox.retry(words).code(2).stderr(predicate::str::contains(reason));
        assert_eq!(sandbox.read("dead"), dead(1, "slack"));
    }
}

#[test]
fn a_dry_run_shows_the_records_and_moves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("dead", dead(2, "slack"));
    sandbox.write("dead.retrying", dead(1, "slack"));
    sandbox.retry(&["--dry-run", "--", "file", "sent"]).success().stdout(crash(1) + &crash(2));
    assert_eq!(sandbox.read("dead") + &sandbox.read("dead.retrying"), dead(2, "slack") + &dead(1, "slack"));
    assert!(!sandbox.path("sent").exists());
}

#[test]
fn after_kill_9_the_next_retry_begins_with_what_was_left() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.retry_at_the_gate();
    running.signal(Signal::KILL);
    assert_eq!(running.status(), 128 + 9);
    sandbox.open_the_gate();
    assert_eq!(sandbox.serials("dead.retrying"), (1..=10).collect::<Vec<_>>());
    // A supd-notify that still runs.
    sandbox.write("dead", dead(11, "slack"));
    let assert = sandbox.retry(&["--", "file", "again"]).success();
    assert.stderr(
        predicate::str::contains(
            "dead.retrying' is left from an earlier retry, which did not end; beginning with it\n",
        )
        .and(predicate::str::ends_with("sent 11 records again\n")),
    );
    assert_eq!(sandbox.serials("again"), (1..=11).collect::<Vec<_>>());
    assert_eq!((sandbox.read("dead").as_str(), sandbox.is_nothing_under_way()), ("", true));
}

#[test]
fn a_signal_ends_it_and_what_was_not_sent_is_in_the_file() {
    for signal in [Signal::TERM, Signal::INT] {
        let sandbox = Sandbox::new();
        let mut running = sandbox.retry_at_the_gate();
        running.signal(signal);
        until("it has heard", || {
            sandbox.read("err").contains("interrupted: what has not been sent goes back")
        });
        // What is under way is not cut short: it might arrive all the same.
        sandbox.open_the_gate();
        assert_eq!(running.status(), 1);
        assert!(sandbox.read("err").ends_with("sent 3 records again; 7 failed again and are in 'dead'\n"));
        assert_eq!((sandbox.serials("sent"), sandbox.serials("dead")), (vec![1, 2, 3], (4..=10).collect()));
        assert!(sandbox.is_nothing_under_way());
    }
}

#[test]
fn two_retries_of_a_file_exclude_each_other() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.retry_at_the_gate();
    sandbox.write("dead", dead(11, "slack"));
    let second = sandbox.retry(&["--", "file", "second"]).code(1);
    second.stderr(predicate::str::ends_with("dead': another supd-notify is doing so\n"));
    assert!(!sandbox.path("second").exists());
    sandbox.open_the_gate();
    assert_eq!(first.status(), 0);
    // What came meanwhile is for the next.
    sandbox.retry(&["--", "file", "second"]).success();
    assert_eq!((sandbox.serials("sent").len(), sandbox.read("second")), (10, crash(11)));
}

#[test]
fn through_a_link_the_file_itself_is_moved() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("real")).unwrap();
    sandbox.write("real/dead", dead_letters(1..=2));
    std::os::unix::fs::symlink("real/dead", sandbox.path("dead")).unwrap();
    sandbox.retry(&["--", "exec", "--", "sh", "-c", "test $SUPD_SERIAL = 1 || exit 65"]).code(1);
    assert_eq!(sandbox.serials("real/dead"), [2]);
    assert!(sandbox.path("dead").is_symlink() && !sandbox.path("real/dead.retrying").exists());
}

#[test]
fn what_cannot_be_put_back_stays_where_it_was() {
    let sandbox = Sandbox::new();
    sandbox.write("dead", dead_letters(1..=2));
    // Whoever delivers to it makes the dead letter file a directory.
    let script = "rm dead; mkdir dead; exit 65";
    let assert = sandbox.retry(&["--", "exec", "--", "sh", "-c", script]).code(1);
    assert.stderr(predicate::str::contains("so here is the record: {").count(2));
    assert_eq!(sandbox.serials("dead.retrying"), [1, 2]);
}

#[test]
fn while_others_add_to_the_file_every_record_is_sent_once_or_still_there() {
    const RECORDS: u64 = 1_500;
    const WRITERS: u64 = 2;
    let sandbox = Sandbox::new();
    let rounds = &AtomicU64::new(0);
    let write = |writer: u64| {
        let mut command = sandbox.spawnable("supd-notify");
        command.args(["-q", "--dead-letter", "dead", "webhook", "--url", "http://127.0.0.1:1/"]);
        command.args(["--template", NEVER]).stdin(Stdio::piped());
        command.stderr(fs::File::create(sandbox.path(&format!("err{writer}"))).unwrap());
        let mut running = Running(command.spawn().unwrap());
        let mut stdin = running.0.stdin.take().unwrap();
        for number in 0..RECORDS {
            // Neither may be done before the other has begun, however slow the machine is.
            until("a retry for each part of the records", || rounds.load(Ordering::Acquire) >= number / 300);
            stdin.write_all(crash(number * WRITERS + writer).as_bytes()).unwrap();
        }
        drop(stdin);
        assert_eq!(running.status(), 1);
    };
    sandbox.write("dead", "");
    let written = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::scope(|writers| {
                (0..WRITERS).for_each(|writer| drop(writers.spawn(move || write(writer))));
            });
            written.store(true, Ordering::Release);
        });
        while !written.load(Ordering::Acquire) {
            let round = rounds.fetch_add(1, Ordering::AcqRel) + 1;
            // In turn everything arrives and everything comes back.
            if round.is_multiple_of(2) {
                sandbox.retry(&["--", "file", "sent"]).success();
            } else {
                let words = ["-q", "--", "webhook", "--url", "http://127.0.0.1:1/", "--template", NEVER];
                let status = sandbox.retry(&words).get_output().status.code();
                assert!(matches!(status, Some(0 | 1)));
            }
        }
    });
    assert!(sandbox.is_nothing_under_way());
    let (sent, left) = (sandbox.serials("sent"), sandbox.serials("dead"));
    eprintln!("{rounds:?} retries; {} sent, {} left", sent.len(), left.len());
    let mut all = [sent, left].concat();
    all.sort_unstable();
    assert_eq!(all, (0..RECORDS * WRITERS).collect::<Vec<_>>());
}

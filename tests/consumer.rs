//! supd-notify as the consumer of a spool: what it confirms, what it skips, and what it leaves there.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};

use predicates::prelude::*;
use rustix::process::Signal;

use crate::harness::{Receiver, Running, Sandbox, state, until};

/// Crashes with these numbers in the spool.
fn crashes(seqs: impl IntoIterator<Item = u64>) -> String {
    let crash = |seq| state(seq + 1000, "web", "EXITED", &format!(r#","expected":false,"seq":{seq}"#));
    seqs.into_iter().map(crash).collect()
}

fn mark(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"eventname\":\"SUPD_MARK\"}}\n")
}

/// Appends to `sent` the number of each record.
const SEND: [&str; 5] = ["exec", "--", "sh", "-c", "echo $SUPD_SEQ >>sent"];

/// A port that nobody listens on.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

impl Sandbox {
    fn cursor(&self, consumer: &str) -> Option<u64> {
        self.read(&format!("spool/cursors/{consumer}")).trim().parse().ok()
    }

    /// A consumer that got this far.
    fn confirmed(&self, consumer: &str, seq: u64) {
        fs::create_dir_all(self.path("spool/cursors")).unwrap();
        self.write(&format!("spool/cursors/{consumer}"), format!("{seq}\n"));
    }

    /// The numbers of the records that [`SEND`] has sent.
    fn sent(&self) -> Vec<u64> {
        self.read("sent").lines().map(|seq| seq.parse().unwrap()).collect()
    }

    /// A consumer with this input, to run to its end.
    fn consume(&self, words: &[&str], input: String) -> assert_cmd::assert::Assert {
        self.tool("supd-notify").args(["--spool", "spool"]).args(words).write_stdin(input).assert()
    }

    /// A consumer that writes its messages to this file, with its input open.
    fn consumer(&self, words: &[&str], messages: &str) -> (Running, ChildStdin) {
        let mut command: Command = self.spawnable("supd-notify");
        command.args(["--spool", "spool"]).args(words).stdin(Stdio::piped());
        let mut child = command.stderr(File::create(self.path(messages)).unwrap()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (Running(child), stdin)
    }
}

#[test]
fn it_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    sandbox.consume(&SEND, crashes(1..=3)).success().stderr("");
    assert_eq!((sandbox.sent(), sandbox.cursor("notify")), (vec![1, 2, 3], Some(3)));
    let assert = sandbox.consume(&[&["-v"], &SEND[..]].concat(), crashes(1..=5)).success();
    assert.stderr(predicate::str::contains("skipped 3 records up to seq 3").count(1));
    assert_eq!((sandbox.sent(), sandbox.cursor("notify")), (vec![1, 2, 3, 4, 5], Some(5)));
}

#[test]
fn the_variable_names_the_spool_unless_it_is_empty_or_nothing_is_sent() {
    let sandbox = Sandbox::new();
    let notify = |spool: &str, words: &[&str]| {
        let mut notify = sandbox.tool("supd-notify");
        notify.env("SUPD_SPOOL", spool).args(words).write_stdin(crashes([1])).assert()
    };
    notify("", &SEND).success();
    notify("spool", &["--dry-run", "log"]).success();
    assert!(!sandbox.path("spool").exists());
    notify("spool", &SEND).success();
    assert_eq!(sandbox.cursor("notify"), Some(1));
    let cure = "supd-notify: create spool 'no/such': there is no 'no'; make it with mkdir -p\n";
    notify("no/such", &SEND).code(2).stderr(cure);
}

#[test]
fn after_kill_9_nothing_is_lost_and_nothing_confirmed_comes_again() {
    let sandbox = Sandbox::new();
    let script = "echo $SUPD_SEQ >>sent; test $SUPD_SEQ != 50 || read -r go <gate";
    sandbox.sh("mkfifo gate").assert().success();
    let (mut running, mut stdin) =
        sandbox.consumer(&["--timeout", "1m", "exec", "--", "sh", "-c", script], "err");
    stdin.write_all(crashes(1..=10).as_bytes()).unwrap();
    until("some are confirmed", || sandbox.cursor("notify") == Some(10));
    stdin.write_all(crashes(11..=100).as_bytes()).unwrap();
    until("it is in the middle", || sandbox.sent().len() == 50);
    running.signal(Signal::KILL);
    assert_eq!(running.status(), 128 + 9);
    // For the program that it ran.
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    let confirmed = sandbox.cursor("notify").unwrap();
    assert!((10..50).contains(&confirmed), "{confirmed}");
    sandbox.consume(&SEND, crashes(1..=100)).success();
    let expected: Vec<u64> = (1..=50).chain(confirmed + 1..=100).collect();
    assert_eq!((sandbox.sent(), sandbox.cursor("notify")), (expected, Some(100)));
}

#[test]
fn marks_confirm_what_a_filter_took_away() {
    let sandbox = Sandbox::new();
    let (mut running, mut stdin) = sandbox.consumer(&SEND, "err");
    until("a new consumer is known", || sandbox.cursor("notify") == Some(0));
    stdin.write_all(mark(7).as_bytes()).unwrap();
    until("the mark is confirmed", || sandbox.cursor("notify") == Some(7));
    // The end of a problem is not sent.
    stdin.write_all(state(8, "web", "RUNNING", r#","seq":8,"resolves":1"#).as_bytes()).unwrap();
    until("it is confirmed", || sandbox.cursor("notify") == Some(8));
    stdin.write_all((crashes([9]) + &mark(20)).as_bytes()).unwrap();
    until("the last mark is confirmed", || sandbox.cursor("notify") == Some(20));
    drop(stdin);
    assert_eq!((running.status(), sandbox.sent(), sandbox.read("err")), (0, vec![9], String::new()));
}

#[test]
fn a_number_that_several_records_have_is_confirmed_when_all_of_them_are_dealt_with() {
    let sandbox = Sandbox::new();
    let running = state(9, "web", "RUNNING", r#","seq":5,"derived":2"#);
    let derived = |name: &str, more: &str| {
        format!("{{\"eventname\":\"SUPD_{name}\",\"processname\":\"web\",\"seq\":5{more}}}\n")
    };
    let (restarted, flapping) = (derived("RESTARTED", r#","derived":1"#), derived("FLAPPING", ""));
    let (mut consumer, mut stdin) = sandbox.consumer(&SEND, "err");
    stdin.write_all([&running, &restarted].map(String::as_bytes).concat().as_slice()).unwrap();
    until("both are sent, and the one before them is confirmed", || {
        sandbox.sent() == [5, 5] && sandbox.cursor("notify") == Some(4)
    });
    consumer.signal(Signal::KILL);
    consumer.status();
    // The last of them had not come, so all come again.
    let (mut consumer, mut stdin) = sandbox.consumer(&SEND, "err");
    stdin.write_all([&running, &restarted, &flapping].map(String::as_bytes).concat().as_slice()).unwrap();
    until("all are confirmed", || sandbox.cursor("notify") == Some(5));
    assert_eq!(sandbox.sent(), [5; 5]);
    // Others that follow may have been left out by a filter.
    stdin.write_all(state(10, "web", "RUNNING", r#","seq":6,"derived":1"#).as_bytes()).unwrap();
    until("it is sent", || sandbox.sent().len() == 6);
    stdin.write_all(mark(6).as_bytes()).unwrap();
    until("the mark confirms it", || sandbox.cursor("notify") == Some(6));
    // What has no number, because time has told it, is no mistake of anybody's.
    let stable = "{\"eventname\":\"SUPD_STABLE\",\"processname\":\"web\"}\n";
    stdin.write_all(stable.as_bytes()).unwrap();
    drop(stdin);
    assert_eq!((consumer.status(), sandbox.read("err")), (0, String::new()));
    assert_eq!(sandbox.read("sent"), "5\n5\n5\n5\n5\n6\n\n");
}

#[test]
fn a_mark_confirms_nothing_that_still_waits() {
    let sandbox = Sandbox::new();
    let failing = ["--drain-timeout", "10ms", "webhook", "--url", &closed()];
    let assert = sandbox.consume(&failing, crashes([3]) + &mark(5)).success();
    assert.stderr(predicate::str::contains("; 1 record stays in the spool for the next start\n"));
    assert_eq!(sandbox.cursor("notify"), Some(2), "the first two are not for us");
}

#[test]
fn what_a_receiver_that_is_down_did_not_get_stays_in_the_spool() {
    let sandbox = Sandbox::new();
    sandbox.confirmed("notify", 3);
    let url = closed();
    for by_signal in [true, false] {
        let words = ["--drain-timeout", "500ms", "--dead-letter", "dead", "webhook", "--url", &url];
        let (mut running, mut stdin) = sandbox.consumer(&words, "err");
        stdin.write_all(crashes(2..=6).as_bytes()).unwrap();
        until("it has tried", || sandbox.read("err").contains("next attempt in"));
        let _open = by_signal.then(|| {
            running.signal(Signal::TERM);
            stdin
        });
        assert_eq!(running.status(), 0);
        assert!(sandbox.read("err").ends_with("; 3 records stay in the spool for the next start\n"));
        assert_eq!((sandbox.read("dead").as_str(), sandbox.cursor("notify")), ("", Some(3)));
    }
    let receiver = Receiver::start(&[]);
    sandbox.consume(&["webhook", "--url", &receiver.url("/")], crashes(2..=6)).success().stderr("");
    let bodies: String = receiver.received().into_iter().map(|received| received.body + "\n").collect();
    assert_eq!((bodies, sandbox.cursor("notify")), (crashes(4..=6), Some(6)));
}

#[test]
fn what_was_given_up_is_confirmed() {
    let sandbox = Sandbox::new();
    let given_up = ["--retry-for", "10ms", "--dead-letter", "dead", "webhook", "--url", &closed()];
    sandbox.consume(&given_up, crashes(1..=2)).code(1);
    let seqs: Vec<u64> = sandbox.records("dead").iter().map(|dead| dead["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs, sandbox.cursor("notify")), (vec![1, 2], Some(2)));
    // What no receiver will ever take must not keep the rest from it.
    let script = r#"test $SUPD_SEQ != 3 || exit 65; echo $SUPD_SEQ >>sent"#;
    for words in [&[][..], &["--dead-letter", "/dev/full"]] {
        sandbox.confirmed("notify", 2);
        let words = [words, &["exec", "--", "sh", "-c", script]].concat();
        let assert = sandbox.consume(&words, crashes(1..=4)).code(1);
        assert.stderr(predicate::str::contains("so here is the record: {"));
        assert_eq!((sandbox.sent(), sandbox.cursor("notify")), (vec![4], Some(4)));
        fs::remove_file(sandbox.path("sent")).unwrap();
    }
}

#[test]
fn a_successor_waits_for_the_end_of_the_first() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let script = "echo first $SUPD_SEQ >>log; read -r go <gate";
    let words = ["--timeout", "1m", "exec", "--", "sh", "-c", script];
    let (mut first, mut input) = sandbox.consumer(&words, "first.err");
    input.write_all(crashes(1..=2).as_bytes()).unwrap();
    until("the first one delivers", || sandbox.read("log") == "first 1\n");
    let words = ["--drain-timeout", "1m", "exec", "--", "sh", "-c", "echo second $SUPD_SEQ >>log"];
    let (mut second, mut inherited) = sandbox.consumer(&words, "second.err");
    inherited.write_all(crashes(1..=3).as_bytes()).unwrap();
    // The end of its input does not end the waiting.
    drop(inherited);
    let holder = format!("waiting for the end of process {}, which is consumer 'notify'", first.0.id());
    until("the second one waits", || sandbox.read("second.err").contains(&holder));
    drop(input);
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    until("it delivers the next", || sandbox.read("log").ends_with("first 2\n"));
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    assert_eq!((first.status(), second.status()), (0, 0));
    assert_eq!(sandbox.read("log"), "first 1\nfirst 2\nsecond 3\n");
    assert_eq!(sandbox.cursor("notify"), Some(3));
}

#[test]
fn a_successor_waits_no_longer_than_it_may() {
    let sandbox = Sandbox::new();
    let (_first, _input) = sandbox.consumer(&SEND, "first.err");
    until("the first one is the consumer", || sandbox.cursor("notify").is_some());
    let stays = predicate::str::contains("what it leaves stays there for the next start");
    sandbox.consume(&[&["--drain-timeout", "0s"], &SEND[..]].concat(), crashes([1])).success().stderr(stays);
    let (mut second, _input) =
        sandbox.consumer(&[&["--drain-timeout", "100ms"], &SEND[..]].concat(), "second.err");
    until("it waits", || sandbox.read("second.err").contains("waiting for the end of"));
    second.signal(Signal::TERM);
    assert_eq!((second.status(), sandbox.sent(), sandbox.cursor("notify")), (0, vec![], Some(0)));
    // Under another name there is nobody to wait for.
    sandbox.consume(&[&["--consumer", "pager"], &SEND[..]].concat(), crashes([1])).success();
    assert_eq!(sandbox.cursor("pager"), Some(1));
}

#[test]
fn a_new_consumer_begins_beside_the_furthest_of_the_others_or_at_the_start() {
    let sandbox = Sandbox::new();
    sandbox.confirmed("slow", 2);
    sandbox.confirmed("quick", 4);
    for (name, more, expected) in [
        ("new", &[][..], &[5, 6][..]),
        ("all", &["--from-start"], &[1, 2, 3, 4, 5, 6]),
        // It is new only once.
        ("all", &["--from-start"], &[]),
    ] {
        fs::write(sandbox.path("sent"), "").unwrap();
        sandbox.consume(&[&["--consumer", name], more, &SEND].concat(), crashes(1..=6)).success();
        assert_eq!((sandbox.sent(), sandbox.cursor(name)), (expected.to_vec(), Some(6)), "{name}");
    }
    sandbox.consume(&["--consumer", "a/b", "log"], String::new()).code(2);
}

#[test]
fn a_record_without_a_number_is_delivered_and_said_once() {
    let sandbox = Sandbox::new();
    let unnumbered = state(1, "web", "FATAL", "");
    let input = [&crashes([1]), &unnumbered, &unnumbered, &crashes([2])].map(String::as_str).concat();
    let assert = sandbox.consume(&["file", "out"], input.clone()).success();
    assert.stderr(
        "supd-notify: a record has no 'seq', so it cannot be confirmed, and may be delivered again after a restart; \
         keep 'seq' in the filter before us, and give supd-listen the same spool\n",
    );
    assert_eq!((sandbox.read("out"), sandbox.cursor("notify")), (input, Some(2)));
}

#[test]
fn a_record_without_a_number_that_there_was_no_time_for_is_sent_by_the_next() {
    let sandbox = Sandbox::new();
    let unnumbered = state(1, "web", "FATAL", "");
    let failing = ["--drain-timeout", "10ms", "webhook", "--url", &closed()];
    let assert = sandbox.consume(&failing, unnumbered.clone() + &crashes([7])).success();
    assert.stderr(
        predicate::str::contains("; 1 record stays in the spool for the next start\n")
            .and(predicate::str::contains("; 1 record stays in the state for the next start\n")),
    );
    sandbox.consume(&["file", "out"], crashes([7])).success();
    assert_eq!((sandbox.read("out"), sandbox.cursor("notify")), (unnumbered + &crashes([7]), Some(7)));
}

#[test]
fn a_cursor_that_cannot_be_written_stops_no_delivery_and_is_said_once() {
    let sandbox = Sandbox::new();
    sandbox.confirmed("notify", 1);
    // In the place of the file that becomes the cursor.
    fs::create_dir(sandbox.path("spool/cursors/.notify.new")).unwrap();
    let (mut running, mut stdin) = sandbox.consumer(&SEND, "err");
    for seq in 2..=4 {
        stdin.write_all(crashes([seq]).as_bytes()).unwrap();
        until("it is delivered", || sandbox.sent().last() == Some(&seq));
    }
    let said = || sandbox.read("err").matches("write cursor 'spool/cursors/notify': Is a directory").count();
    assert_eq!((said(), sandbox.cursor("notify")), (1, Some(1)));
    fs::remove_dir(sandbox.path("spool/cursors/.notify.new")).unwrap();
    until("it is written after all", || sandbox.cursor("notify") == Some(4));
    drop(stdin);
    assert_eq!((running.status(), said()), (0, 1));
}

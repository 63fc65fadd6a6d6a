//! supd-listen spool: what a person sees of a spool, and does with it.

use std::fs;
use std::path::PathBuf;

use predicates::prelude::*;
use serde_json::{Value, json};
use supd_core::spool::{Asked, Consumer, ConsumerName, ask};

use crate::harness::{Sandbox, until};

const TIMES: [&str; 5] = ["08:00:00.000", "08:00:01.000", "08:00:02.500", "08:01:00.000", "09:00:00.250"];

fn record(seq: usize) -> String {
    format!(
        "{{\"ts\":\"2026-01-05T{}Z\",\"host\":\"db1\",\"seq\":{seq},\"eventname\":\"TICK_5\"}}\n",
        TIMES[seq - 1]
    )
}

/// Five records in two segments, and these consumers.
fn spool(sandbox: &Sandbox, cursors: &[(&str, &str)]) -> PathBuf {
    fs::create_dir_all(sandbox.path("spool/cursors")).unwrap();
    sandbox.write("spool/00000000000000000001.ndjson", [record(1), record(2)].concat());
    sandbox.write("spool/00000000000000000003.ndjson", [record(3), record(4), record(5)].concat());
    for (name, cursor) in cursors {
        sandbox.write(&format!("spool/cursors/{name}"), cursor);
    }
    sandbox.path("spool")
}

/// Runs `supd-listen spool` with these words, of which `spool` is the spool's directory.
fn run(sandbox: &Sandbox, words: &[&str]) -> assert_cmd::assert::Assert {
    sandbox.tool("supd-listen").arg("spool").args(words).assert()
}

fn name(text: &str) -> ConsumerName {
    ConsumerName::parse(text).unwrap()
}

fn status(sandbox: &Sandbox) -> Value {
    let assert = run(sandbox, &["status", "spool", "--json"]).success().stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 1);
    serde_json::from_str(&text).unwrap()
}

/// What each consumer has confirmed.
fn confirmed(sandbox: &Sandbox) -> Vec<(String, Value)> {
    let status = status(sandbox);
    let consumers = status["consumers"].as_array().unwrap().iter();
    consumers.map(|one| (one["name"].as_str().unwrap().to_owned(), one["confirmed"].clone())).collect()
}

#[test]
fn a_spool_is_told_at_a_glance() {
    let sandbox = Sandbox::new();
    spool(&sandbox, &[("notify", "3\n"), ("notify.slack", "5\n"), ("old", "0\n")]);
    let assert = run(&sandbox, &["status", "spool"]).success().stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let bytes: usize = (1..=5).map(|seq| record(seq).len()).sum();
    assert_eq!(
        lines[..3],
        [
            "spool spool: nobody writes to it",
            &format!("2 segments, {bytes} B"),
            "records 1 to 5, 2026-01-05T08:00:00.000Z to 2026-01-05T09:00:00.250Z",
        ]
    );
    // How long ago that was is up to the clock.
    let is = |line: &str, pattern: &str| predicate::str::is_match(pattern).unwrap().eval(line);
    assert!(
        is(lines[3], r"^notify        has confirmed up to 3; 2 behind, the oldest for \d[^;]*; not running$"),
        "{text}"
    );
    assert_eq!(lines[4], "notify.slack  has confirmed up to 5; up to date; not running");
    assert!(
        is(lines[5], r"^old           has confirmed up to 0; 5 behind, the oldest for \d[^;]*; not running$"),
        "{text}"
    );
    assert_eq!(lines.len(), 6);
}

#[test]
fn who_runs_is_told_by_their_locks() {
    let sandbox = Sandbox::new();
    let path = spool(&sandbox, &[("notify", "3\n")]);
    let us = std::process::id();
    let Asked::Ours(_writer) = ask(&path).unwrap() else { panic!("it is nobody's") };
    let Asked::Ours(_notify) = Consumer::ask(&path, &name("notify")).unwrap() else {
        panic!("it is nobody's")
    };
    let Asked::Ours(_new) = Consumer::ask(&path, &name("new")).unwrap() else { panic!("it is nobody's") };
    // One that has gone without having confirmed anything is none.
    sandbox.write("spool/cursors/gone.lock", "1\n");
    let text = run(&sandbox, &["status", "spool"]).success();
    text.stdout(predicate::str::contains(format!("spool spool: written by process {us}\n")))
        .stdout(predicate::str::contains(format!("; running as process {us}\n")).count(2))
        .stdout(predicate::str::contains("new     has confirmed nothing yet; 5 behind"))
        .stdout(predicate::str::contains("gone").not());
    let keys: Vec<String> = status(&sandbox).as_object().unwrap().keys().cloned().collect();
    let order = [
        "spool",
        "running",
        "pid",
        "segments",
        "bytes",
        "first_seq",
        "last_seq",
        "oldest_ts",
        "newest_ts",
        "consumers",
    ];
    assert_eq!(keys, order);
    let mut told = status(&sandbox);
    told["bytes"] = json!(0);
    assert_eq!(
        told,
        json!({
            "spool": "spool", "running": true, "pid": us, "segments": 2, "bytes": 0, "first_seq": 1, "last_seq": 5,
            "oldest_ts": "2026-01-05T08:00:00.000Z", "newest_ts": "2026-01-05T09:00:00.250Z",
            "consumers": [
                {"name": "new", "confirmed": null, "behind": 5, "oldest_unconfirmed_ts": "2026-01-05T08:00:00.000Z",
                 "running": true, "pid": us},
                {"name": "notify", "confirmed": 3, "behind": 2, "oldest_unconfirmed_ts": "2026-01-05T08:01:00.000Z",
                 "running": true, "pid": us},
            ],
        })
    );
}

#[test]
fn what_is_not_there_is_said() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("spool/cursors")).unwrap();
    run(&sandbox, &["status", "spool"]).success().stdout(
        "spool spool: nobody writes to it\n0 segments, 0 B\nno records\nno consumer has confirmed anything, so each start hands everything on again; end the pipeline in supd-notify, \
         or use --confirm-on-write\n",
    );
    let told = status(&sandbox);
    assert_eq!(
        (&told["first_seq"], &told["newest_ts"], &told["consumers"]),
        (&json!(null), &json!(null), &json!([]))
    );
    // What is not whole does not count, and stays.
    sandbox.write("spool/00000000000000000001.ndjson", [&record(1), "{\"seq\":2,\"da"].concat());
    let told = format!(
        "1 segment, {} B\nrecords 1 to 1, 2026-01-05T08:00:00.000Z to 2026-01-05T08:00:00.000Z\n",
        record(1).len()
    );
    run(&sandbox, &["status", "spool"]).success().stdout(predicate::str::contains(told));
    assert!(sandbox.read("spool/00000000000000000001.ndjson").ends_with("\"da"));
}

#[test]
fn what_is_no_spool_is_refused() {
    let sandbox = Sandbox::new();
    let no_spool =
        "supd-listen: read spool 'bin': it is none, there are neither segments nor cursors in it\n";
    run(&sandbox, &["status", "bin"]).code(1).stdout("").stderr(no_spool);
    run(&sandbox, &["confirm", "bin", "--consumer", "a"]).code(1).stderr(no_spool);
    run(&sandbox, &["remove-consumer", "bin", "--consumer", "a"]).code(1).stderr(no_spool);
    run(&sandbox, &["status", "missing"])
        .code(1)
        .stderr("supd-listen: read spool 'missing': No such file or directory (os error 2)\n");
    let cure = "supd-listen: which spool? give its directory, as in: supd-listen spool status DIR, or set SUPD_SPOOL\n";
    run(&sandbox, &["status"]).code(2).stderr(cure);
    sandbox.tool("supd-listen").args(["spool", "status"]).env("SUPD_SPOOL", "").assert().code(2).stderr(cure);
    run(&sandbox, &["confirm", "bin", "--consumer", "../lock"]).code(2);
    run(&sandbox, &["confirm", "bin"]).code(2).stderr(predicate::str::contains("--consumer <NAME>"));
    assert_eq!(fs::read_dir(sandbox.path("bin")).unwrap().count(), 4);
}

#[test]
fn the_environment_says_which_spool() {
    let sandbox = Sandbox::new();
    let path = spool(&sandbox, &[]);
    let mut status = sandbox.tool("supd-listen");
    status.args(["spool", "status", "-q"]).env("SUPD_SPOOL", &path).env("SUPD_HOST", "h");
    status.assert().success().stdout(predicate::str::contains("\nno consumer has confirmed anything, so"));
    // A reader that has left is no reason to complain.
    sandbox.sh("supd-listen spool status spool | true").assert().success().stderr("");
}

#[test]
fn a_consumer_can_be_moved_either_way() {
    let sandbox = Sandbox::new();
    spool(&sandbox, &[("notify", "3\n")]);
    for (words, told, cursor) in [
        (&[][..], "notify: has confirmed everything up to 5; before, 3; records 4 to 5 are passed over\n", 5),
        (&[], "notify: had confirmed everything up to 5 already\n", 5),
        (
            &["--to", "4"],
            "notify: has confirmed everything up to 4; before, 5; record 5 is delivered again when its listener next \
             starts\n",
            4,
        ),
        (
            &["--to", "0"],
            "notify: has confirmed everything up to 0; before, 4; records 1 to 4 are delivered again when its listener \
             next starts\n",
            0,
        ),
    ] {
        run(&sandbox, &[&["confirm", "spool", "--consumer", "notify"], words].concat())
            .success()
            .stdout(told)
            .stderr("");
        assert_eq!(confirmed(&sandbox), [("notify".to_owned(), json!(cursor))]);
    }
    run(&sandbox, &["confirm", "spool", "--consumer", "notify", "--to", "6"])
        .code(1)
        .stderr("supd-listen: confirm in spool 'spool': there is no record 6 yet, the newest is 5\n");
    run(&sandbox, &["confirm", "spool", "--consumer", "new", "--to", "2"])
        .success()
        .stdout("new: a new consumer, which has confirmed everything up to 2\n");
    assert_eq!(confirmed(&sandbox), [("new".to_owned(), json!(2)), ("notify".to_owned(), json!(0))]);
    // What is gone is not delivered again.
    fs::remove_file(sandbox.path("spool/00000000000000000001.ndjson")).unwrap();
    sandbox.write("spool/cursors/notify", "3\n");
    run(&sandbox, &["confirm", "spool", "--consumer", "notify", "--to", "1"])
        .success()
        .stdout(predicate::str::contains("; record 3 is delivered again"));
    assert_eq!(status(&sandbox)["consumers"][1]["behind"], 3);
}

#[test]
fn a_consumer_that_runs_is_left_alone() {
    let sandbox = Sandbox::new();
    let path = spool(&sandbox, &[("notify", "3\n")]);
    let running = Consumer::ask(&path, &name("notify")).unwrap();
    let told = format!("notify is running, as process {}; stop its listener first\n", std::process::id());
    run(&sandbox, &["confirm", "spool", "--consumer", "notify"])
        .code(1)
        .stderr(format!("supd-listen: confirm in spool 'spool': {told}"));
    run(&sandbox, &["remove-consumer", "spool", "--consumer", "notify"])
        .code(1)
        .stderr(format!("supd-listen: remove a consumer of spool 'spool': {told}"));
    assert_eq!(confirmed(&sandbox), [("notify".to_owned(), json!(3))]);
    drop(running);
    let state = name("notify").state(&path);
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, "{}").unwrap();
    run(&sandbox, &["remove-consumer", "spool", "--consumer", "notify"])
        .success()
        .stdout("notify: is no consumer any more; it had confirmed everything up to 3\n");
    assert_eq!((confirmed(&sandbox), fs::read_dir(path.join("cursors")).unwrap().count()), (vec![], 0));
    assert!(!state.exists(), "who comes later under that name remembers nothing");
}

#[test]
fn a_consumer_that_is_not_there_cannot_be_removed() {
    let sandbox = Sandbox::new();
    spool(&sandbox, &[]);
    for (others, there_are) in [
        (&[][..], "no consumer has confirmed anything"),
        (&["notify"], "there is only notify"),
        (&["notify", "notify.mail"], "there are notify, notify.mail"),
    ] {
        spool(&sandbox, &others.iter().map(|&name| (name, "3\n")).collect::<Vec<_>>());
        run(&sandbox, &["remove-consumer", "spool", "--consumer", "notfy"]).code(1).stderr(format!(
            "supd-listen: remove a consumer of spool 'spool': there is no notfy; {there_are}\n"
        ));
    }
}

#[test]
fn what_another_user_could_not_read_is_not_written() {
    let sandbox = Sandbox::new();
    let path = spool(&sandbox, &[("notify", "3\n")]);
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    run(&sandbox, &["confirm", "spool", "--consumer", "notify"]).code(2).stderr(
        "supd-listen: confirm in spool 'spool': it belongs to another user, who could not read what we write; run this as \
         that user: sudo -u '#65534' supd-listen spool …\n",
    );
    assert_eq!(confirmed(&sandbox), [("notify".to_owned(), json!(3))]);
    assert!(!sandbox.path("spool/cursors/notify.lock").exists());
}

#[test]
fn a_program_may_be_called_spool() {
    let sandbox = Sandbox::new();
    sandbox.write("program", "#!/bin/sh\necho started \"$@\" >program.out\nexec cat\n");
    sandbox
        .sh("chmod +x program; mv program bin/spool; supd-listen -- spool status </dev/null")
        .assert()
        .success();
    until("the program was run", || sandbox.read("program.out") == "started status\n");
    sandbox.tool("supd-listen").args(["-c", "cat", "spool", "status"]).assert().code(2);
}

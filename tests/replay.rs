//! supd-mock replay as a twin of supervisord: pools, buffers, restarts, faults, transcripts, and what it plays.

use std::collections::BTreeSet;

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Sandbox, capture};

const BAD_DAY: usize = 32;

/// The events that a listener was sent at all, by serial and name.
fn distinct(records: &[Value]) -> BTreeSet<(u64, String)> {
    records
        .iter()
        .map(|record| (record["serial"].as_u64().unwrap(), record["eventname"].as_str().unwrap().to_owned()))
        .collect()
}

fn lines(sandbox: &Sandbox, script: &str, status: i32) -> Vec<Value> {
    let assert = sandbox.sh(script).assert().code(status);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_pool_of_three_shares_the_events() {
    let sandbox = Sandbox::new();
    let script = "supd-mock replay --speed max --numprocs 3 --name pool -- sh -c 'exec supd-listen -o $SUPERVISOR_PROCESS_NAME'";
    let results = lines(&sandbox, script, 0);
    assert_eq!(results.len(), BAD_DAY);
    let records: Vec<Value> =
        ["pool_00", "pool_01", "pool_02"].iter().flat_map(|name| sandbox.records(name)).collect();
    assert_eq!(records.len(), BAD_DAY);
    assert_eq!(distinct(&records).len(), BAD_DAY);
}

#[test]
fn a_buffer_of_a_given_size_overflows_and_none_is_dropped_without_one() {
    let sandbox = Sandbox::new();
    // It is busy with its first event for as long as it takes for all others to happen.
    sandbox.write(
        "listener.sh",
        "echo READY; read -r header; head -c ${header##*len:} >/dev/null\n\
         until grep -q dropped out; do sleep 0.05; done; printf 'RESULT 2\\nOK'; exec supd-listen -o rest",
    );
    let script = "supd-mock replay --speed 1000 --buffer-size 4 -- sh listener.sh >out; echo $?; cat out";
    let assert = sandbox.sh(script).assert();
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let (status, results) = text.split_once('\n').unwrap();
    assert_eq!(status, "1");
    let dropped = results.matches("\"dropped\"").count();
    let accepted = results.matches("\"OK\"").count();
    assert!(dropped > 0 && accepted > 0, "{results}");
    assert_eq!(dropped + accepted, BAD_DAY);
    assert.stderr(predicate::str::contains(format!(
        "{accepted} events accepted, 0 rejections, {dropped} events lost"
    )));
}

#[test]
fn a_listener_that_dies_is_started_again_if_asked_for_and_gets_the_event_again() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "listener.sh",
        "[ -e died ] && exec supd-listen -o out; echo READY; read -r header; touch died; kill -9 $$",
    );
    let events = capture("svstate.raw");
    let replay = |more: &str| format!("supd-mock replay {more} -e {} -- sh listener.sh", events.display());
    let results = lines(&sandbox, &replay("--autorestart unexpected"), 1);
    let results: Vec<&str> = results.iter().map(|line| line["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["none", "OK", "OK"]);
    assert_eq!(sandbox.records("out").len(), 2);
    std::fs::remove_file(sandbox.path("died")).unwrap();
    let assert = sandbox.sh(&replay("")).assert().code(1);
    assert.stderr(predicate::str::contains("was ended by signal 9 before all events were played"));
}

#[test]
fn no_fault_loses_an_event() {
    for faults in [
        "split:1",
        "split:7 --fault delay:1ms",
        "delay:2ms",
        "kill:5",
        "close:4",
        "garbage:6",
        "kill:3 --fault split:10",
    ] {
        let sandbox = Sandbox::new();
        let script = format!("supd-mock replay --speed max --fault {faults} -- supd-listen -o out");
        let results = lines(&sandbox, &script, 0);
        let accepted = results.iter().filter(|line| line["result"] == "OK").count();
        assert_eq!(accepted, BAD_DAY, "{faults}: {results:?}");
        assert_eq!(distinct(&sandbox.records("out")).len(), BAD_DAY, "{faults}");
    }
    let sandbox = Sandbox::new();
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "--fault", "explode:1", "--", "true"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("none of split:BYTES, delay:DURATION, kill:N, close:N, garbage:N"));
}

#[test]
fn a_transcript_is_the_same_for_the_same_and_a_difference_is_shown() {
    let sandbox = Sandbox::new();
    let events = capture("redelivery.raw");
    let replay = |more: &str, listener: &str| {
        format!("supd-mock -q replay -e {} {more} -- {listener} >/dev/null", events.display())
    };
    sandbox.sh(&replay("--record old", "supd-listen -o out")).assert().success();
    let old = sandbox.read("old");
    assert!(old.starts_with("listener = STOPPED -> STARTING\n"), "{old}");
    assert!(old.contains("\nlistener < READY\\n\nlistener > ver:3.0 server:"), "{old}");
    sandbox.sh(&replay("--expect old", "sh -c 'supd-listen | cat >out'")).assert().success().stderr("");
    let picky = "sh -c 'echo READY; read -r header; head -c ${header##*len:} >/dev/null; printf \"RESULT 2\\nNO\"; exec supd-listen -o out'";
    let assert = sandbox.sh(&replay("--expect old", picky)).assert().code(1);
    assert.stderr(
        predicate::str::contains("compare with 'old': this run went another way")
            .and(predicate::str::contains("\n+listener < RESULT 2\\nNO\n+listener < READY\\n\n")),
    );
}

#[test]
fn several_files_and_passes_are_new_events_each_time() {
    let sandbox = Sandbox::new();
    let (one, two) = (capture("svstate.raw"), capture("redelivery.raw"));
    let script =
        format!("supd-mock replay -e {} -e {} --loop 3 -- supd-listen -o out", one.display(), two.display());
    let results = lines(&sandbox, &script, 0);
    let sent = 3 * (2 + 27);
    assert_eq!(results.len(), sent);
    // What one capture holds twice, as supervisord redelivered it, is one event in each pass.
    let records = sandbox.records("out");
    assert_eq!(records.len(), 3 * (2 + 21));
    assert_eq!(distinct(&records).len(), records.len());
}

#[test]
fn a_fleet_in_one_file_is_no_redelivery() {
    let sandbox = Sandbox::new();
    let script = "supd-mock generate -s fleet -n 500 >fleet; supd-mock replay -e fleet --speed max -- supd-listen -o out";
    sandbox.sh(script).assert().success();
    assert_eq!(sandbox.records("out").len(), 500);
}

#[test]
fn a_directory_is_played_segment_by_segment_and_times_select() {
    let sandbox = Sandbox::new();
    let script = "supd-mock generate -n 60 >all; mkdir spool; head -n 25 all >spool/01.ndjson; tail -n +26 all >spool/26.ndjson; touch spool/lock
        supd-mock replay -e spool --speed max -- supd-listen -o out
        jq -c 'del(.ts,.host,.boot)' all >expected; jq -c 'del(.ts,.host,.boot)' out | cmp - expected
        since=$(sed -n 31p all | jq -r .ts); until=$(sed -n 41p all | jq -r .ts)
        supd-mock replay -e spool --speed max --since $since --until $until -- supd-listen -o part
        jq -c --arg s $since --arg u $until 'select(.ts >= $s and .ts < $u) | .serial' all >expected; jq -c .serial part | cmp - expected; wc -l <part";
    let assert = sandbox.sh(script).assert().success();
    let count: u32 =
        String::from_utf8_lossy(&assert.get_output().stdout).lines().last().unwrap().trim().parse().unwrap();
    assert!(count > 0);
}

#[test]
fn each_profile_counts_and_numbers_in_its_own_way() {
    let sandbox = Sandbox::new();
    let heads = |profile: &str, file: &str| {
        let script = format!(
            "supd-mock -q replay --profile {profile} --speed max -e {} --record out -- supd-listen --len auto -o /dev/null >/dev/null; \
             sed -n 's/^listener > .* eventname:\\([^ ]*\\) len:\\([0-9]*\\).*/\\1 \\2/p' out",
            capture(file).display()
        );
        let assert = sandbox.sh(&script).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let (three, two, go) =
        (heads("python3", "logs.raw"), heads("python2", "logs.raw"), heads("go", "logs.raw"));
    assert_eq!(three, two, "Python 2 counts characters in log events too");
    assert!(three.contains("PROCESS_LOG_STDERR ") && !go.contains("PROCESS_LOG_STDERR "));
    assert_ne!(heads("python3", "remote.raw"), heads("python2", "remote.raw"));
    assert_eq!(heads("python2", "remote.raw"), heads("go", "remote.raw"));
    assert!(heads("python3", "svstate.raw").contains("SUPERVISOR_STATE_CHANGE_RUNNING 0"));
}

#[test]
fn a_supervisord_conf_runs_as_it_says() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("work")).unwrap();
    sandbox.write(
        "supervisord.conf",
        r#"[supervisord]
identifier=the one
environment=GREETING="hello, world"
[unix_http_server]
file=%(here)s/supervisor.sock
[eventlistener:alerts]
command=sh -c 'printf "%%s|" "$SUPERVISOR_PROCESS_NAME" "$SUPERVISOR_GROUP_NAME" "$GREETING" "$QUOTED" "$(pwd)" "$(umask)" "$SUPERVISOR_SERVER_URL" >&2; echo >&2; exec supd-listen -o %(process_num)d.ndjson'
process_name=%(program_name)s_%(process_num)02d
numprocs=2
events=PROCESS_STATE_EXITED,PROCESS_STATE_FATAL
buffer_size=100
directory=%(here)s/work
umask=027
environment=QUOTED="it's 'quoted', 5%%",PLAIN=x
[eventlistener:other]
command=supd-listen -o other.ndjson
directory=%(here)s/work
events=TICK
startsecs=0
"#,
    );
    let script = "supd-mock replay -C supervisord.conf --speed max --record said";
    let assert = sandbox.sh(script).assert().success();
    let records: Vec<Value> =
        ["work/0.ndjson", "work/1.ndjson"].iter().flat_map(|name| sandbox.records(name)).collect();
    assert_eq!(records.len(), 5, "the exits and the FATAL of the bad day, and nothing else");
    assert!(records.iter().all(|record| record["server"] == "the one" && record["pool"] == "alerts"));
    let poolserials: BTreeSet<u64> =
        records.iter().map(|record| record["poolserial"].as_u64().unwrap()).collect();
    assert_eq!(poolserials, (0..5).collect(), "numbered by the pool, without holes");
    let (here, url) = (sandbox.path("work"), sandbox.path("supervisor.sock"));
    for process in ["alerts_00", "alerts_01"] {
        let line = format!(
            "{process}|alerts|hello, world|it's 'quoted', 5%|{}|0027|unix://{}|",
            here.display(),
            url.display()
        );
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(stderr.contains(&line), "{stderr}\n{line}");
    }
    let said = sandbox.read("said");
    assert!(
        said.contains("alerts:alerts_00 = SIGTERM\n") && said.contains("other = STOPPING -> STOPPED\n"),
        "{said}"
    );
    let one = "supd-mock replay -C supervisord.conf --listener other --speed max";
    let assert = sandbox.sh(one).assert().code(1);
    assert.stderr(predicate::str::contains("no event was one that a listener subscribes to"));
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "-C", "supervisord.conf", "--listener", "nobody"])
        .assert()
        .code(1)
        .stderr("supd-mock: run listener 'nobody': 'supervisord.conf' has only alerts, other\n");
    mock = sandbox.tool("supd-mock");
    mock.args(["replay", "-C", "supervisord.conf", "--", "true"]).assert().code(2);
}

/// Two sections whose processes have the same names, as `process_name=%(process_num)02d` gives them.
#[test]
fn processes_of_the_same_name_are_told_apart() {
    let sandbox = Sandbox::new();
    let section = |name: &str| {
        format!(
            "[eventlistener:{name}]\ncommand=supd-listen -o {name}-%(process_num)d\nprocess_name=%(process_num)02d\n\
             numprocs=2\nevents=PROCESS_STATE\nbuffer_size=100\nstartsecs=0\ndirectory=%(here)s\n"
        )
    };
    sandbox.write("supervisord.conf", format!("[supervisord]\n{}{}", section("one"), section("two")));
    let results = lines(&sandbox, "supd-mock replay -C supervisord.conf --speed max", 0);
    for group in ["one", "two"] {
        let accepted =
            results.iter().filter(|line| line["groupname"] == group && line["result"] == "OK").count();
        let records: usize = (0..2).map(|n| sandbox.records(&format!("{group}-{n}")).len()).sum();
        assert_eq!(accepted, records);
        assert!(records > 20, "{results:?}");
    }
}

#[test]
fn a_listener_sees_the_words_of_its_command_as_they_are_written() {
    let sandbox = Sandbox::new();
    let events = capture("svstate.raw");
    let words = format!(
        "supd-mock replay -e {} -- sh -c 'echo \"$0 $1\" >seen; exec supd-listen -o out' name 'two words'",
        events.display()
    );
    sandbox.sh(&words).assert().success();
    assert_eq!(sandbox.read("seen"), "name two words\n");
    let program = format!(
        "supd-mock replay -e {} -- bash -c 'tr \"\\0\" \" \" </proc/$$/cmdline >seen; exec supd-listen -o out'",
        events.display()
    );
    sandbox.sh(&program).assert().success();
    assert!(sandbox.read("seen").starts_with("bash -c "), "{}", sandbox.read("seen"));
}

#[test]
fn a_listener_that_must_be_killed_fails_and_one_that_ends_at_sigterm_does_not() {
    let sandbox = Sandbox::new();
    let replay = |more: &str, listener: &str| {
        let events = capture("svstate.raw");
        format!("supd-mock replay --stop-timeout 200ms {more} -e {} -- {listener}", events.display())
    };
    let stubborn = "sh -c 'trap \"\" TERM; supd-listen -o out; while :; do sleep 0.1; done'";
    let assert = sandbox.sh(&replay("", stubborn)).assert().code(1);
    assert.stderr(
        predicate::str::contains("did not end within 200ms; sending SIGTERM")
            .and(predicate::str::contains("sending SIGKILL"))
            .and(predicate::str::contains("was ended by signal 9")),
    );
    sandbox.sh(&replay("--end term", "supd-listen -o out")).assert().success();
    sandbox.sh(&replay("--end term", "sh -c 'supd-listen -o out; sleep 100'")).assert().success();
}

#[test]
fn what_cannot_be_started_or_compared_is_said_before_anything_runs() {
    let sandbox = Sandbox::new();
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "--", "nosuchprogram"]).assert().code(1);
    let mut mock = sandbox.tool("supd-mock");
    let assert = mock.args(["replay", "--", "nosuchprogram"]).assert().code(1);
    assert.stderr("supd-mock: start 'nosuchprogram': not found in PATH\n");
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "--expect", "missing", "--", "supd-listen", "-o", "out"])
        .assert()
        .code(1)
        .stderr("supd-mock: read 'missing': No such file or directory (os error 2)\n");
    assert!(!sandbox.path("out").exists());
    let raw = capture("svstate.raw");
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "--since", "1h", "-e"]).arg(&raw).args(["--", "supd-listen", "-o", "out"]);
    mock.assert().code(1).stderr(predicate::str::contains("the events have no times"));
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["replay", "--loop", "2", "-e", "-", "--", "true"]).assert().code(2);
    // The file that is written is the one that is compared with: what was there before counts.
    let replay = |listener: &str| {
        format!("supd-mock -q replay -e {} --record t --expect t -- {listener} >/dev/null", raw.display())
    };
    sandbox.write("t", "listener < something else\n");
    sandbox.sh(&replay("supd-listen -o out")).assert().code(1);
    sandbox.sh(&replay("supd-listen -o out")).assert().success();
}

#[test]
fn an_event_that_leaks_is_rejected_ten_times_and_lost_once() {
    let sandbox = Sandbox::new();
    sandbox.write("picky.sh", "echo READY; while read -r header; do head -c ${header##*len:} >/dev/null; printf 'RESULT 2\\nNOREADY\\n'; done");
    sandbox.write(
        "supervisord.conf",
        "[supervisord]\n[eventlistener:picky]\ncommand=sh %(here)s/picky.sh\nevents=SUPERVISOR_STATE_CHANGE_RUNNING\nstartsecs=0\n\
         [eventlistener:good]\ncommand=supd-listen -o %(here)s/out\nevents=TICK\nstartsecs=0\n",
    );
    let assert = sandbox.sh("supd-mock replay -C supervisord.conf --speed max").assert().code(1);
    assert.stderr(
        predicate::str::contains("the listener picky did not accept event 0 in 10 attempts")
            .and(predicate::str::is_match("[0-9]+ events accepted, 10 rejections, 1 events lost").unwrap()),
    );
    assert_eq!(sandbox.records("out").len(), 1, "it leaked, and was known again");
}

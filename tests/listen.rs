//! supd-listen by hand: what it writes to supervisord and into its records, and what it refuses.

use predicates::prelude::*;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Listener, OK_READY, PATIENCE, Sandbox, capture, tick, until};

#[test]
fn an_event_is_answered_after_its_record_has_been_handed_on_and_input_stays_open() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "--host", "db1", "-o", "out.ndjson"]);
    listener.expect("READY\n");
    listener.send(&tick(7));
    listener.expect(OK_READY);
    let [record] = &sandbox.records("out.ndjson")[..] else { panic!("one record") };
    assert_eq!(
        (&record["serial"], &record["host"], &record["when"]),
        (&7.into(), &"db1".into(), &1795356105.into())
    );
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    let order = ["ts", "host", "boot", "ver", "server", "serial", "pool", "poolserial", "eventname", "when"];
    assert_eq!(keys, order);
    drop(listener.stdin.take());
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, ""));
}

#[test]
fn a_file_is_left_with_whole_lines() {
    let sandbox = Sandbox::new();
    sandbox.write("out", "{\"torn");
    let mut listen = sandbox.tool("supd-listen");
    listen.args(["-o", "out"]).write_stdin(tick(1));
    listen
        .assert()
        .success()
        .stderr("supd-listen: append to 'out': its last line is not whole; beginning a new one\n");
    assert!(sandbox.read("out").starts_with("{\"torn\n{\"ts\":"));
    // One block of 512 bytes is room for two records and a bit.
    let three: Vec<u8> = (1..4).flat_map(tick).collect();
    let mut limited = sandbox.sh("trap '' XFSZ; ulimit -f 1; exec supd-listen --host h -o limited");
    limited
        .write_stdin(three)
        .assert()
        .code(1)
        .stderr(
            "supd-listen: write to 'limited': File too large (os error 27); trying again until it works\n\
             supd-listen: write to 'limited': it did not take the last event in time; supervisord will send it again\n",
        );
    let records = sandbox.records("limited");
    assert!(!records.is_empty() && records.len() < 3, "{records:?}");
}

#[test]
fn what_would_silence_the_listener_is_refused_at_once() {
    let sandbox = Sandbox::new();
    for (listener, cure) in [
        ("supd-listen -o /dev/stdout", "supervisord waits there for replies"),
        ("sh -c 'supd-listen -c \"supd-parse | supd-notify log\" 2>&1'", "take the '2>&1' away"),
        ("supd-listen '|' supd-parse", "the pipeline must be quoted"),
        ("supd-listen -c ' '", "there is no command in it"),
    ] {
        let assert = sandbox.sh(&format!("supd-mock replay --speed max -- {listener}; echo $?")).assert();
        let said = [&assert.get_output().stdout[..], &assert.get_output().stderr].concat();
        let said = String::from_utf8(said).unwrap();
        // With 2>&1 the message itself goes where it is warned of.
        assert!(said.contains(cure) || listener.contains("2>&1"), "{listener}: {said}");
        assert!(said.contains("1\n") && !said.contains("\"OK\""), "{listener}: {said}");
    }
}

#[test]
fn what_makes_no_sense_is_one_clear_line_and_exit_1() {
    let sandbox = Sandbox::new();
    for (input, reason) in [
        ("hello world\n", "read event header 'hello world': it does not begin with 'ver:'"),
        ("hello", "read event header 'hello': it does not begin with 'ver:'"),
        ("ver:3.0 server:x\n", "read event header 'ver:3.0 server:x': it has no 'len:'"),
        ("\u{1b}[2J\n", "read event header '\\x1b[2J': it does not begin with 'ver:'"),
    ] {
        let assert = sandbox.tool("supd-listen").args(["-o", "out"]).write_stdin(input).assert();
        assert.code(1).stdout("READY\n").stderr(format!("supd-listen: {reason}\n"));
    }
}

#[test]
fn by_hand_in_a_terminal_it_says_what_it_is_for() {
    let sandbox = Sandbox::new();
    for command in ["supd-listen", "supd-listen -o x", "supd-listen -c cat"] {
        // script(1) gives it a terminal.
        let assert = sandbox.tool("script").args(["-qec", command, "/dev/null"]).assert().code(2);
        assert.stdout(
            predicate::str::contains("[eventlistener:NAME]")
                .and(predicate::str::contains("supd-mock replay")),
        );
    }
}

#[test]
fn without_supervisord_a_bare_call_names_the_cures() {
    let sandbox = Sandbox::new();
    let cures = predicate::str::contains("SUPERVISOR_ENABLED is not set")
        .and(predicate::str::contains("-c 'PIPELINE'"));
    sandbox.sh("supd-listen </dev/null | cat; :").assert().stderr(cures);
    sandbox.tool("supd-listen").write_stdin("").assert().code(2).stdout("");
    sandbox.tool("supd-listen").args(["-c", "x", "-o", "y"]).assert().code(2);
    sandbox.tool("supd-listen").args(["--protocol-fd", "77"]).write_stdin("").assert().code(2);
}

#[test]
fn a_small_event_costs_one_read_and_two_writes() {
    let sandbox = Sandbox::new();
    let states = capture("states.raw");
    let replay = format!(
        "supd-mock -q replay --events {} -- strace -o trace -e trace=read,write \
         supd-listen -o out.ndjson >/dev/null",
        states.display()
    );
    sandbox.sh(&replay).assert().success();
    let trace = sandbox.read("trace");
    let events = sandbox.records("out.ndjson").len();
    let reads = trace.lines().filter(|line| line.starts_with("read(0, ")).count();
    let replies = trace.matches("RESULT 2").count();
    let records =
        trace.lines().filter(|line| line.starts_with("write(") && line.contains("\\\"ts\\\"")).count();
    // One read more sees the end of input.
    assert_eq!((reads, replies, records), (events + 1, events, events), "{trace}");
    assert_eq!(
        trace.lines().filter(|line| line.starts_with("write(")).count(),
        2 * events + 1,
        "and READY: {trace}"
    );
}

#[test]
fn a_payload_beyond_the_limit_is_kept_up_to_it_and_marked() {
    let sandbox = Sandbox::new();
    let logs = capture("logs.raw");
    let replay = format!(
        "supd-mock -q replay --events {} -- supd-listen --max-payload 100 -o out.ndjson >/dev/null",
        logs.display()
    );
    sandbox.sh(&replay).assert().success();
    let records = sandbox.records("out.ndjson");
    let (long, short): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["truncated"] == true);
    assert_eq!(long.len() + short.len(), 77);
    assert!(!long.is_empty() && long.iter().all(|record| record["data"].as_str().unwrap().len() < 100));
}

#[test]
fn a_payload_of_megabytes_goes_through_whole() {
    let sandbox = Sandbox::new();
    let text = "é漢字😀\n".repeat(150_000);
    let record = serde_json::json!({
        "ver": "3.0", "server": "s", "serial": 1, "pool": "p", "poolserial": 1, "eventname": "PROCESS_COMMUNICATION_STDOUT",
        "processname": "a", "groupname": "a", "pid": 1, "data": text,
    });
    sandbox.write("big.ndjson", format!("{record}\n"));
    for listener in ["supd-listen -c 'supd-parse | cat >out'", "sh -c 'supd-listen | supd-parse | cat >out'"]
    {
        sandbox.sh(&format!("supd-mock replay -e big.ndjson -- {listener}")).assert().success();
        let [received] = &sandbox.records("out")[..] else { panic!("one record") };
        assert!(received["data"] == record["data"], "{listener}");
    }
}

#[test]
fn a_silence_is_supervisords_whatever_else_happens() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-o", "out"]);
    listener.expect("READY\n");
    listener.send(
        "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:REMOTE_COMMUNICATION len:9\ntype:t\né"
            .as_bytes(),
    );
    until("the event is taken to be whole", || {
        listener.running.signal(Signal::HUP);
        !sandbox.records("out").is_empty()
    });
    listener.expect(OK_READY);
}

#[test]
fn a_bytes_counting_supervisord_is_recognised_after_a_silence_and_remembered() {
    let sandbox = Sandbox::new();
    let replay = format!(
        "supd-mock replay --len bytes --events {} -- supd-listen -o out.ndjson",
        capture("logs.raw").display()
    );
    let output = sandbox.sh(&replay).timeout(PATIENCE).assert().success().get_output().stdout.clone();
    let latencies = String::from_utf8(output).unwrap();
    let slow = latencies
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).unwrap()["latency"].as_f64().unwrap() > 0.9);
    // Once for PROCESS_LOG_STDOUT and once for PROCESS_LOG_STDERR, though 23 events have such text; and a busy machine
    // may be slow once more.
    assert!((1..10).contains(&slow.count()), "{latencies}");
    assert_eq!(sandbox.records("out.ndjson").len(), 77);
}

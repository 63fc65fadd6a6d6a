//! supd-listen by hand: what it writes to supervisord and when, and how it ends.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use predicates::prelude::*;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{PATIENCE, Running, Sandbox, capture, until};

/// supd-listen with pipes, as supervisord starts it.
struct Listener {
    running: Running,
    stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
}

impl Listener {
    fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut command = sandbox.spawnable(words[0]);
        command.args(&words[1..]).env("SUPERVISOR_ENABLED", "1").env("SUPERVISOR_PROCESS_NAME", "test");
        let stderr = std::fs::File::create(sandbox.path("stderr")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { running: Running(child), stdin, stdout }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn expect(&mut self, reply: &str) {
        let mut bytes = vec![0; reply.len()];
        self.stdout.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), reply);
    }

    /// What else it writes before it closes its end.
    fn rest(&mut self) -> String {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        text
    }
}

const OK_READY: &str = "RESULT 2\nOKREADY\n";

fn tick(serial: u32) -> Vec<u8> {
    format!(
        "ver:3.0 server:s serial:{serial} pool:p poolserial:{serial} eventname:TICK_5 len:15\nwhen:1795356105"
    )
    .into()
}

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
fn a_dead_pipeline_ends_it_without_an_event_and_without_a_result() {
    let sandbox = Sandbox::new();
    for (words, status) in [
        (&["supd-listen", "-c", "exit 3"][..], 3),
        (&["supd-listen", "-c", "exit 0"], 1),
        (&["supd-listen", "-c", "kill -9 $$"], 128 + 9),
        (&["supd-listen", "--", "/nonexistent/program"], 1),
        (&["bash", "-o", "pipefail", "-c", "supd-listen | true; exit $?"], 1),
        // The death of the last of three runs up the chain.
        (&["supd-listen", "-c", "supd-parse | exit 4"], 4),
        (&["bash", "-o", "pipefail", "-c", "supd-listen | supd-parse | true; exit $?"], 1),
    ] {
        let mut listener = Listener::start(&sandbox, words);
        listener.expect("READY\n");
        assert_eq!(listener.running.status(), status, "{words:?}: {}", sandbox.read("stderr"));
        assert_eq!(listener.rest(), "", "{words:?}");
        assert!(!sandbox.read("stderr").is_empty(), "{words:?} says why");
    }
}

#[test]
fn an_event_that_finds_the_pipeline_dead_is_not_answered() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let mut listener = Listener::start(
        &sandbox,
        &["supd-listen", "-c", "touch started; read -r go <gate; exec <&-; touch closed; exit 5"],
    );
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("started").exists());
    // Stopped, so that the event and the death of the pipeline are both there when it looks again.
    listener.running.stop();
    std::fs::write(sandbox.path("gate"), "go\n").unwrap();
    until("the pipeline takes nothing more", || sandbox.path("closed").exists());
    listener.send(&tick(1));
    listener.running.signal(Signal::CONT);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (5, ""));
}

#[test]
fn sigterm_takes_nothing_new_and_drains_the_pipeline() {
    let sandbox = Sandbox::new();
    let script = "cat > got; touch drained; cat < hold";
    sandbox.sh("mkfifo hold").assert().success();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", script]);
    listener.expect("READY\n");
    listener.send(&tick(1));
    listener.expect(OK_READY);
    listener.running.signal(Signal::TERM);
    until("the pipeline sees the end of its input", || sandbox.path("drained").exists());
    assert!(listener.running.0.try_wait().unwrap().is_none(), "it waits for the pipeline");
    std::fs::write(sandbox.path("hold"), "").unwrap();
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, ""));
    assert_eq!(sandbox.records("got").len(), 1);
}

#[test]
fn an_event_on_its_way_when_sigterm_comes_is_accepted_without_asking_for_more() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-o", "out.ndjson"]);
    listener.expect("READY\n");
    // Stopped, so that both are there when it looks again.
    listener.running.stop();
    listener.send(&tick(1));
    listener.running.signal(Signal::TERM);
    listener.running.signal(Signal::CONT);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out.ndjson").len(), 1);
}

#[test]
fn a_pipeline_that_does_not_end_is_told_to_and_then_killed() {
    let sandbox = Sandbox::new();
    let stubborn = "trap '' TERM; touch up; sleep 1000 & while :; do wait; sleep 1000; done";
    let mut listener =
        Listener::start(&sandbox, &["supd-listen", "--drain-timeout", "100ms", "-c", stubborn]);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("up").exists());
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 128 + 9);
    let said = sandbox.read("stderr");
    assert!(said.contains("sending SIGTERM") && said.contains("sending SIGKILL"), "{said}");
}

#[test]
fn a_stuck_pipeline_does_not_keep_it_from_ending() {
    let sandbox = Sandbox::new();
    let words = ["supd-listen", "--drain-timeout", "200ms", "-c", "sleep 1000"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    let text = "x".repeat(200_000);
    let payload = format!("processname:a groupname:a pid:1 channel:stdout\n{text}");
    let header = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:PROCESS_LOG_STDOUT len:";
    listener.send(format!("{header}{}\n{payload}", payload.len()).as_bytes());
    // A record larger than the pipe: it cannot be handed on, so it is not acknowledged.
    listener.running.signal(Signal::TERM);
    assert_ne!(listener.running.status(), 0);
    assert_eq!(listener.rest(), "");
}

#[test]
fn sigterm_is_remembered_while_a_slow_pipeline_takes_its_time() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let words = ["supd-listen", "-v", "-c", "touch started; read -r go <gate; cat >out"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("started").exists());
    // Larger than a pipe, so that it waits for room.
    let payload = format!("processname:a groupname:a pid:1 channel:stdout\n{}", "x".repeat(200_000));
    let header = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:PROCESS_LOG_STDOUT len:";
    listener.send(format!("{header}{}\n{payload}", payload.len()).as_bytes());
    listener.running.signal(Signal::TERM);
    until("it has heard SIGTERM", || sandbox.read("stderr").contains("SIGTERM"));
    std::fs::write(sandbox.path("gate"), "go\n").unwrap();
    // It accepts what it had, asks for nothing more, and ends.
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out").len(), 1);
}

#[test]
fn an_event_that_is_half_here_when_sigterm_comes_is_still_taken() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-v", "-o", "out"]);
    listener.expect("READY\n");
    let event = tick(1);
    // Stopped, so that it sees the first half and SIGTERM together.
    listener.running.stop();
    listener.send(&event[..60]);
    listener.running.signal(Signal::TERM);
    listener.running.signal(Signal::CONT);
    until("it has heard SIGTERM", || sandbox.read("stderr").contains("SIGTERM"));
    listener.send(&event[60..]);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out").len(), 1);
}

#[test]
fn records_that_a_dead_stage_left_unread_are_no_success() {
    let sandbox = Sandbox::new();
    // supd-parse ends with wrong usage long after everything is in its pipe; the last stage knows nothing of it.
    let pipeline = "{ sleep 0.3; supd-parse --problem; } | cat";
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", pipeline]);
    listener.expect("READY\n");
    listener.send(&tick(1));
    listener.expect(OK_READY);
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 1);
}

#[test]
fn every_stop_signal_of_supervisord_drains_the_pipeline() {
    let sandbox = Sandbox::new();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2] {
        let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", "touch up; cat; echo >drained"]);
        listener.expect("READY\n");
        until("the pipeline runs", || sandbox.path("up").exists());
        listener.running.signal(signal);
        assert_eq!(listener.running.status(), 0, "{signal:?}");
        std::fs::remove_file(sandbox.path("drained")).unwrap();
        std::fs::remove_file(sandbox.path("up")).unwrap();
    }
}

#[test]
fn the_end_of_supervisord_is_noticed_while_the_pipeline_is_stuck() {
    let sandbox = Sandbox::new();
    let words = ["supd-listen", "--drain-timeout", "200ms", "-c", "touch up; exec sleep 1000"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("up").exists());
    let payload = format!("processname:a groupname:a pid:1 channel:stdout\n{}", "x".repeat(200_000));
    let header = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:PROCESS_LOG_STDOUT len:";
    listener.send(format!("{header}{}\n{payload}", payload.len()).as_bytes());
    drop(listener.stdin.take());
    assert_eq!((listener.running.status(), listener.rest().as_str()), (128 + 15, ""));
}

#[test]
fn orphans_of_the_pipeline_are_reaped_while_it_runs() {
    let sandbox = Sandbox::new();
    let exec = "exec supd-notify exec -- sh -c 'true & echo >>ran'";
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", exec]);
    listener.expect("READY\n");
    for serial in 0..5 {
        listener.send(&tick(serial));
        listener.expect(OK_READY);
    }
    until("all programs have run", || sandbox.read("ran").lines().count() == 5);
    let pid = listener.running.0.id();
    let zombies = || {
        let children = supd_core::ancestry::children_of(pid).into_iter();
        let stat = |child| std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        children.filter(|child| stat(*child).contains(") Z ")).count()
    };
    until("no zombie is left", || zombies() == 0);
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 0);
}

#[test]
fn a_fifo_whose_reader_leaves_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo out").assert().success();
    let reader = std::fs::File::options().read(true).write(true).open(sandbox.path("out")).unwrap();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-o", "out"]);
    listener.expect("READY\n");
    drop(reader);
    assert_eq!(listener.running.status(), 1);
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
        .stderr("supd-listen: write to 'limited': File too large (os error 27)\n");
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

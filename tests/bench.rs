//! supd-mock bench: what it counts and compares, and what it says of listeners that cannot be measured. Never how long
//! anything took.

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Sandbox, processes_with};

/// A listener in sh that answers each event in this way.
fn listener(answer: &str) -> String {
    format!(
        "echo READY; while IFS= read -r header; do head -c \"${{header##*len:}}\" >/dev/null; printf '{answer}'; done"
    )
}

/// What `supd-mock bench --json` writes, its exit status being 0.
fn bench(sandbox: &Sandbox, arguments: &str) -> Value {
    let assert = sandbox.sh(&format!("supd-mock bench --json {arguments}")).assert().success();
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

fn serials(sandbox: &Sandbox, file: &str) -> Vec<u64> {
    sandbox.records(file).iter().map(|record| record["serial"].as_u64().unwrap()).collect()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

const FIGURES: [&str; 13] = [
    "events",
    "rejections",
    "events_per_second",
    "latency_p50",
    "latency_p90",
    "latency_p99",
    "latency_max",
    "cpu",
    "ready",
    "memory",
    "drain",
    "own_cpu",
    "own_cpu_user",
];

#[test]
fn each_event_is_sent_once_in_order_and_has_a_latency() {
    let sandbox = Sandbox::new();
    let report = bench(&sandbox, "-n 1234 -- supd-listen -o out");
    assert_eq!(serials(&sandbox, "out"), (0..1234).collect::<Vec<_>>());
    assert!(sandbox.records("out").iter().all(|record| record["eventname"] == "PROCESS_STATE_EXITED"));
    assert_eq!(keys(&report), ["count", "payload", "members", "rounds", "listeners"]);
    assert_eq!(
        (&report["count"], &report["members"], &report["rounds"]),
        (&1234.into(), &1.into(), &1.into())
    );
    let figures = &report["listeners"][0];
    assert_eq!(keys(figures), [&["command"], &FIGURES[..]].concat());
    assert_eq!(figures["command"], "supd-listen -o out");
    assert_eq!((&figures["events"], &figures["rejections"]), (&1234.into(), &0.into()));
    for positive in ["events_per_second", "latency_p50", "cpu", "ready", "memory", "drain", "own_cpu"] {
        assert!(figures[positive].as_f64().unwrap() > 0.0, "{positive}: {figures}");
    }
    let latencies = FIGURES[3..7].iter().map(|key| figures[key].as_f64().unwrap());
    assert!(latencies.is_sorted(), "{figures}");
}

#[test]
fn a_payload_is_a_log_event_of_that_size() {
    let sandbox = Sandbox::new();
    // The largest is more than a pipe holds.
    for size in [0, 300, 65_536] {
        bench(&sandbox, &format!("-n 3 --payload {size} -- supd-listen -o out{size}"));
        for record in sandbox.records(&format!("out{size}")) {
            assert_eq!(record["eventname"], "PROCESS_LOG_STDOUT");
            assert_eq!(record["data"].as_str().unwrap().len(), size);
        }
    }
}

#[test]
fn members_have_names_of_their_own_and_all_take_part() {
    let sandbox = Sandbox::new();
    let report =
        bench(&sandbox, "-n 300 --members 3 -- sh -c 'exec supd-listen -o \"$SUPERVISOR_PROCESS_NAME\"'");
    assert_eq!(report["listeners"][0]["events"], 300);
    let mut all = Vec::new();
    for name in ["listener_00", "listener_01", "listener_02"] {
        let taken = serials(&sandbox, name);
        assert!(taken.is_sorted() && !taken.is_empty(), "{name}: {taken:?}");
        all.extend(taken);
    }
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
}

#[test]
fn listeners_are_compared_with_the_first() {
    let sandbox = Sandbox::new();
    let arguments = "-n 50 --rounds 2 --vs 'supd-listen -c \"cat >>c\"' --vs 'exec supd-listen -o b' --vs 'exec supd-listen -o d' -- supd-listen -o a";
    let report = bench(&sandbox, arguments);
    let listeners = report["listeners"].as_array().unwrap();
    assert_eq!(listeners.len(), 4);
    for listener in listeners {
        assert_eq!(listener["events"], 50);
        assert_eq!(listener["ratio"]["events"], 1.0);
        assert!(listener["ratio"]["cpu"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(listeners[0]["ratio"]["latency_p50"], 1.0);
    for key in FIGURES {
        let spread = &listeners[1]["spread"][key];
        let [least, value, most] =
            [&spread[0], &listeners[1][key], &spread[1]].map(|number| number.as_f64().unwrap());
        assert!(least <= value && value <= most, "{key}: {}", listeners[1]);
    }
    // Each ran twice.
    for file in ["a", "b", "c", "d"] {
        assert_eq!(serials(&sandbox, file), (0..50).chain(0..50).collect::<Vec<_>>(), "{file}");
    }
    let assert = sandbox.sh(&format!("supd-mock bench {arguments}")).assert().success();
    let table = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(table.starts_with("A: supd-listen -o a\nB: supd-listen -c \"cat >>c\"\n"), "{table}");
    assert!(table.contains("\n50 process exits through one process; medians of 2 rounds\n"), "{table}");
    assert!(table.contains("\nRatios: more is better for events a second, else less; ~ "), "{table}");
    assert!(!table.lines().any(|line| line.ends_with(' ')), "{table}");
    for heading in ["B/A", "C/A", "D/A"] {
        assert_eq!(table.matches(heading).count(), 1, "{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn what_a_child_used_that_was_reaped_before_ready_is_not_the_events() {
    let sandbox = Sandbox::new();
    // A subshell that goes on until it has used 300 ms of processor time, however long that takes.
    let burn = "(while read -r s </proc/self/stat; set -- $s; [ $((${14} + ${15})) -lt 30 ]; do :; done)";
    sandbox.write("listener.sh", format!("{burn}\nexec supd-listen -o out\n"));
    let report = bench(&sandbox, "-n 20 -- sh listener.sh");
    let used = report["listeners"][0]["cpu"].as_f64().unwrap() * 20.0;
    assert!(used < 0.1, "{report}");
}

#[test]
fn one_listener_in_several_rounds_has_its_spread() {
    let sandbox = Sandbox::new();
    let assert = sandbox.sh("supd-mock bench -n 20 --rounds 2 -- supd-listen -o a").assert().success();
    let table = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(table.contains("median            least – most\n") && !table.contains("Ratios"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{table}");
}

#[test]
fn a_listener_may_answer_in_two_writes_and_reject_now_and_then() {
    let sandbox = Sandbox::new();
    let two = "while echo READY; IFS= read -r header; do head -c \"${header##*len:}\" >/dev/null; printf 'RESULT 2\\nOK'; done";
    sandbox.write("two.sh", two);
    assert_eq!(bench(&sandbox, "-n 20 -- sh two.sh")["listeners"][0]["events"], 20);
    let once = "echo READY; r=NO; while IFS= read -r header; do head -c \"${header##*len:}\" >/dev/null; printf \"RESULT 2\\n${r}READY\\n\"; r=OK; done";
    sandbox.write("once.sh", once);
    let report = bench(&sandbox, "-n 20 -- sh once.sh");
    let figures = &report["listeners"][0];
    assert_eq!((&figures["events"], &figures["rejections"]), (&20.into(), &1.into()));
}

#[test]
fn a_listener_that_cannot_be_measured_is_told_on_in_one_line() {
    let sandbox = Sandbox::new();
    let good = "RESULT 2\\nOKREADY\\n";
    let three =
        listener(good).replace("while", "n=0; while [ $n != 3 ] &&").replace("; done", "; n=$((n+1)); done");
    let silent = "echo READY; cat >/dev/null".to_owned();
    for (script, said) in [
        ("exit 0".to_owned(), "it ended with status 0 before the first event"),
        (
            "echo hello; cat >/dev/null".to_owned(),
            "it wrote 'hello\\n' instead of READY before the first event",
        ),
        ("exec sleep 1000".to_owned(), "it did not write READY within "),
        (three.clone() + "; exit 7", "it ended with status 7 after 3 of 200 events"),
        (three + "; kill -SEGV $$", "it was ended by signal 11 after 3 of 200 events"),
        (listener("fine\\n"), "it wrote 'fine\\n' instead of a result after 0 of 200 events"),
        (listener("RESULT 2\\nOK\\nREADY\\n"), "instead of READY after"),
        (listener("RESULT 4\\nFAILREADY\\n"), "it kept rejecting after 0 of 200 events"),
        (silent, "it answered nothing within "),
        (
            "echo READY; exec <&-; exec sleep 1000".to_owned(),
            "it closed its standard input or output after 0 of 200 events",
        ),
    ] {
        sandbox.write("listener.sh", &script);
        // A shell may take long to start on a busy machine; only where time is the point may it be short.
        let timeout = if said.ends_with("within ") { "3s" } else { "20s" };
        for members in [1, 2] {
            let command =
                format!("supd-mock bench -n 200 --timeout {timeout} --members {members} -- sh listener.sh");
            let assert = sandbox.sh(&command).assert().code(1).stdout("");
            let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
            assert!(stderr.starts_with("supd-mock: bench 'sh listener.sh': it "), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            if members == 1 {
                assert!(stderr.contains(said), "{said}: {stderr}");
            }
        }
    }
}

#[test]
fn what_a_listener_leaves_behind_is_ended_with_it_however_it_ends() {
    let sandbox = Sandbox::new();
    // In sessions of their own, one deaf to SIGTERM and one that holds the listener's pipes.
    let leave = "(trap '' TERM; exec setsid sleep 1000 >/dev/null 2>&1) & setsid sleep 1000 & ";
    let mark = format!("SUPD_TEST={}", sandbox.path("").display());
    for (rest, status) in [
        (listener("RESULT 2\\nOKREADY\\n"), 0),
        ("echo READY; exit 7".to_owned(), 1),
        ("echo nonsense; exec sleep 1000".to_owned(), 1),
        ("echo READY; exec sleep 1000".to_owned(), 1),
    ] {
        sandbox.write("listener.sh", leave.to_owned() + &rest);
        let mut bench = sandbox.tool("supd-mock");
        bench.args(["bench", "-n", "5", "--timeout", "4s", "--", "sh", "listener.sh"]);
        bench.env("SUPD_TEST", sandbox.path("")).assert().code(status);
        assert_eq!(processes_with(&mark), Vec::<u32>::new(), "{rest}");
    }
}

#[test]
fn an_error_at_the_end_of_input_is_said_and_the_figures_stand() {
    let sandbox = Sandbox::new();
    sandbox.write("listener.sh", listener("RESULT 2\\nOKREADY\\n") + "; exit 3");
    let assert = sandbox.sh("supd-mock bench -n 5 -- sh listener.sh").assert().success();
    assert
        .stdout(predicate::str::contains("events accepted"))
        .stderr("supd-mock: the listener ended with status 3 after the last event\n");
}

#[test]
fn a_listeners_messages_are_passed_on() {
    let sandbox = Sandbox::new();
    let script = "supd-mock bench -n 5 -- sh -c 'echo one >&2; supd-listen -o out; echo two >&2'";
    sandbox.sh(script).assert().success().stderr("one\ntwo\n");
}

#[test]
fn wrong_usage_is_refused() {
    let sandbox = Sandbox::new();
    for wrong in
        ["-n 0 -- true", "--members 0 -- true", "--payload 65KiB -- true", "--rounds 0 -- true", "-n 5"]
    {
        let assert = sandbox.sh(&format!("supd-mock bench {wrong}")).assert().code(2);
        assert.stderr(predicate::str::ends_with("; --help has more\n"));
    }
}

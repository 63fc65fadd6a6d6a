//! supd-mock check in a shell: it names the defect of every bad listener, and finds none in the good ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use assert_cmd::Command;
use predicates::prelude::*;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::harness::{Running, Sandbox, capture, eventually, processes_with, until};

/// Listeners in data/listeners that do everything right; the shell's where lengths are bytes.
const GOOD: [&str; 4] = ["good.py", "good.sh", "payloads.py", "polite.py"];

/// Listeners in data/listeners, and the only case that each of them fails: the one that names what is wrong with it.
const BAD: [(&str, &str); 55] = [
    ("answers-early.py", "framing/early"),
    ("ascii.py", "text/non-ascii"),
    ("banner.py", "start/ready"),
    ("bytes.py", "text/in-step"),
    ("crashes-at-end.py", "end/status"),
    ("closes-stdin.py", "reply/answers"),
    ("debug-print.py", "reply/result"),
    ("descriptors.py", "memory/handles"),
    ("echo.sh", "reply/exact"),
    ("fails.py", "reply/ok"),
    ("first-len.py", "header/lookalike"),
    ("fixed-order.py", "header/order"),
    ("forgets-sigterm.py", "end/sigterm-busy"),
    ("hangs.py", "reply/answers"),
    ("heartbeat.py", "idle/quiet"),
    ("hoards.py", "memory/steady"),
    ("ignores-sigterm.py", "end/sigterm"),
    ("known-events.py", "event/unknown"),
    ("leaves-child-at-sigterm.py", "end/sigterm-children"),
    ("leaves-child.py", "end/children"),
    ("leaves-when-idle.py", "idle/quiet"),
    ("length-long.py", "reply/length"),
    ("length-negative.py", "reply/length"),
    ("length-short.py", "reply/length"),
    ("length-zero.py", "reply/ok"),
    ("never-empty.py", "header/empty"),
    ("never-flushed.py", "start/output"),
    ("never-nothing.py", "size/empty"),
    ("newline-after-ok.py", "reply/exact"),
    ("no-repeats.py", "event/again"),
    ("one-event.py", "idle/quiet"),
    ("one-read.py", "framing/early"),
    ("only-upwards.py", "event/reload"),
    ("part-decoded.py", "pace/mid-character"),
    ("payload-as-line.py", "framing/no-newline"),
    ("plain.sh", "text/in-step"),
    ("polls.py", "idle/wakes"),
    ("ready-after-all.py", "reply/once"),
    ("ready-bare.py", "start/ready"),
    ("ready-crlf.py", "start/ready"),
    ("ready-once-only.py", "reply/ready"),
    ("ready-twice.py", "start/once"),
    ("retries.py", "end/gone"),
    ("short-read.py", "framing/parts"),
    ("sigpipe.py", "framing/two"),
    ("sleeps-at-end.py", "end/eof"),
    ("spins-at-end.py", "end/spin"),
    ("spins-idle.py", "idle/cpu"),
    ("split-colons.py", "header/colons"),
    ("split-spaces.py", "header/spaces"),
    ("text-mode.py", "text/crlf"),
    ("utf16.py", "text/four-bytes"),
    ("waits-for-input.py", "start/output"),
    ("waits-for-rest.py", "end/cut"),
    ("childutils.py", "header/spaces header/colons end/status"),
];

fn peers() -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    for needed in ["supervisor-4.3.0", "superlance"] {
        assert!(peers.join(needed).exists(), "{needed} is not in {}: run scripts/test", peers.display());
    }
    peers
}

/// How a listener of ours is started.
fn command(name: &str) -> String {
    let path = capture("listeners").join(name);
    let python = peers().join("supervisor-4.3.0/bin/python3");
    match name {
        "childutils.py" => format!("{} {}", python.display(), path.display()),
        _ if name.ends_with(".sh") => format!("sh {}", path.display()),
        // Without what the site adds, Python starts in half the time.
        _ => format!("{} -IS {}", python.display(), path.display()),
    }
}

/// supd-mock check with these words, options first.
fn check(sandbox: &Sandbox, words: &str) -> Command {
    let mut sh = sandbox.spawnable("sh");
    sh.args(["-c", &format!("exec supd-mock check {words}")]).env("SUPD_TEST", sandbox.path(""));
    sh.env_remove("PYTHONUNBUFFERED");
    let mut command = Command::from_std(sh);
    command.timeout(std::time::Duration::from_secs(180));
    command
}

/// The report on a listener: its exit status and its cases. Nothing may be left of the listener.
fn judge(words: &str) -> (i32, Vec<Value>) {
    let sandbox = Sandbox::new();
    // What is slow only because other tests run is no defect. A bad listener takes all the time it is given, so it gets
    // less; but supervisor's own module is slow to load.
    let slow = ["childutils", "superlance", "--strict"];
    let patience = if slow.iter().any(|word| words.contains(word)) { "30s" } else { "4s" };
    let output = check(&sandbox, &format!("--timeout {patience} --report json {words}")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((&*stderr, output.status.code().is_some()), ("", true), "{words}: {}", output.status);
    let mark = format!("SUPD_TEST={}", sandbox.path("").display());
    until("nothing is left of the listener", || processes_with(&mark).is_empty());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), report["cases"].as_array().unwrap().clone())
}

fn failed(cases: &[Value]) -> String {
    let failed = cases.iter().filter(|case| case["outcome"] == "failed");
    failed.map(|case| case["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// What the listener did in the cases that it failed.
fn happened(cases: &[Value]) -> Vec<&Value> {
    let evidence = cases.iter().filter_map(|case| case.get("evidence"));
    evidence.flat_map(|evidence| [&evidence["happened"], &evidence["stderr"]]).collect()
}

/// Runs these side by side, but not all at once: most of the time they wait.
fn side_by_side<T: Sync>(items: &[T], run: impl Fn(&T) + Sync) {
    let next = Mutex::new(items.iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let item = next.lock().unwrap().next();
                    let Some(item) = item else { break };
                    run(item);
                }
            });
        }
    });
}

/// The sections to try a listener with that fails this case: all, but those that take their time only where they are the
/// case's own, or would not be tried because of it.
fn sections(expected: &str) -> String {
    let all =
        ["start", "reply", "idle", "framing", "text", "header", "size", "pace", "event", "end", "memory"];
    let is_early = expected.starts_with("start/") || expected.starts_with("reply/");
    let is_slow = |section: &str| ["idle", "pace", "memory"].contains(&section);
    let is_needed = |section: &&str| is_early || !is_slow(section) || expected.contains(*section);
    all.into_iter().filter(is_needed).collect::<Vec<_>>().join(" ")
}

/// Every fourth listener, so that four tests can share the work.
fn names_the_defects(part: usize) {
    let bad: Vec<_> = BAD.iter().skip(part).step_by(4).collect();
    side_by_side(&bad, |(name, expected)| {
        let (status, cases) = judge(&format!("--only {} -- {}", sections(expected), command(name)));
        assert_eq!(failed(&cases), *expected, "{name}: {:?}", happened(&cases));
        let must = cases.iter().any(|case| case["outcome"] == "failed" && case["level"] == "MUST");
        assert_eq!(status, i32::from(must), "{name}");
    });
}

#[test]
fn it_names_the_defect_of_each_bad_listener_1() {
    names_the_defects(0);
}

#[test]
fn it_names_the_defect_of_each_bad_listener_2() {
    names_the_defects(1);
}

#[test]
fn it_names_the_defect_of_each_bad_listener_3() {
    names_the_defects(2);
}

#[test]
fn it_names_the_defect_of_each_bad_listener_4() {
    names_the_defects(3);
}

#[test]
fn every_listener_is_judged() {
    let files = fs::read_dir(capture("listeners")).unwrap();
    let files: BTreeSet<String> =
        files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let judged = BAD.iter().map(|(name, _)| *name).chain(GOOD);
    assert_eq!(files, judged.map(str::to_owned).collect());
}

#[test]
fn it_finds_nothing_wrong_with_good_listeners() {
    side_by_side(&GOOD, |name| {
        let unit = if name.ends_with(".sh") { "bytes" } else { "chars" };
        let (status, cases) = judge(&format!("--strict --len {unit} -- {}", command(name)));
        assert_eq!((failed(&cases).as_str(), status), ("", 0), "{name}: {:?}", happened(&cases));
    });
}

#[test]
fn supd_listen_does_everything_right_however_it_is_chained() {
    let forms = [
        "supd-listen -o out.ndjson",
        "supd-listen -c 'cat >out'",
        "supd-listen -- cat",
        "sh -c 'supd-listen | cat >out'",
        "sh -c '{ supd-listen --protocol-fd 3 | cat >out; } 3>&1'",
    ];
    side_by_side(&forms, |form| {
        let (status, cases) = judge(&format!("--strict -- {form}"));
        let other: Vec<_> = cases.iter().filter(|case| case["outcome"] != "passed").collect();
        assert_eq!((cases.len() > 60, other.as_slice(), status), (true, &[][..], 0), "{form}");
    });
}

#[test]
fn time_in_which_the_machine_stands_still_is_not_the_listeners() {
    let sandbox = Sandbox::new();
    let mut judge = sandbox.spawnable("supd-mock");
    judge.args(["check", "--timeout", "1s", "--only", "start/output", "--", "sh", "-c"]);
    judge.arg("echo $$ >pid; sleep 0.5; exec supd-listen -o out").stdout(std::process::Stdio::null());
    let mut judge = Running(judge.spawn().unwrap());
    let pid = eventually("the listener has begun", || sandbox.read("pid").trim().parse().ok());
    let listener = Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(listener, Signal::STOP).unwrap();
    judge.stop();
    // Longer than the judge would wait.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    judge.signal(Signal::CONT);
    // The judge comes back first.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let _ = rustix::process::kill_process(listener, Signal::CONT);
    assert_eq!(judge.status(), 0);
}

#[test]
fn superlance_stumbles_over_identifiers_and_at_the_end() {
    let bin = peers().join("superlance/bin");
    let listeners = [
        "crashmail -a -s 'cat >/dev/null' -m ops@example.org",
        "fatalmailbatch -t a@example.org -f b@example.org",
    ];
    side_by_side(&listeners, |words| {
        // They take long to start; what else there is childutils.py shows.
        let (status, cases) = judge(&format!("--only start reply header end -- {}/{words}", bin.display()));
        // Both read the header with supervisor's childutils, which splits it at spaces and colons, and takes the end of
        // input for a header without a length.
        assert_eq!(
            failed(&cases),
            "header/spaces header/colons end/status",
            "{words}: {:?}",
            happened(&cases)
        );
        assert_eq!(status, 1);
    });
}

#[test]
fn the_go_supervisords_bytes_are_right_for_supd_listen_too() {
    // supd-listen finds the unit out, for which it needs a second of silence at the first accent.
    let (status, cases) = judge("--strict --len bytes --only text framing -- supd-listen -o out");
    assert_eq!((failed(&cases).as_str(), status), ("", 0));
    assert!(cases.iter().any(|case| case["id"] == "text/not-utf8"));
}

#[test]
fn a_failure_is_told_with_its_proof_within_80_columns() {
    let sandbox = Sandbox::new();
    let assert =
        check(&sandbox, &format!("--only reply -- {}", command("newline-after-ok.py"))).assert().code(1);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    for expected in [
        "\n2 Answers\n  ✔   2.1 an event is answered\n",
        "  ✘   2.5 nothing stands between OK and READY, no newline either\n          MUST      reply/exact\n",
        r"          received  RESULT 2\nOK\n",
        r"          happened  it wrote '\n",
        "          then      supervisord marks the listener UNKNOWN",
        "  –   2.6 to 2.7: 2 cases not tried, they need 2.5\n",
        ": 4 passed, 1 failed, 2 not tried\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "no colour in a pipe");
    let (status, _) = judge(&format!("--only reply -- {}", command("newline-after-ok.py")));
    assert_eq!(status, 1);
    let words = "x".repeat(300);
    let assert =
        check(&sandbox, &format!("--only start -- sh -c 'echo \"{words}\"; echo {words} >&2'")).assert();
    let text = String::from_utf8(assert.code(1).get_output().stdout.clone()).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let sandbox = Sandbox::new();
    let script = |environment: &str| {
        let line = format!(
            "script -qec '{environment} supd-mock check --only start -- supd-listen -o out' /dev/null"
        );
        let assert = sandbox.sh(&line).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert!(script("").contains("\x1b[32m✔\x1b[0m"));
    assert!(!script("NO_COLOR=1").contains('\x1b'));
}

#[test]
fn prove_takes_the_tap_report() {
    let sandbox = Sandbox::new();
    for (name, more, status) in [
        ("good.py", "", 0),
        ("fails.py", "", 1),
        // What SHOULD be done is to do.
        ("hoards.py", "memory/steady start", 0),
        ("hoards.py", "memory/steady start --strict", 1),
    ] {
        let only = if more.is_empty() { "start reply" } else { more };
        let words = format!("--report tap --only {only} -- {}", command(name));
        let tap = check(&sandbox, &words).assert().code(status).get_output().stdout.clone();
        sandbox.write("report.tap", tap);
        let prove = sandbox.sh("prove report.tap").assert().code(status);
        let said = String::from_utf8_lossy(&prove.get_output().stdout).into_owned();
        assert!(!said.contains("Parse errors") && !said.contains("No plan"), "{said}");
        assert_eq!(said.contains("Result: PASS"), status == 0, "{said}");
    }
}

#[test]
fn the_junit_report_is_well_formed_and_adds_up() {
    let sandbox = Sandbox::new();
    let summary = r"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.stdin).getroot()
print(root.get('tests'), root.get('failures'), root.get('skipped'),
      *(len(list(root.iter(tag))) for tag in ('testsuite', 'testcase', 'failure', 'skipped')))
print([case.get('name') for case in root.iter('testcase') if case.find('failure') is not None])
";
    sandbox.write("summary.py", summary);
    let report = |words: &str| {
        let xml = check(&sandbox, &format!("--report junit {words}")).output().unwrap().stdout;
        let mut python = sandbox.tool("python3");
        let assert = python.arg("summary.py").write_stdin(xml).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let loud = "sh -c 'printf \"<&]]>\\033[1m\\001\\377\"; printf \"<\\001&\\357\\277\\276>\" >&2'";
    assert_eq!(report(&format!("--only start -- {loud}")), "3 1 1 1 3 1 1\n['1.2 start/ready']\n");
    let fails = command("fails.py");
    assert_eq!(report(&format!("--only 1 2 -- {fails}")), "10 1 3 2 10 1 3\n['2.4 reply/ok']\n");
    let hoards = command("hoards.py");
    assert_eq!(report(&format!("--only 11.2 -- {hoards}")), "1 0 1 1 1 0 1\n[]\n");
    assert_eq!(
        report(&format!("--strict --only 11.2 -- {hoards}")),
        "1 1 0 1 1 1 0\n['11.2 memory/steady']\n"
    );
}

#[test]
fn the_json_report_holds_the_proof() {
    let (status, cases) = judge(&format!("--only start 2.1,2.2 -- {}", command("debug-print.py")));
    assert_eq!(status, 1);
    let ids: Vec<_> = cases.iter().map(|case| case["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["start/output", "start/ready", "start/once", "reply/answers", "reply/result"]);
    let evidence = &cases[4]["evidence"];
    assert!(evidence["exchanges"][1]["received"].as_str().unwrap().starts_with("handling groupname:web"));
    assert!(evidence["consequence"].as_str().unwrap().contains("UNKNOWN"), "{evidence}");
}

#[test]
fn a_listener_that_cannot_be_started_fails_at_once() {
    let sandbox = Sandbox::new();
    let assert = check(&sandbox, "-- ./missing").assert().code(1);
    assert.stdout("").stderr("supd-mock: start './missing': no such file\n");
}

#[test]
fn without_a_reader_the_status_still_tells() {
    let sandbox = Sandbox::new();
    for (listener, status) in [("sh -c 'exit 3'", 1), ("supd-listen -o out", 0)] {
        let script = format!("supd-mock check --only start -- {listener} | true; echo ${{PIPESTATUS[0]}}");
        let assert = sandbox.tool("bash").args(["-c", &script]).assert().success();
        assert.stdout(format!("{status}\n")).stderr("");
    }
}

#[test]
fn cases_can_be_listed_and_chosen() {
    let sandbox = Sandbox::new();
    let list = |words: &str| {
        let assert = check(&sandbox, &format!("--list {words}")).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert!(list("").lines().count() > 60);
    assert_eq!(list("--only reply"), list("--only 2"));
    assert_eq!(
        list("--only start/ready"),
        "1.2   start/ready           MUST    the first thing it writes is exactly READY\\n\n"
    );
    check(&sandbox, "--only reply/exakt -- true").assert().code(2).stderr(predicate::str::starts_with(
        "supd-mock: choose 'reply/exakt': no case or section is called so; near are reply/exact,",
    ));
    check(&sandbox, "").assert().code(2);
}

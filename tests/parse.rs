//! supd-parse in a shell: what passes, in what form, and when.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use predicates::prelude::*;

use crate::harness::{Running, Sandbox, capture, state, until};

fn crashes() -> String {
    [
        state(1, "web", "RUNNING", r#","pid":1"#),
        state(2, "web", "EXITED", r#","expected":false,"pid":1"#),
        state(3, "cron", "EXITED", r#","expected":true,"pid":2"#),
        "{\"seq\":9,\"eventname\":\"SUPD_MARK\"}\n".to_owned(),
        state(4, "web", "RUNNING", r#","pid":3"#),
        state(5, "db", "FATAL", ""),
    ]
    .concat()
}

fn serials(output: &[u8]) -> Vec<u64> {
    let records = String::from_utf8_lossy(output);
    let serial = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["serial"].as_u64();
    records.lines().filter_map(serial).collect()
}

#[test]
fn filters_of_one_kind_are_alternatives_and_kinds_must_all_hold() {
    let sandbox = Sandbox::new();
    for (filters, expected) in [
        (&["-e", "exited"][..], &[2, 3][..]),
        (&["-e", "exited,FATAL"], &[2, 3, 5]),
        (&["-e", "Exited", "-e", "process_state_fatal"], &[2, 3, 5]),
        (&["-e", "process_state"], &[1, 2, 3, 4, 5]),
        (&["-p", "w*"], &[1, 2, 4]),
        (&["-p", "db:db,cron"], &[3, 5]),
        (&["-g", "web", "-e", "running"], &[1, 4]),
        (&["--unexpected"], &[2]),
        (&["--problems"], &[2, 4, 5]),
        (&["--problems", "-p", "db"], &[5]),
        (&["-e", "log"], &[]),
    ] {
        let output = sandbox.tool("supd-parse").args(filters).write_stdin(crashes()).assert().success();
        assert_eq!(serials(&output.get_output().stdout), expected, "{filters:?}");
        let marks = predicate::str::contains("SUPD_MARK").count(1);
        output.stdout(marks);
    }
}

#[test]
fn the_end_of_a_problem_is_marked_with_its_serial() {
    let sandbox = Sandbox::new();
    let output = sandbox.tool("supd-parse").arg("--problems").write_stdin(crashes()).assert().success();
    let resolved =
        r#""eventname":"PROCESS_STATE_RUNNING","processname":"web","groupname":"web","pid":3,"resolves":2}"#;
    output.stdout(predicate::str::contains(resolved));
}

#[test]
fn one_record_in_is_one_record_out_while_the_input_is_open() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.spawnable("supd-parse");
    command.arg("--problems").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut running = Running(child);
    let mut lines = BufReader::new(stdout).lines();
    for serial in 1..4 {
        let line = state(serial, "db", "FATAL", "");
        stdin.write_all(line.as_bytes()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap() + "\n", line);
    }
    drop(stdin);
    assert_eq!(running.status(), 0);
}

const MARK: &str = "{\"seq\":9,\"eventname\":\"SUPD_MARK\"}\n";

#[test]
fn marks_pass_every_filter_at_once_and_in_their_place() {
    let sandbox = Sandbox::new();
    for filters in [
        &["-e", "fatal"][..],
        &["-p", "db"],
        &["-g", "db"],
        &["--unexpected"],
        &["--problems"],
        &["--problems", "-e", "fatal", "-p", "db:*", "-g", "db"],
    ] {
        let mut command = sandbox.spawnable("supd-parse");
        command.args(filters).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut running = Running(child);
        let mut lines = BufReader::new(stdout).lines();
        let passing = if filters.contains(&"--unexpected") {
            state(1, "db", "EXITED", r#","expected":false"#)
        } else {
            state(1, "db", "FATAL", "")
        };
        let input = [&passing, &state(2, "web", "STARTING", ""), MARK].concat();
        stdin.write_all(input.as_bytes()).unwrap();
        for expected in [&passing, MARK] {
            assert_eq!(lines.next().unwrap().unwrap() + "\n", *expected, "{filters:?}");
        }
        drop(stdin);
        assert_eq!(running.status(), 0);
        assert!(lines.next().is_none());
    }
}

const TABLE_HEADING: &str = "TS  HOST  SEVERITY  SUBJECT  WHAT  PID\n";

#[test]
fn marks_are_for_programs_only() {
    let sandbox = Sandbox::new();
    for (form, nothing) in
        [("text", ""), ("json", "[]\n"), ("logfmt", ""), ("table", TABLE_HEADING), ("ndjson", MARK)]
    {
        let mut parse = sandbox.tool("supd-parse");
        parse.args(["--to", form]).write_stdin(MARK).assert().success().stdout(nothing);
    }
}

#[test]
fn ticks_pass_whatever_else_is_asked_for_when_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let tick = "{\"eventname\":\"TICK_60\",\"when\":60}\n";
    for filters in [&["--problems"][..], &["-e", "fatal"], &["-p", "web"], &["--unexpected", "-g", "web"]] {
        let parse = |words: &[&str]| {
            let assert = sandbox.tool("supd-parse").args(words).args(filters).write_stdin(tick).assert();
            String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
        };
        assert_eq!((parse(&[]), parse(&["--ticks"])), (String::new(), tick.to_owned()), "{filters:?}");
    }
}

#[test]
fn gaps_are_problems_with_words_of_their_own() {
    let sandbox = Sandbox::new();
    let gaps = concat!(
        r#"{"host":"web1","server":"prod","eventname":"SUPD_GAP","missing":2,"after":4,"before":7}"#,
        "\n",
        r#"{"host":"web1","seq":9,"eventname":"SUPD_GAP","missing":3,"first_seq":1,"last_seq":3,"reason":"spool-max"}"#,
        "\n",
        r#"{"host":"web1","seq":12,"eventname":"SUPD_GAP","missing":1,"first_seq":8,"last_seq":8,"reason":"unreadable"}"#,
        "\n",
    );
    let parse = |filters: &[&str]| {
        let assert = sandbox.tool("supd-parse").args(filters).write_stdin(gaps).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert_eq!(parse(&["--problems"]), gaps);
    assert_eq!(parse(&["-e", "gap"]), gaps);
    assert_eq!(parse(&["-e", "exited"]), "");
    assert_eq!(
        parse(&["--problems", "--to", "text"]),
        "web1  ERROR  prod dropped 2 events before they could be sent\n\
         web1  ERROR  spool was full and removed 3 events that had not been confirmed\n\
         web1  ERROR  spool lost 1 event; a power failure left it unreadable\n"
    );
}

#[test]
fn sigterm_lets_it_read_on_to_the_end_of_input_but_not_for_ever() {
    let sandbox = Sandbox::new();
    for (drain_timeout, close) in [("20s", true), ("100ms", false)] {
        let mut command = sandbox.spawnable("supd-parse");
        command.args(["-v", "--drain-timeout", drain_timeout]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(sandbox.path("err")).unwrap());
        let mut child = command.spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut running = Running(child);
        let mut lines = BufReader::new(stdout).lines();
        stdin.write_all(state(1, "db", "FATAL", "").as_bytes()).unwrap();
        lines.next().unwrap().unwrap();
        running.signal(rustix::process::Signal::TERM);
        until("it has heard SIGTERM", || sandbox.read("err").contains("SIGTERM"));
        if close {
            stdin.write_all(state(2, "db", "FATAL", "").as_bytes()).unwrap();
            drop(stdin);
            assert!(lines.next().unwrap().unwrap().contains("\"serial\":2"));
        }
        assert_eq!(running.status(), 0, "{}", sandbox.read("err"));
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly_even_while_its_input_is_silent() {
    let sandbox = Sandbox::new();
    let mut bash = sandbox.tool("bash");
    bash.args([
        "-c",
        "supd-mock generate -n 100000 | supd-parse | head -n 1 >/dev/null; echo ${PIPESTATUS[*]}",
    ]);
    bash.assert().stdout("0 0 0\n").stderr("");
    let mut command = sandbox.spawnable("supd-parse");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let _open = child.stdin.take();
    drop(child.stdout.take());
    assert_eq!((Running(child).status(), sandbox.read("err").as_str()), (0, ""));
}

#[test]
fn a_malformed_line_is_named_and_skipped_and_the_rest_is_read() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "bad.ndjson",
        format!("{}not json\n{{\"serial\":1}}\n\n{}", state(1, "a", "FATAL", ""), state(2, "a", "FATAL", "")),
    );
    let assert = sandbox
        .tool("supd-parse")
        .args(["bad.ndjson", "missing.ndjson", "-"])
        .write_stdin(state(3, "a", "FATAL", ""))
        .assert();
    let assert = assert.code(1).stderr(
        "supd-parse: read 'bad.ndjson' line 2: not a record: expected ident at column 2; skipped\n\
         supd-parse: read 'bad.ndjson' line 3: not a record: missing field `eventname` at column 12; skipped\n\
         supd-parse: open 'missing.ndjson': No such file or directory (os error 2)\n",
    );
    assert_eq!(serials(&assert.get_output().stdout), [1, 2, 3]);
}

#[test]
fn raw_captures_are_recognised() {
    let sandbox = Sandbox::new();
    let output =
        sandbox.tool("supd-parse").arg(capture("logs.raw")).arg(capture("states.raw")).assert().success();
    assert_eq!(serials(&output.get_output().stdout).len(), 77 + 143);
    sandbox.tool("supd-parse").args(["--from", "ndjson"]).arg(capture("ticks.raw")).assert().code(1);
    sandbox.tool("supd-parse").write_stdin("ver:3.0 nonsense\n").assert().code(1).stderr(
        predicate::str::contains(
            "supd-parse: read 'stdin': read event header 'ver:3.0 nonsense': it has no 'len:'",
        ),
    );
}

#[test]
fn jq_may_sit_in_the_middle_and_unknown_keys_pass() {
    let sandbox = Sandbox::new();
    let script = "jq --indent 1 -c '. + {note: {a: [1]}} | to_entries | reverse | from_entries' | supd-parse --problems | jq -c .note";
    sandbox
        .sh(script)
        .write_stdin(crashes())
        .assert()
        .success()
        .stdout("{\"a\":[1]}\n{\"a\":[1]}\n{\"a\":[1]}\n{\"a\":[1]}\n");
}

#[test]
fn other_forms_are_asked_for() {
    let sandbox = Sandbox::new();
    let text = sandbox
        .tool("supd-parse")
        .env("TZ", "UTC")
        .args(["--to", "text", "-e", "fatal"])
        .write_stdin(crashes())
        .assert();
    text.success()
        .stdout("2026-01-05 08:00:00.000  web1  CRIT   db  could not be started; supervisord gave up\n");
    let json = sandbox
        .tool("supd-parse")
        .args(["--to", "json", "-e", "exited"])
        .write_stdin(crashes())
        .assert()
        .success();
    let array: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 2);
}

#[test]
fn on_a_terminal_it_writes_coloured_text_unless_told_not_to() {
    let sandbox = Sandbox::new();
    sandbox.write("in.ndjson", crashes());
    let on_terminal = |command: &str| {
        let assert = sandbox.tool("script").args(["-qec", command, "/dev/null"]).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert!(on_terminal("supd-parse -e fatal in.ndjson").contains("\x1b[1;31mcould not be started"));
    assert!(!on_terminal("NO_COLOR=1 supd-parse -e fatal in.ndjson").contains('\x1b'));
    assert!(on_terminal("supd-parse -e fatal in.ndjson | cat").contains("{\"ts\""));
}

#[test]
fn where_supervisord_listens_it_writes_nothing() {
    let sandbox = Sandbox::new();
    let replay = |listener: &str| sandbox.sh(&format!("supd-mock replay --speed max -- {listener}")).assert();
    let refused = replay("sh -c 'supd-listen | supd-parse'").code(1);
    refused.stderr(
        predicate::str::contains("supd-parse: standard output is supervisord's pipe")
            .and(predicate::str::contains("supervisord would never send it an event again").not()),
    );
    replay("sh -c 'supd-listen | supd-parse >&2'").success();
    replay("supd-listen -c 'supd-parse'").success();
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_right() {
    let sandbox = Sandbox::new();
    let unknown = sandbox.tool("supd-parse").args(["-e", "exitd"]).assert().code(2);
    unknown.stderr(predicate::str::contains("exited").and(predicate::str::contains("fatal")));
    sandbox.tool("supd-parse").args(["--to", "xml"]).assert().code(2);
}

#[test]
fn a_mark_does_not_overtake_what_is_kept_for_the_end() {
    let sandbox = Sandbox::new();
    let (record, mark) = (state(1, "db", "FATAL", r#","pid":1"#), MARK);
    let input = [&record, mark, &record].concat();
    let mut parse = sandbox.tool("supd-parse");
    let expected = [&record, &record, mark].concat();
    parse.args(["--tail", "5"]).write_stdin(input).assert().success().stdout(expected);
}

#[test]
fn what_only_time_tells_counts_for_the_limit() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.spawnable("supd-parse");
    command.args(["--track", "--flap", "2/300ms", "-e", "stable", "-n", "1"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut running = Running(child);
    for serial in [1, 3, 5] {
        let lines =
            [state(serial, "a", "RUNNING", ""), state(serial + 1, "a", "EXITED", r#","expected":false"#)];
        stdin.write_all(lines.concat().as_bytes()).unwrap();
    }
    stdin.write_all(state(7, "a", "RUNNING", "").as_bytes()).unwrap();
    // Its input is still open.
    assert_eq!(running.status(), 0);
    let lines: Vec<_> = BufReader::new(stdout).lines().map(Result::unwrap).collect();
    assert!(lines.len() == 1 && lines[0].contains("SUPD_STABLE"), "{lines:?}");
    drop(stdin);
}

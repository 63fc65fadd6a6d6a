//! `supd-parse --jq` beside the jq program: the same filters, the same records, the same output.

use std::fs;

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Sandbox, state};

/// Records as supervisord makes them, and as other programs reshape them.
const RECORDS: &str = include_str!("data/jq/records.ndjson");
/// Filters, one a line, that mean the same to jq and jaq.
const FILTERS: &str = include_str!("data/jq/filters");

/// Lines as values, so that spacing and escapes do not count; key order does not either, as in JSON.
fn values(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn filters_give_what_they_give_in_jq() {
    let sandbox = Sandbox::new();
    let filters: Vec<&str> = FILTERS.lines().collect();
    // All in one program, each in a line of its own: what it gives, or that it fails.
    let each = filters.iter().map(|filter| format!("(try [{filter}] catch \"failed\")"));
    let program = each.collect::<Vec<_>>().join(",\n");
    let run = |name: &str, option: &str| {
        let mut command = sandbox.tool(name);
        let assert =
            command.env("TZ", "UTC").args([option, &program]).write_stdin(RECORDS).assert().success();
        values(&assert.get_output().stdout)
    };
    let (ours, theirs) = (run("supd-parse", "--jq"), run("jq", "-c"));
    for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "{}", filters[at % filters.len()]);
    }
    assert_eq!((ours.len(), theirs.len()), (filters.len() * RECORDS.lines().count(), ours.len()));
}

#[test]
fn where_jaq_differs_from_jq_is_known() {
    let sandbox = Sandbox::new();
    for (filter, ours) in [
        // Digits are kept, where jq makes a double of every number.
        ("12345678901234567890", "12345678901234567890\n"),
        ("3.0", "3.0\n"),
        // A quotient is a fraction until it is written.
        ("2/2", "1\n"),
        ("\"\\(2/2)\"", "\"1.0\"\n"),
        // A record's own time has milliseconds, which jq 1.6 refuses.
        ("\"2026-01-05T08:00:00.250Z\" | fromdate", "1767600000.25\n"),
    ] {
        let mut parse = sandbox.tool("supd-parse");
        parse
            .args(["--jq", filter])
            .write_stdin(state(1, "web", "FATAL", ""))
            .assert()
            .success()
            .stdout(ours);
    }
}

#[test]
fn a_record_that_a_filter_lets_pass_keeps_its_bytes() {
    let sandbox = Sandbox::new();
    let lines = "{ \"pid\":7, \"eventname\":\"X\", \"seq\":3 }\n{\"eventname\":\"Y\",\"note\":\"\\u0061\"}\n";
    let mut parse = sandbox.tool("supd-parse");
    parse.args(["--jq", "select(.eventname)"]).write_stdin(lines).assert().success().stdout(lines);
}

#[test]
fn marks_and_asked_for_ticks_never_reach_the_filter() {
    let sandbox = Sandbox::new();
    let passed = "{\"seq\":9,\"eventname\":\"SUPD_MARK\"}\n{\"eventname\":\"TICK_60\",\"when\":60}\n";
    let input = passed.to_owned() + &state(1, "web", "FATAL", "");
    let mut parse = sandbox.tool("supd-parse");
    parse.args(["--ticks", "--jq", "empty, error"]).write_stdin(input);
    parse.assert().code(1).stdout(passed).stderr(predicate::str::contains("line 3: --jq: {"));
}

#[test]
fn a_record_that_a_filter_fails_at_is_skipped_and_said() {
    let sandbox = Sandbox::new();
    let input = state(1, "web", "STARTING", "") + &state(2, "web", "RUNNING", r#","pid":7"#);
    let mut parse = sandbox.tool("supd-parse");
    let assert = parse.args(["--jq", "1 / .pid | . * 7"]).write_stdin(input).assert().code(1).stdout("1\n");
    assert.stderr("supd-parse: read 'stdin' line 1: --jq: cannot calculate 1 / null; skipped\n");
}

#[test]
fn a_filter_that_makes_no_sense_is_wrong_usage_and_says_where() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("alerts.jq", ".pid\n| nope");
    fs::write(sandbox.path("latin1.jq"), b"\xe9").unwrap();
    for (words, said) in [
        (vec!["--jq", "selct(.pid)"], "--jq 'selct(.pid)': column 1: 'selct' is not defined"),
        (vec!["--jq", "select(.pid"], "--jq 'select(.pid': column 7: '(' is not closed"),
        (vec!["--jq", ".pid | $who"], "--jq '.pid | $who': column 8: '$who' is not defined"),
        (
            vec!["--jq-file", file.file_name().unwrap().to_str().unwrap()],
            "--jq-file 'alerts.jq': line 2, column 3: 'nope' is not defined",
        ),
    ] {
        let assert = sandbox.tool("supd-parse").args(words).write_stdin("").assert().code(2);
        assert.stderr(format!("supd-parse: {said}\n"));
    }
    let assert = sandbox.tool("supd-parse").args(["--jq-file", "none.jq"]).write_stdin("").assert().code(1);
    assert.stderr("supd-parse: read jq filter 'none.jq': No such file or directory (os error 2)\n");
}

#[test]
fn variables_come_from_the_command_line_and_our_secrets_do_not_come_from_the_environment() {
    let sandbox = Sandbox::new();
    let parse = |words: &[&str]| {
        let mut command = sandbox.tool("supd-parse");
        command.env("SITE", "ams").env("SUPD_SLACK_URL", "https://hooks.example/s3cret");
        let assert = command.args(words).write_stdin(state(1, "web", "FATAL", "")).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert_eq!(parse(&["--arg", "who", "-x", "--arg", "b", "2", "--jq", "[$who, $b]"]), "[\"-x\",\"2\"]\n");
    assert_eq!(
        parse(&["--jq", "[$ENV.SITE, env.SITE, $ENV.SUPD_SLACK_URL, env.SUPD_SLACK_URL]"]),
        "[\"ams\",\"ams\",null,null]\n"
    );
}

#[test]
fn text_of_processes_cannot_use_up_the_stack() {
    let sandbox = Sandbox::new();
    let deep = "[".repeat(100_000);
    let input = format!("{{\"eventname\":\"PROCESS_LOG_STDOUT\",\"data\":\"{deep}\"}}\n");
    let mut parse = sandbox.tool("supd-parse");
    let assert = parse.args(["--jq", ".data | fromjson"]).write_stdin(input).assert().code(1);
    assert.stderr(predicate::str::contains("line 1: --jq: the JSON is nested more than 256 deep"));
}

#[test]
fn what_a_filter_makes_counts_for_the_limit_and_a_filter_without_end_is_ended_by_it() {
    let sandbox = Sandbox::new();
    let mut parse = sandbox.tool("supd-parse");
    parse.args(["--jq", "repeat(.serial)", "-n", "3"]).write_stdin(state(5, "web", "FATAL", ""));
    parse.assert().success().stdout("5\n5\n5\n");
}

#[test]
fn a_filter_takes_records_of_a_raw_capture_and_what_other_filters_let_pass() {
    let sandbox = Sandbox::new();
    let raw = "ver:3.0 server:s serial:7 pool:p poolserial:0 eventname:TICK_5 len:6\nwhen:5";
    let mut parse = sandbox.tool("supd-parse");
    parse
        .args(["-e", "tick", "--jq", "[.serial, .when]"])
        .write_stdin(raw)
        .assert()
        .success()
        .stdout("[7,5]\n");
    let assert = sandbox.tool("supd-parse").args(["--jq", ".when.x"]).write_stdin(raw).assert().code(1);
    assert.stderr("supd-parse: read 'stdin' serial 7: --jq: cannot index 5 with \"x\"; skipped\n");
}

#[test]
fn several_cores_give_what_one_gives_and_say_the_same_lines() {
    let sandbox = Sandbox::new();
    let record =
        |serial| state(serial, "web", "STARTING", if serial % 5_000 == 0 { "" } else { r#","pid":7"# });
    sandbox.write("events.ndjson", (1..12_000).map(record).collect::<String>());
    for filter in [
        "[1 / .pid, .serial]",
        "select(1 / .pid > 0)",
        ".serial, if .serial == 9000 then halt else empty end",
    ] {
        let run = |jobs: &str| {
            sandbox.tool("supd-parse").args([jobs, "--jq", filter, "events.ndjson"]).output().unwrap()
        };
        let (one, two) = (run("-j1"), run("-j2"));
        assert_eq!((&one.stderr, one.status), (&two.stderr, two.status), "{filter}");
        assert!(one.stdout == two.stdout, "{filter}");
        assert!(!one.stdout.is_empty(), "{filter}");
    }
}

#[test]
fn what_a_second_file_adds_to_a_table_of_values_are_rows_whatever_the_cores() {
    let sandbox = Sandbox::new();
    let lines = |count: u64| -> String {
        (0..count).map(|serial| state(serial, "a", "RUNNING", r#","pid":7"#)).collect()
    };
    sandbox.write("small", lines(1));
    sandbox.write("large", lines(8_000));
    for form in ["csv", "tsv"] {
        let said = |jobs: &str| {
            let mut parse = sandbox.tool("supd-parse");
            let assert =
                parse.args(["-j", jobs, "--to", form, "--jq", "{serial, pid}", "small", "large"]).assert();
            String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
        };
        assert_eq!(said("2"), said("1"));
        assert_eq!((said("2").lines().count(), said("2").contains('{')), (8_002, false));
    }
}

#[test]
fn a_filter_and_a_template_may_come_through_a_pipe_whatever_the_cores() {
    let sandbox = Sandbox::new();
    let lines: String = (0..8_000).map(|serial| state(serial, "a", "RUNNING", "")).collect();
    sandbox.write("large", lines);
    let script = "supd-parse -j2 --jq-file <(echo .serial) large | tail -n 1
                  supd-parse -j2 --template-file <(echo 'serial {{ serial }}') large | tail -n 1";
    sandbox.tool("bash").args(["-c", script]).assert().success().stdout("7999\nserial 7999\n");
}

#[test]
fn much_that_a_filter_makes_of_little_is_written_as_it_comes() {
    let sandbox = Sandbox::new();
    let lines: String = (0..40).map(|serial| state(serial, "a", "RUNNING", "")).collect();
    sandbox.write("lines", lines);
    // 200 MB, under a limit of 150.
    let script = "ulimit -v 150000; supd-parse -j1 --jq 'range(5) | \"x\" * 1000000' lines | wc -c";
    sandbox.sh(script).assert().success().stdout("200000600\n").stderr("");
}

//! What supd-parse selects: as a person asks for it, and as jq would select it from any records.

use std::fs;

use fastrand::Rng;
use predicates::prelude::*;

use crate::harness::{Sandbox, state};

/// The serials of what passes.
fn passing(sandbox: &Sandbox, words: &[&str], input: &str) -> Vec<u64> {
    let assert = sandbox.tool("supd-parse").args(words).write_stdin(input).assert().success();
    let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let serial = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["serial"].as_u64();
    output.lines().filter_map(serial).collect()
}

fn log(serial: u64, more: &str) -> String {
    format!(
        r#"{{"ts":"2026-01-05T09:00:00.000Z","host":"db1","server":"blue","serial":{serial},"eventname":"PROCESS_LOG_STDERR","processname":"db","groupname":"db",{more}}}"#
    ) + "\n"
}

fn records() -> String {
    [
        state(1, "web", "RUNNING", r#","from_state":"STARTING""#),
        state(2, "web", "EXITED", r#","from_state":"RUNNING","expected":false"#),
        state(3, "web", "FATAL", r#","from_state":"BACKOFF""#),
        log(4, r#""data":"all is well\nERROR: disk \"a/b\" is full\n""#),
        log(5, r#""data_b64":"/2Vycm9y""#),
        // A program that derives events writes the state so.
        "{\"serial\":6,\"eventname\":\"SUPD_FLAPPING\",\"processname\":\"web\",\"state\":\"RUNNING\"}\n"
            .to_owned(),
        "{\"seq\":9,\"eventname\":\"SUPD_MARK\"}\n".to_owned(),
    ]
    .concat()
}

#[test]
fn conditions_on_different_keys_must_all_hold() {
    let sandbox = Sandbox::new();
    for (words, expected) in [
        (&["--state", "running"][..], &[1, 6][..]),
        (&["--state", "Exited,FATAL"], &[2, 3]),
        (&["--from-state", "running,backoff"], &[2, 3]),
        (&["--from-state", "running", "--state", "exited"], &[2]),
        (&["--host", "db*"], &[4, 5]),
        (&["--host", "db1", "--host", "web1"], &[1, 2, 3, 4, 5]),
        (&["--server", "b?ue"], &[4, 5]),
        (&["--since", "2026-01-05T08:00:00.001Z"], &[4, 5]),
        (&["--since", "2026-01-05T08:00:00Z", "--until", "2026-01-05T09:00:00Z"], &[1, 2, 3]),
        (&["--grep", "^ERROR.*full$"], &[4]),
        (&["--grep", "error"], &[5]),
        (&["--grep", "error", "-i"], &[4, 5]),
        (&["--grep", "well", "--grep", "error"], &[4, 5]),
        (&["--grep", "a/b"], &[4]),
        (&["--invert", "-p", "web"], &[4, 5]),
        (&["--invert", "--host", "*"], &[6]),
        (&["--invert", "-e", "log", "--grep", "well"], &[1, 2, 3, 5, 6]),
    ] {
        for how in [&[][..], &["--strict"]] {
            let words = [words, how].concat();
            assert_eq!(passing(&sandbox, &words, &records()), expected, "{words:?}");
        }
    }
}

#[test]
fn times_are_local_and_counted_from_now() {
    let sandbox = Sandbox::new();
    let passes = |zone: &str, words: &[&str]| {
        let mut parse = sandbox.tool("supd-parse");
        parse.env("TZ", zone).args(words).write_stdin(state(1, "web", "FATAL", ""));
        !parse.assert().success().get_output().stdout.is_empty()
    };
    // The record is of 08:00 UTC.
    assert!(passes("UTC", &["--since", "2026-01-05 08:00"]));
    assert!(passes("XYZ-2", &["--since", "2026-01-05 10:00", "--until", "2026-01-05 10:00:01"]));
    assert!(!passes("XYZ2", &["--since", "2026-01-05 8:00"]));
    assert!(passes("UTC", &["--until", "now"]));
    assert!(!passes("UTC", &["--until", "1000000d ago"]));
}

#[test]
fn what_makes_no_sense_is_refused_in_a_line() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        (&["--state", "exitd"][..], "'exited'"),
        (&["--grep", "("], "unclosed group"),
        (&["--since", "yesterdayish"], "'yesterday 14:00'"),
        (&["--invert", "--problems"], "cannot be used with"),
        (&["-i"], "--grep"),
    ] {
        let assert = sandbox.tool("supd-parse").args(words).assert().code(2).stdout("");
        assert.stderr(predicate::str::contains(said).and(predicate::str::contains("\n").count(1)));
    }
}

#[test]
fn a_line_that_is_no_record_is_reported_where_it_could_pass_and_with_strict_wherever_it_is() {
    let sandbox = Sandbox::new();
    let input = [
        state(1, "web", "FATAL", ""),
        "{\"eventname\":\"PROCESS_STATE_RUNNING\",}\n".to_owned(),
        // Torn: what it could have been nobody knows.
        "{\"eventname\":\"PROCESS_STATE_RUN\n".to_owned(),
        " \n".to_owned(),
        "{\"eventname\":\"PROCESS_STATE_FATAL\",}\n".to_owned(),
        state(2, "web", "FATAL", ""),
    ]
    .concat();
    for (words, reported) in [(&["-e", "fatal"][..], &[3, 5][..]), (&["-e", "fatal", "--strict"], &[2, 3, 5])]
    {
        let assert = sandbox.tool("supd-parse").args(words).write_stdin(input.clone()).assert().code(1);
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let number = |line: &str| line.split(" line ").nth(1)?.split(':').next()?.parse().ok();
        assert_eq!(stderr.lines().filter_map(number).collect::<Vec<u64>>(), reported, "{stderr}");
        assert.stdout([state(1, "web", "FATAL", ""), state(2, "web", "FATAL", "")].concat());
    }
}

/// A condition for supd-parse, and what jq calls the same of a record in `$r`.
fn condition(rng: &mut Rng) -> (Vec<&'static str>, &'static str) {
    let conditions = [
        (&["-e", "exited,fatal"][..], r#"($r.eventname | test("^PROCESS_STATE_(EXITED|FATAL)(_|$)"))"#),
        (&["-e", "log"], r#"($r.eventname | test("^PROCESS_LOG(_|$)"))"#),
        (&["-p", "web_*,café"], r#"($r.processname | strings | test("^web_") or . == "café")"#),
        (&["-p", "web:*"], r#"($r.groupname == "web" and ($r.processname | type) == "string")"#),
        (&["-g", "w?b"], r#"($r.groupname | strings | test("^w.b$"))"#),
        (&["--host", "*1"], r#"($r.host | strings | test("1$"))"#),
        (&["--server", "blue\\team"], r#"($r.server == "blue\\team")"#),
        (&["--from-state", "running"], r#"($r.from_state == "RUNNING")"#),
        (
            &["--state", "fatal"],
            r#"($r | if .eventname | test("^PROCESS_STATE_(RUNNING|EXITED|FATAL)$") then .eventname == "PROCESS_STATE_FATAL" else .state == "FATAL" end)"#,
        ),
        (&["--unexpected"], r#"($r.eventname == "PROCESS_STATE_EXITED" and $r.expected == false)"#),
        (&["--since", "2026-01-05T08:00:00.500Z"], r#"($r.ts | strings | . >= "2026-01-05T08:00:00.500Z")"#),
        (&["--until", "2026-01-05T08:00:00.500Z"], r#"($r.ts | strings | . < "2026-01-05T08:00:00.500Z")"#),
        (&["--grep", "error"], r#"($r.data | strings | test("error"))"#),
        (&["--grep", "ERROR|dis[ck]", "-i"], r#"($r.data | strings | test("error|dis[ck]"; "i"))"#),
    ];
    let (words, jq) = conditions[rng.usize(..conditions.len())];
    (words.to_vec(), jq)
}

/// A string as JSON, now and then with characters that are spelled by their number.
fn spelled(rng: &mut Rng, text: &str) -> String {
    let strange = rng.u8(..8) == 0;
    let mut spell = |c: char| {
        let plain = serde_json::to_string(&c).unwrap();
        if strange && rng.bool() {
            format!("\\u{:04x}", u32::from(c))
        } else {
            plain[1..plain.len() - 1].to_owned()
        }
    };
    format!("\"{}\"", text.chars().map(&mut spell).collect::<String>())
}

/// A record as some program may have written it: keys missing, in any order, of other types, twice.
fn record(rng: &mut Rng) -> String {
    let texts: [(&str, &[&str]); 9] = [
        ("ts", &["2026-01-05T08:00:00.499Z", "2026-01-05T08:00:00.500Z", "2026-01-31T00:00:00.000Z"]),
        ("host", &["db1", "web1", "db2"]),
        ("server", &["supervisor", "blue\\team"]),
        (
            "eventname",
            &[
                "PROCESS_STATE_EXITED",
                "PROCESS_STATE_FATAL",
                "PROCESS_STATE_RUNNING",
                "PROCESS_STATE_FATAL_TWICE",
                "PROCESS_LOG_STDOUT",
                "TICK_5",
                "SUPD_FLAPPING",
            ],
        ),
        ("processname", &["web_00", "web", "café", "a\"b/c"]),
        ("groupname", &["web", "wab", "café"]),
        ("from_state", &["RUNNING", "BACKOFF"]),
        ("state", &["FATAL", "RUNNING"]),
        ("data", &["error: no disk\n", "Disc \"a/b\"\n", "\u{1b}[31mError\u{1b}[0m\n", "fine"]),
    ];
    let mut members = Vec::new();
    for (key, texts) in texts {
        let key_text = spelled(rng, key);
        let text = texts[rng.usize(..texts.len())];
        let value = spelled(rng, text);
        match rng.u8(..20) {
            0..4 if key != "eventname" => {}
            4 if key != "eventname" => {
                members.push(format!("{key_text}:{}", ["null", "5", "[\"RUNNING\"]"][rng.usize(..3)]))
            }
            _ => members.push(format!("{key_text}:{value}")),
        }
    }
    if rng.bool() {
        members.push(format!("\"expected\":{}", rng.bool()));
    }
    if rng.u8(..4) == 0 {
        rng.shuffle(&mut members);
        // Of a key that comes twice the last one counts.
        let twice = members[rng.usize(..members.len())].clone();
        members.insert(0, twice);
    }
    let space = if rng.u8(..6) == 0 { " " } else { "" };
    format!("{space}{{{}}}{space}", members.join(&format!(",{space}")))
}

/// The numbers of the records that jq selects.
fn jq_selects(sandbox: &Sandbox, filter: &str, records: &[String]) -> Vec<usize> {
    let numbered = |(number, record): (usize, &String)| format!("{{\"n\":{number},\"r\":{record}}}\n");
    let input =
        sandbox.write("numbered.ndjson", records.iter().enumerate().map(numbered).collect::<String>());
    let filter = format!(".n as $n | .r as $r | if ({filter}) // false then $n else empty end");
    let assert = sandbox.tool("jq").arg(filter).arg(input).assert().success();
    let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    output.lines().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn what_jq_would_select_passes_byte_for_byte() {
    let seed = std::env::var("SUPD_TEST_SEED").map_or_else(
        |_| fastrand::u64(..1_000_000),
        |text| text.parse().expect("SUPD_TEST_SEED is a number"),
    );
    eprintln!("SUPD_TEST_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let sandbox = Sandbox::new();
    for case in 0..24 {
        let records: Vec<String> = (0..300).map(|_| record(&mut rng)).collect();
        let conditions: Vec<_> = (0..rng.usize(1..4)).map(|_| condition(&mut rng)).collect();
        // Conditions of one kind would be alternatives.
        let first =
            |at: usize| conditions.iter().position(|(words, _)| words[0] == conditions[at].0[0]) == Some(at);
        let chosen = (0..conditions.len()).filter(|at| first(*at)).map(|at| &conditions[at]);
        let (words, filters): (Vec<_>, Vec<_>) = chosen.cloned().unzip();
        // A filter without a result is one that says no.
        let filter =
            filters.iter().map(|filter| format!("(({filter}) // false)")).collect::<Vec<_>>().join(" and ");
        let invert = rng.u8(..4) == 0;
        let filter = if invert { format!("({filter}) | not") } else { filter };
        let mut words = words.concat();
        words.extend(invert.then_some("--invert"));
        let expected: String = jq_selects(&sandbox, &filter, &records)
            .into_iter()
            .map(|number| format!("{}\n", records[number]))
            .collect();
        let input = sandbox.write("records.ndjson", records.join("\n") + "\n");
        for how in [&[][..], &["--strict"]] {
            let assert = sandbox.tool("supd-parse").args(&words).args(how).arg(&input).assert().success();
            let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
            assert_eq!(output, expected, "SUPD_TEST_SEED={seed} case {case}: {words:?} {how:?}: {filter}");
        }
        fs::remove_file(input).unwrap();
    }
}

#[test]
fn a_name_of_ours_may_be_spelled_in_any_way() {
    let sandbox = Sandbox::new();
    let line = "{\"eventname\":\"SUPD_A\\/B\"}\n";
    sandbox.tool("supd-parse").args(["-e", "SUPD_A/B"]).write_stdin(line).assert().success().stdout(line);
}

//! The forms in which supd-parse writes records, read back by programs that read such forms.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use predicates::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Running, Sandbox, capture, state};

/// A record with everything in it that some form could stumble over.
fn hostile() -> String {
    let nasty = "a,b\"c\"\n\td\r\u{0}\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}\\ = 漢e\u{301}😀 é";
    let record = json!({"ts": "2026-01-05T08:00:00.250Z", "host": nasty, "server": nasty, "serial": 7,
        "eventname": "PROCESS_LOG_STDOUT", "processname": nasty, "groupname": "=1+1", "pid": 7, "channel": "stdout",
        "data": nasty, "note": {"a": [nasty]}, "none": null, "odd key=": nasty});
    format!("{record}\n")
}

fn parse(sandbox: &Sandbox, words: &[&str], input: impl Into<Vec<u8>>) -> String {
    let assert = sandbox.tool("supd-parse").args(words).write_stdin(input.into()).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn value_of(record: &Value, key: &str) -> String {
    match &record[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

const KEYS: [&str; 8] = ["ts", "host", "processname", "groupname", "pid", "data", "note", "none"];

#[test]
fn csv_is_read_by_others_as_it_was() {
    let sandbox = Sandbox::new();
    let input = hostile() + &state(1, "web", "EXITED", r#","expected":false"#);
    sandbox.write("out.csv", parse(&sandbox, &["--to", "csv", "--fields", &KEYS.join(",")], input.clone()));
    let records: Vec<Value> = input.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows = records.iter().map(|record| KEYS.map(|key| value_of(record, key)).to_vec());
    let expected: Vec<Vec<String>> = [KEYS.map(str::to_owned).to_vec()].into_iter().chain(rows).collect();

    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(sandbox.path("out.csv")).unwrap();
    let read: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(read, expected);

    let script = "import csv,json; print(json.dumps(list(csv.reader(open('out.csv', newline='')))))";
    let python = sandbox.tool("python3").args(["-c", script]).assert().success();
    let read: Vec<Vec<String>> = serde_json::from_slice(&python.get_output().stdout).unwrap();
    assert_eq!(read, expected);
}

#[test]
fn tsv_is_what_jq_makes_and_csv_says_what_jqs_says() {
    let sandbox = Sandbox::new();
    let records = parse(&sandbox, &[], std::fs::read(capture("states.raw")).unwrap());
    let records = records + &state(9, "a\\tb\\n\\\\", "EXITED", r#","expected":true,"exitstatus":-9"#);
    sandbox.write("in.ndjson", &records);
    let keys = ["ts", "eventname", "processname", "from_state", "expected", "tries", "pid", "exitstatus"];
    let filter = keys.map(|key| format!(".{key}")).join(",");
    let jq = |form: &str| {
        let program = format!("[{filter}] | @{form}");
        let assert = sandbox.tool("jq").args(["-r", &program, "in.ndjson"]).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let ours = |form| {
        let words = ["--to", form, "--no-header", "--fields", &keys.join(","), "in.ndjson"];
        parse(&sandbox, &words, "")
    };
    assert_eq!(ours("tsv"), jq("tsv"));
    let cells = |text: &str| -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    };
    assert_eq!(cells(&ours("csv")), cells(&jq("csv")));
}

#[test]
fn logfmt_is_read_by_others_as_it_was() {
    let sandbox = Sandbox::new();
    let text = parse(&sandbox, &["--to", "logfmt", "--fields", &KEYS.join(",")], hostile());
    let record: Value = serde_json::from_str(&hostile()).unwrap();
    let present = KEYS.into_iter().filter(|key| record.get(key).is_some());
    let value = |key| if record[key].is_null() { "null".to_owned() } else { value_of(&record, key) };
    let expected: Vec<(String, String)> = present.map(|key| (key.to_owned(), value(key))).collect();
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert_eq!(read_logfmt(text.trim_end()), expected);
    let all = parse(&sandbox, &["--to", "logfmt"], hostile());
    let expected = value_of(&record, "odd key=");
    assert_eq!(read_logfmt(all.trim_end()).last(), Some(&("odd_key_".to_owned(), expected)));
}

/// As go-logfmt reads it: a value in quotes is a JSON string, another one ends at the next space.
fn read_logfmt(mut line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((key, rest)) = line.split_once('=') {
        let value: String;
        if rest.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            value = values.next().unwrap().unwrap();
            line = &rest[values.byte_offset()..];
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            value = rest[..end].to_owned();
            line = &rest[end..];
        }
        pairs.push((key.to_owned(), value));
        line = line.strip_prefix(' ').unwrap_or(line);
    }
    assert_eq!(line, "");
    pairs
}

#[test]
fn nothing_in_a_record_acts_on_a_terminal_in_any_form() {
    let sandbox = Sandbox::new();
    sandbox.write("in.ndjson", hostile());
    for form in
        ["ndjson", "json", "csv", "tsv", "logfmt", "text", "table", "text --fields host,data", "template"]
    {
        let form =
            if form == "template" { "template --template '{{ host }} {{ data }} {{ text }}'" } else { form };
        let command = format!("supd-parse --color never --to {form} in.ndjson");
        let assert = sandbox.tool("script").args(["-qec", &command, "/dev/null"]).assert().success();
        let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let shown = output.replace("\r\n", "\n");
        let own = if form == "tsv" { &['\n', '\t'][..] } else { &['\n'] };
        let acting = |c: &char| {
            c.is_control() && !own.contains(c)
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert_eq!(shown.chars().filter(acting).collect::<String>(), "", "{form}: {shown:?}");
        assert!(shown.contains("漢"), "{form}: {shown}");
    }
    // Text is safe wherever it goes, for it will be looked at.
    for form in ["text", "table", "logfmt"] {
        let text = parse(&sandbox, &["--to", form], hostile());
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{form}: {text:?}");
    }
}

#[test]
fn a_spreadsheet_calculates_nothing_that_came_from_a_process() {
    let sandbox = Sandbox::new();
    let words = ["--safe", "--no-header", "--fields", "groupname,pid", "--to"];
    assert_eq!(parse(&sandbox, &[&words[..], &["csv"]].concat(), hostile()), "'=1+1,7\n");
    assert_eq!(parse(&sandbox, &[&words[..], &["tsv"]].concat(), hostile()), "'=1+1\t7\n");
}

#[test]
fn every_form_takes_the_keys_that_are_asked_for_in_their_order() {
    let sandbox = Sandbox::new();
    let input =
        state(1, "web", "EXITED", r#","expected":false,"exitstatus":1"#) + &state(2, "db", "RUNNING", "");
    for (form, expected) in [
        ("ndjson", "{\"exitstatus\":1,\"subject\":\"web\"}\n{\"subject\":\"db\"}\n"),
        ("json", "[\n{\"exitstatus\":1,\"subject\":\"web\"},\n{\"subject\":\"db\"}\n]\n"),
        ("csv", "exitstatus,subject\n1,web\n,db\n"),
        ("tsv", "exitstatus\tsubject\n1\tweb\n\tdb\n"),
        ("logfmt", "exitstatus=1 subject=web\nsubject=db\n"),
        ("text", "1  web\n   db\n"),
        ("table", "EXITSTATUS  SUBJECT\n1           web\n            db\n"),
    ] {
        assert_eq!(
            parse(&sandbox, &["--fields", "exitstatus,subject", "--to", form], input.clone()),
            expected
        );
    }
}

#[test]
fn a_key_that_no_record_had_is_named_once() {
    let sandbox = Sandbox::new();
    let warned = |fields: &str, input: String| {
        let mut command = sandbox.tool("supd-parse");
        let assert = command.args(["--to", "csv", "--fields", fields]).write_stdin(input).assert().success();
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    let records = state(1, "web", "RUNNING", "").repeat(3);
    assert_eq!(
        warned("host,proces,xy", records.clone()),
        "supd-parse: --fields: no record had 'proces', 'xy'\n"
    );
    assert_eq!(warned("host,processname", records), "");
    assert_eq!(warned("proces", String::new()), "", "there was no record");
}

#[test]
fn a_zone_is_for_people_and_for_tables_that_ask_for_it() {
    let sandbox = Sandbox::new();
    let input = state(1, "web", "RUNNING", "");
    let first_word = |words: &[&str]| {
        let all = [&["--fields", "ts", "--tz", "Asia/Kolkata", "--to"], words].concat();
        parse(&sandbox, &all, input.clone())
    };
    assert_eq!(first_word(&["text"]), "2026-01-05 13:30:00.000\n");
    assert_eq!(first_word(&["table", "--no-header"]), "2026-01-05 13:30:00.000\n");
    assert_eq!(first_word(&["csv", "--no-header"]), "2026-01-05T13:30:00.000+05:30\n");
    assert_eq!(first_word(&["logfmt"]), "ts=2026-01-05T13:30:00.000+05:30\n");
    assert_eq!(first_word(&["ndjson"]), "{\"ts\":\"2026-01-05T08:00:00.000Z\"}\n");
    let csv = parse(&sandbox, &["--to", "csv", "--no-header", "--fields", "ts"], input.clone());
    assert_eq!(csv, "2026-01-05T08:00:00.000Z\n");
    let template = "{{ time }} {{ ts }}";
    assert_eq!(
        parse(&sandbox, &["--tz", "-05:00", "--template", template], input),
        "2026-01-05 03:00:00.000 2026-01-05T03:00:00.000-05:00\n"
    );
    let unknown = sandbox.tool("supd-parse").args(["--tz", "Europe/Belin"]).assert().code(2);
    unknown.stderr(predicate::str::contains("no time zone has this name"));
}

#[test]
fn a_template_makes_a_line_of_each_record_and_mistakes_show_before_anything_is_read() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "lines",
        "{{ severity|upper }}: {{ title }}{% if exitstatus %} ({{ exitstatus }}){% endif %}\n",
    );
    let input =
        state(1, "web", "EXITED", r#","expected":false,"exitstatus":1"#) + &state(2, "db", "FATAL", "");
    assert_eq!(
        parse(&sandbox, &["--template-file", "lines"], input),
        "ERROR: web on web1 exited unexpectedly (1)\n\
         CRITICAL: db on web1 could not be started; supervisord gave up\n"
    );
    for (template, reason) in [
        ("{{ proces }}", "`proces` is undefined (in template:1)"),
        ("x\n{% if %}", "(in template:2)"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
    ] {
        let assert = sandbox.tool("supd-parse").args(["--template", template]).assert().code(2).stdout("");
        assert.stderr(predicate::str::contains(reason).and(predicate::str::contains("\n").count(1)));
    }
}

#[test]
fn a_record_that_a_template_does_not_fit_is_skipped_and_counted() {
    let sandbox = Sandbox::new();
    let without = state(1, "web", "FATAL", "").repeat(2);
    let mut command = sandbox.tool("supd-parse");
    command.args(["--template", "{{ pid + 1 }}"]);
    let assert = command.write_stdin(without + &state(2, "web", "RUNNING", r#","pid":7"#)).assert().code(1);
    assert.stdout("8\n").stderr(
        predicate::str::contains("for PROCESS_STATE_FATAL; skipped\n")
            .count(1)
            .and(predicate::str::ends_with("template: 2 records skipped that it does not fit\n")),
    );
}

#[test]
fn options_that_a_form_has_no_use_for_are_refused() {
    let sandbox = Sandbox::new();
    for (words, reason) in [
        (&["--safe"][..], "--safe is for --to csv and --to tsv"),
        (&["--no-header", "--to", "text"], "--no-header is for"),
        (&["--to", "template"], "give --template or --template-file"),
        (&["--to", "csv", "--template", "x"], "a template is for --to template"),
        (&["--fields", "a", "--template", "x"], "a template says itself what it shows"),
        (&["--fields", "a,,b"], "a name is missing between commas"),
        (&["--fields", "a,a"], "'a' is there twice"),
    ] {
        let assert = sandbox.tool("supd-parse").args(words).assert().code(2);
        assert.stdout("").stderr(
            predicate::str::starts_with("supd-parse: ")
                .and(predicate::str::contains(reason))
                .and(predicate::str::contains("\n").count(1)),
        );
    }
}

#[test]
fn a_table_streams_once_its_input_has_been_silent() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.spawnable("supd-parse");
    command
        .args(["--to", "table", "--fields", "processname,pid"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut running = Running(child);
    let mut stdout = BufReader::new(stdout);
    let mut line = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    stdin.write_all(state(1, "web", "RUNNING", r#","pid":7"#).as_bytes()).unwrap();
    assert_eq!([line(), line()], ["PROCESSNAME  PID\n", "web          7\n"]);
    stdin.write_all(state(2, "a-longer-name", "RUNNING", r#","pid":8"#).as_bytes()).unwrap();
    assert_eq!(line(), "a-longer-name  8\n");
    drop(stdin);
    assert_eq!(running.status(), 0);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_table_fits_its_terminal_and_colours_are_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("in.ndjson", state(1, &"漢".repeat(60), "FATAL", "") + &state(2, "db", "EXITED", ""));
    let on_terminal = |command: &str| {
        let command = format!("stty cols 60; {command}");
        let assert = sandbox.tool("script").args(["-qec", &command, "/dev/null"]).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let table = on_terminal("supd-parse --color never --to table --fields host,subject,what in.ndjson");
    let wide = |c: char| if c == '漢' { 2 } else { 1 };
    let widths: Vec<usize> = table.lines().map(|line| line.chars().map(wide).sum()).collect();
    assert!(table.contains('…') && widths.iter().all(|&width| width <= 60), "{widths:?} {table}");
    let text = on_terminal("supd-parse --color never --to text in.ndjson");
    assert!(text.contains(&"漢".repeat(60)), "text is never cut: {text}");
    assert!(on_terminal("supd-parse in.ndjson").contains("\x1b[1;31m"));
    assert!(!on_terminal("supd-parse --color never in.ndjson").contains('\x1b'));
    let into_a_pipe = parse(&sandbox, &["--color", "always", "--to", "text", "in.ndjson"], "");
    assert!(into_a_pipe.contains("\x1b[1;31m"), "{into_a_pipe:?}");
}

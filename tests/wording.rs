//! The words of messages: templates that people write, hostile values in them, and records of our own.

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Receiver, Sandbox, state};

const HOSTILE: &str = "*<!here>* @all\u{1b}[2J`\n";

fn hostile() -> String {
    let name = serde_json::to_string(HOSTILE).unwrap();
    state(1, "web", "EXITED", r#","expected":false,"pid":7"#).replace(r#""web""#, &name)
}

#[test]
fn a_template_is_markup_for_slack_and_values_in_it_call_nobody() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    sandbox.write("body", "<https://wiki.example.org/{{ pid }}|runbook>\n{{ processname }}\n");
    let mut notify = sandbox.tool("supd-notify");
    notify
        .args(["slack", "--title", "{{ emoji }} *{{ processname|safe }}* <!channel>", "--body-file", "body"])
        .env("SUPD_SLACK_URL", receiver.url("/hook"));
    notify.write_stdin(hostile()).assert().success().stderr("");
    let payload: Value = serde_json::from_str(&receiver.received()[0].body).unwrap();
    let title = payload["text"].as_str().unwrap();
    assert!(title.starts_with("🔴 *") && title.ends_with("* <!channel>"), "{title}");
    let text = payload["attachments"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("<https://wiki.example.org/7|runbook>\n"), "{text}");
    for written in [title, text] {
        assert!(written.contains("&lt;!here&gt;") && !written.contains("<!here>"), "{written}");
        assert!(!written.contains("@all") && !written.contains('\u{1b}'), "{written}");
    }
}

#[test]
fn a_line_of_the_log_stays_one_and_acts_on_no_terminal() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["log", "--title", "{{ severity|upper }} {{ processname }} {{ pid }}"]);
    let assert = notify.write_stdin(hostile()).assert().success();
    assert.stderr("ERROR *<!here>* @all\\u001b[2J`\\n 7\n");
}

#[test]
fn templates_that_cannot_work_are_refused_before_anything_is_read() {
    let sandbox = Sandbox::new();
    for (template, reason) in [
        ("{{ proces }}", "`proces` is undefined"),
        ("{% if %}", "syntax error"),
        ("{{ pid|shout }}", "shout is unknown"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
    ] {
        for option in ["--title", "--body"] {
            let assert = sandbox.tool("supd-notify").args(["log", option, template]).assert().code(2);
            assert.stderr(
                predicate::str::contains(reason)
                    .and(predicate::str::contains(&option[2..]))
                    .and(predicate::str::contains("\n").count(1)),
            );
        }
    }
}

#[test]
fn a_channel_without_titles_says_what_it_has_instead() {
    let sandbox = Sandbox::new();
    for (channel, instead) in [
        (&["webhook", "--url", "http://localhost"][..], "there is --template"),
        (&["file", "out"], "records are appended as they came"),
        (&["exec", "--", "true"], "the program gets SUPD_TITLE and SUPD_TEXT"),
    ] {
        let assert = sandbox.tool("supd-notify").args(["--body", "x"]).args(channel).assert().code(2);
        assert
            .stderr(predicate::str::contains(instead).and(predicate::str::contains("\n").count(1)))
            .stdout("");
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_template_that_fails_costs_no_message_and_says_so_once() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["log", "--title", "{{ pid + 1 }}"]);
    let without = |serial| state(serial, "web", "FATAL", "");
    let assert =
        notify.write_stdin(without(1) + &state(2, "web", "EXITED", r#","pid":7"#) + &without(3)).assert();
    let fatal = "2026-01-05T08:00:00.000Z critical web on web1 could not be started; supervisord gave up";
    assert.success().stderr(
        predicate::str::contains("using the usual words\n")
            .count(1)
            .and(predicate::str::ends_with(format!("{fatal}\n8\n{fatal}\n"))),
    );
}

#[test]
fn a_program_gets_the_words_too() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["exec", "--", "sh", "-c", r#"echo "$SUPD_SEVERITY $SUPD_TITLE: $SUPD_TEXT" >>out"#]);
    let crash = state(1, "web", "EXITED", r#","expected":false,"logtail":"oops\n""#);
    notify.write_stdin(crash).assert().success();
    assert_eq!(sandbox.read("out"), "error web on web1 exited unexpectedly: oops\n");
}

#[test]
fn records_of_our_own_are_told_by_every_means() {
    let sandbox = Sandbox::new();
    let own = concat!(
        r#"{"ts":"2026-01-05T08:01:00.000Z","host":"db1","eventname":"SUPD_DIGEST","count":5,"severity":"critical","first_ts":"2026-01-05T08:00:01Z","last_ts":"2026-01-05T08:00:31Z","events":[{"host":"db1","processname":"a","groupname":"a","what":"could not be started; supervisord gave up","severity":"critical","count":1,"first_ts":"2026-01-05T08:00:31Z"},{"host":"db1","processname":"b","groupname":"b","what":"exited unexpectedly","severity":"error","count":4,"first_ts":"2026-01-05T08:00:01Z","last_ts":"2026-01-05T08:00:30Z"}]}"#,
        "\n",
        r#"{"ts":"2026-01-05T08:05:04.000Z","host":"db1","eventname":"SUPD_RECOVERED","processname":"a","groupname":"a","since":"2026-01-05T08:00:01Z","downtime":303,"count":5}"#,
        "\n",
        r#"{"ts":"2026-01-05T12:00:31.000Z","host":"db1","eventname":"SUPD_REMINDER","processname":"a","groupname":"a","since":"2026-01-05T08:00:31Z","what":"could not be started; supervisord gave up","severity":"critical","count":1}"#,
        "\n",
    );
    sandbox.write("own", own);
    sandbox.tool("supd-parse").args(["--to", "text", "own"]).env("TZ", "UTC").assert().success().stdout(
        "2026-01-05 08:01:00.000  db1  CRIT   5 events of 2 processes: a could not be started\n    \
             a on db1: could not be started; supervisord gave up, 08:00:31 UTC\n    \
             b on db1: exited unexpectedly 4 times, 08:00:01 to 08:00:30 UTC\n\
         2026-01-05 08:05:04.000  db1  ok     a  recovered after 5m 3s\n\
         2026-01-05 12:00:31.000  db1  CRIT   a  has not recovered for 4h: could not be started; supervisord gave up\n",
    );
    sandbox
        .sh("supd-parse -e digest,reminder own | supd-notify log --body ''")
        .assert()
        .success()
        .stderr(
            "2026-01-05T08:01:00.000Z critical 5 events of 2 processes on db1: a could not be started\n\
             2026-01-05T12:00:31.000Z critical a on db1 has not recovered for 4h: could not be started; supervisord gave up\n",
        );
    sandbox
        .sh("supd-parse -e digest own | supd-notify --dry-run webhook --template '[{{ count }}, {{ events|length }}, \"{{ title }}\"]'")
        .assert()
        .failure()
        .stderr(predicate::str::contains("compile template"));
    sandbox
        .sh("supd-parse -e digest own | supd-notify --dry-run webhook --template '[{{ count|tojson }}, {{ (events or [])|length }}, \"{{ title }}\"]'")
        .assert()
        .success()
        .stdout("[5, 2, \"5 events of 2 processes on db1: a could not be started\"]\n");
}

#[test]
fn each_target_of_a_configuration_has_words_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox
        .write("right", "[targets.a]\nlog = {}\nmessage = { title = '{{ processname }} fell', body = '' }\n");
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--config", "right"]).write_stdin(state(1, "web", "FATAL", ""));
    notify.assert().success().stderr("web fell\n");
    for (table, reason) in [
        ("log = {}\nmessage = { title = '{{ proces }}' }", "`proces` is undefined"),
        ("log = {}\nmessage = { titel = 'x' }", "titel"),
        ("file = { path = 'out' }\nmessage = { title = 'x' }", "records are appended as they came"),
    ] {
        sandbox.write("wrong", format!("[targets.a]\n{table}\n"));
        let assert = sandbox.tool("supd-notify").args(["--config", "wrong"]).assert().code(2);
        assert.stderr(predicate::str::contains(reason));
    }
}

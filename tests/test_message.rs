//! `supd-notify test`: whether a channel works, before anything happens.

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Receiver, Sandbox};

#[test]
fn one_message_that_says_so_arrives_and_the_answer_is_shown() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(&[]);
    let mut test = sandbox.tool("supd-notify");
    test.env("SUPD_SLACK_URL", receiver.url("/s3cret")).env("SUPD_HOST", "web1").args(["test", "slack"]);
    test.assert().success().stdout("slack: the server answered 200 OK: ok\n").stderr("");
    assert_eq!(
        receiver.slack_texts(),
        ["⚪ Test from supd-notify on web1: this is a test message; nothing has happened"]
    );
    let mut webhook = sandbox.tool("supd-notify");
    webhook.args(["test", "webhook", "--url", &receiver.url("/")]).assert().success();
    let record: Value = serde_json::from_str(&receiver.received()[1].body).unwrap();
    assert_eq!(record["eventname"], "SUPD_TEST");
    assert!(record["ts"].is_string() && record["host"].is_string());
}

#[test]
fn there_is_one_attempt_and_a_failure_says_what_to_look_at() {
    let sandbox = Sandbox::new();
    for (answer, said) in [
        (
            (404, "no_service", &[][..]),
            "supd-notify: test slack: the server answered 404 Not Found: no_service; look at the URL: the server knows \
             no such address\n",
        ),
        ((503, "", &[]), "supd-notify: test slack: the server answered 503 Service Unavailable\n"),
    ] {
        let receiver = Receiver::start(&[answer]);
        let mut test = sandbox.tool("supd-notify");
        test.env("SUPD_SLACK_URL", receiver.url("/services/s3cret")).args(["test", "slack"]);
        test.assert().code(1).stdout("").stderr(said);
        assert_eq!(receiver.count(), 1);
    }
    // An address that accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let mut test = sandbox.tool("supd-notify");
    test.args(["test", "--timeout", "100ms", "webhook", "--url", &url]).assert().code(1).stderr(
        "supd-notify: test webhook: no answer within 100.0ms; give it longer with --timeout, or look for a firewall in \
         between\n",
    );
    sandbox.tool("supd-notify").args(["test", "slack"]).assert().code(2);
    sandbox.tool("supd-notify").arg("test").assert().code(2);
}

#[test]
fn every_target_of_a_configuration_is_tried() {
    let sandbox = Sandbox::new();
    let config = "[targets.ops]\nfile = { path = 'ops' }\n\
                  [targets.pager]\nexec = { program = ['sh', '-c', 'exit 3'] }\n\
                  [targets.log]\nfile = { path = 'log' }\n";
    sandbox.write("notify.toml", config);
    let assert = sandbox.tool("supd-notify").args(["test", "--config", "notify.toml"]).assert().code(1);
    assert
        .stdout("ops: appended to 'ops'\nlog: appended to 'log'\n")
        .stderr("supd-notify: test pager: 'sh' ended with status 3\n");
    assert_eq!(sandbox.records("ops")[0]["eventname"], "SUPD_TEST");
}

#[test]
fn a_dry_run_shows_the_message_and_a_programs_chatter_is_no_answer() {
    let sandbox = Sandbox::new();
    let dry = sandbox.tool("supd-notify").args(["test", "--dry-run", "slack"]).assert().success();
    dry.stdout(predicate::str::contains("Test from supd-notify on"));
    let mut test = sandbox.tool("supd-notify");
    test.args(["test", "exec", "--", "sh", "-c", "echo $SUPD_EVENTNAME"]).assert().success();
    let assert = test.assert();
    assert.stdout("exec: 'sh' ended with status 0\n").stderr("SUPD_TEST\n");
}

#[test]
fn it_puts_nothing_into_supervisords_pipe() {
    let sandbox = Sandbox::new();
    for stage in ["test log", "test exec -- echo chatter"] {
        let script = format!(
            "supd-mock replay --speed max -- sh -c 'supd-notify {stage}; supd-listen | cat >/dev/null'"
        );
        sandbox.sh(&script).assert().success();
    }
}

#[test]
fn its_record_reads_as_a_test_in_every_tool() {
    let sandbox = Sandbox::new();
    let script = "supd-notify test file out && supd-parse -e test --to text out && supd-parse --problems out";
    let assert = sandbox.sh(script).env("SUPD_HOST", "web1").assert().success();
    assert.stdout(
        predicate::str::contains("Test from supd-notify: this is a test message; nothing has happened")
            .count(1),
    );
}

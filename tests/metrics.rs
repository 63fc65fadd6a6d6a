//! `supd-notify --metrics`: what the file says, read by Prometheus's own client, and that it is always there and whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::Instant;

use predicates::prelude::*;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Receiver, Running, Sandbox, state, until};

/// Prints each sample as `family type name{label=value,…} value`.
const PARSE: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        labels = ','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))
        print(f'{family.type} {sample.name}{{{labels}}} {sample.value:.3f}')
";

fn crash(serial: u64) -> String {
    state(serial, "web", "EXITED", r#","from_state":"RUNNING","expected":false,"pid":7"#)
}

/// The samples in a text, by type and name, as Prometheus's client reads them.
fn samples(sandbox: &Sandbox, text: String) -> BTreeMap<String, f64> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/prometheus/bin/python3");
    assert!(python.exists(), "prometheus_client is not in {}: run scripts/test", python.display());
    let mut parser = sandbox.tool(python.to_str().unwrap());
    let output = parser.args(["-c", PARSE]).write_stdin(text).assert().success().get_output().stdout.clone();
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    String::from_utf8(output).unwrap().lines().map(sample).collect()
}

/// The value of a line of the file, as far as it is there.
fn value(sandbox: &Sandbox, name: &str) -> Option<f64> {
    let text = sandbox.read("supd.prom");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.parse().ok()
}

/// A supd-notify with its input open and its messages in `err`.
fn start(sandbox: &Sandbox, words: &[&str]) -> (Running, ChildStdin) {
    let mut command = sandbox.spawnable("supd-notify");
    command.args(words).stdin(Stdio::piped()).stderr(File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (Running(child), stdin)
}

#[test]
fn every_record_is_accounted_for() {
    let sandbox = Sandbox::new();
    // Tried again, taken, refused, taken.
    let receiver = Receiver::start(&[(503, "", &[]), (200, "", &[]), (404, "", &[])]);
    let input = [
        crash(1),
        "oops\n".into(),
        crash(2),
        "{\"seq\":1,\"eventname\":\"SUPD_MARK\"}\n".into(),
        state(3, "web", "RUNNING", r#","resolves":2"#),
        crash(4),
    ];
    let mut notify = sandbox.tool("supd-notify");
    notify.args([
        "--metrics",
        "supd.prom",
        "--metrics-label",
        "listener=a \"b\"\\",
        "--drain-timeout",
        "20s",
    ]);
    notify.args(["webhook", "--url", &receiver.url("/")]).write_stdin(input.concat()).assert().code(1);
    let samples = samples(&sandbox, sandbox.read("supd.prom"));
    let of_target = |kind: &str, name: &str| {
        samples[&format!("{kind} supd_notify_{name}{{listener=a \"b\"\\,target=webhook}}")]
    };
    let counters = [
        ("records_delivered_total", 2.0),
        ("messages_delivered_total", 2.0),
        ("attempts_failed_total", 2.0),
        ("attempts_retried_total", 1.0),
        ("records_dropped_total", 1.0),
        ("records_dead_lettered_total", 1.0),
    ];
    for (name, value) in counters {
        assert_eq!(of_target("counter", name), value, "{name}");
    }
    for name in ["queue_records", "lag_seconds", "failing"] {
        assert_eq!(of_target("gauge", name), 0.0, "{name}");
    }
    let overall =
        |kind: &str, name: &str| samples[&format!("{kind} supd_notify_{name}{{listener=a \"b\"\\}}")];
    assert_eq!(overall("counter", "records_read_total"), 4.0);
    assert_eq!(overall("counter", "lines_malformed_total"), 1.0);
    let (began, delivered) =
        (overall("gauge", "start_time_seconds"), of_target("gauge", "last_delivery_timestamp_seconds"));
    assert!(began < delivered && delivered < began + PATIENCE.as_secs_f64(), "{began} {delivered}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        samples[&format!("gauge supd_notify_build_info{{listener=a \"b\"\\,version={version}}}")],
        1.0
    );
    assert_eq!(samples.len(), 14);
}

#[test]
fn what_waits_and_what_fails_shows_while_it_does() {
    let sandbox = Sandbox::new();
    let options = ["--metrics", "supd.prom", "--drain-timeout", "100ms"];
    let send = ["exec", "--", "sh", "-c", "test -e up"];
    let (mut notify, mut stdin) = start(&sandbox, &[&options[..], &send[..]].concat());
    let of_target = |name: &str| value(&sandbox, &format!("supd_notify_{name}{{target=\"exec\"}}"));
    until("it is there from the start", || of_target("queue_records") == Some(0.0));
    stdin.write_all((crash(1) + &crash(2) + &crash(3)).as_bytes()).unwrap();
    until("three records wait", || of_target("queue_records") == Some(3.0));
    until("the target fails", || of_target("failing") == Some(1.0));
    assert!(of_target("lag_seconds").unwrap() > 3600.0, "the records are old");
    assert_eq!(of_target("last_delivery_timestamp_seconds"), Some(0.0));
    sandbox.write("up", "");
    until("none waits", || of_target("queue_records") == Some(0.0));
    assert_eq!(
        ["failing", "lag_seconds", "records_delivered_total"].map(of_target),
        [Some(0.0), Some(0.0), Some(3.0)]
    );
    // What nobody takes any more waits no longer.
    fs::remove_file(sandbox.path("up")).unwrap();
    stdin.write_all(crash(4).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(notify.status(), 1);
    assert_eq!(
        ["failing", "queue_records", "records_dead_lettered_total"].map(of_target),
        [Some(1.0), Some(0.0), Some(1.0)]
    );
}

#[test]
fn what_stays_in_the_spool_still_waits_and_what_was_dealt_with_does_not() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("spool/cursors")).unwrap();
    sandbox.write("spool/cursors/notify", "1\n");
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--metrics", "supd.prom", "--spool", "spool", "--drain-timeout", "100ms"]);
    let record = |seq: u64| state(seq, "web", "EXITED", &format!(r#","seq":{seq}"#));
    notify.args(["exec", "--", "false"]).write_stdin(record(1) + &record(2) + &record(3)).assert().success();
    assert_eq!(value(&sandbox, "supd_notify_queue_records{target=\"exec\"}"), Some(2.0));
    assert_eq!(value(&sandbox, "supd_notify_records_read_total"), Some(3.0));
}

#[test]
fn what_an_earlier_program_left_in_its_state_waits_again() {
    let sandbox = Sandbox::new();
    let run = |input: String, send: &str| {
        let mut notify = sandbox.tool("supd-notify");
        notify.args(["--metrics", "supd.prom", "--state", "state", "--drain-timeout", "100ms"]);
        notify.args(["exec", "--", send]).write_stdin(input).assert().success();
        ["queue_records", "records_read_total", "records_delivered_total"].map(|name| {
            let name = format!("supd_notify_{name}");
            value(&sandbox, &name).or_else(|| value(&sandbox, &format!("{name}{{target=\"exec\"}}"))).unwrap()
        })
    };
    assert_eq!(run(crash(1) + &crash(2), "false"), [2.0, 2.0, 0.0]);
    assert_eq!(run(String::new(), "false"), [2.0, 0.0, 0.0]);
    assert_eq!(run(String::new(), "true"), [0.0, 0.0, 2.0]);
}

#[test]
fn the_file_is_whole_whenever_it_is_read_and_for_everyone_to_read() {
    let sandbox = Sandbox::new();
    let script = "umask 077; exec supd-notify --metrics supd.prom file out";
    let (mut notify, mut stdin) = {
        let mut command = sandbox.spawnable("sh");
        let mut child = command.args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (Running(child), stdin)
    };
    until("it is there from the start", || sandbox.path("supd.prom").exists());
    let names = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let whole = names(&sandbox.read("supd.prom"));
    // Kept open, so that no number of a file is given to another.
    let (mut seen, mut files) = (BTreeSet::new(), BTreeMap::new());
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < 4 {
        assert!(Instant::now() < deadline, "it is rewritten when something changes: {seen:?}");
        let file = File::open(sandbox.path("supd.prom")).unwrap();
        let text = io::read_to_string(&file).unwrap();
        assert!(text.ends_with('\n') && names(&text) == whole, "{text}");
        if seen.insert(text) {
            assert!(
                files.insert(file.metadata().unwrap().ino(), file).is_none(),
                "it is replaced, not changed"
            );
            stdin.write_all(crash(1).as_bytes()).unwrap();
        }
    }
    let mode = fs::metadata(sandbox.path("supd.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    drop(stdin);
    assert_eq!(notify.status(), 0);
    let delivered = sandbox.read("out").lines().count() as f64;
    assert_eq!(value(&sandbox, "supd_notify_records_delivered_total{target=\"file\"}"), Some(delivered));
    let left: Vec<_> =
        fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_refused_at_the_start_and_later_stops_nothing() {
    let sandbox = Sandbox::new();
    let refused = |file: &str, said: &str| {
        let mut notify = sandbox.tool("supd-notify");
        notify
            .args(["log", "--metrics", file])
            .write_stdin(crash(1))
            .assert()
            .code(2)
            .stderr(said.to_owned());
    };
    refused(
        "m/supd.prom",
        "supd-notify: write metrics file 'm/supd.prom': No such file or directory (os error 2)\n",
    );
    refused("/dev/null", "supd-notify: write metrics file '/dev/null': it is no regular file\n");

    fs::create_dir(sandbox.path("m")).unwrap();
    let (mut notify, mut stdin) = start(&sandbox, &["--metrics", "m/supd.prom", "file", "out"]);
    until("it is there from the start", || sandbox.path("m/supd.prom").exists());
    fs::remove_dir_all(sandbox.path("m")).unwrap();
    for serial in 1..=2 {
        stdin.write_all(crash(serial).as_bytes()).unwrap();
        until("it is delivered", || sandbox.read("out").lines().count() as u64 == serial);
    }
    until("it is said", || sandbox.read("err").contains("write metrics file 'm/supd.prom': No such file"));
    fs::create_dir(sandbox.path("m")).unwrap();
    until("it works again", || {
        sandbox.read("err").contains("write metrics file 'm/supd.prom': it works again")
    });
    assert!(sandbox.read("m/supd.prom").contains("records_delivered_total{target=\"file\"} 2\n"));
    assert_eq!(sandbox.read("err").lines().count(), 2);
    notify.signal(Signal::TERM);
    drop(stdin);
    assert_eq!(notify.status(), 0);
}

#[test]
fn a_dry_run_leaves_the_file_alone() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--dry-run", "--metrics", "supd.prom", "log"]).write_stdin(crash(1)).assert().success();
    assert!(!sandbox.path("supd.prom").exists());
}

#[test]
fn a_label_is_given_once() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--metrics", "supd.prom", "--metrics-label", "a=1", "--metrics-label", "a=2", "log"]);
    notify.assert().code(2).stderr(predicate::str::contains("'a' is given twice"));
}

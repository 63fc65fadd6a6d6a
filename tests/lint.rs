//! What supd-mock finds wrong with a supervisord.conf, and where it finds nothing.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

use crate::harness::Sandbox;

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers")
}

fn lint(sandbox: &Sandbox) -> Command {
    let mut lint = sandbox.tool("supd-mock");
    lint.arg("lint").env("PATH", "/usr/bin:/bin");
    lint
}

/// A configuration of these sections, with a `[supervisord]`.
fn found(sections: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("x.conf", format!("[supervisord]\n{sections}"));
    String::from_utf8(lint(&sandbox).arg("x.conf").output().unwrap().stdout).unwrap()
}

#[test]
fn every_fault_is_found_at_its_line() {
    let sandbox = Sandbox::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lint");
    let expected = std::fs::read_to_string(data.join("every-fault.txt")).unwrap();
    lint(&sandbox).current_dir(data).arg("every-fault.conf").assert().code(1).stdout(expected);
}

#[test]
fn what_supervisord_passes_over_is_found_on_the_line_where_it_stands() {
    let sandbox = Sandbox::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lint");
    let expected = std::fs::read_to_string(data.join("quiet-faults.txt")).unwrap();
    lint(&sandbox).current_dir(data).arg("quiet-faults.conf").assert().code(1).stdout(expected);
}

#[test]
fn elsewhere_other_programs_users_variables_and_files_may_be_there() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "x.conf",
        "[supervisord]\nuser=no-such-user\n[include]\nfiles=/nowhere/x.conf\n\
         [unix_http_server]\nfile=/x\nchown=nobody:no-such-group\n\
         [program:x]\ncommand=no-such-program %(ENV_NO_SUCH_VARIABLE)s\nuser=no-such-user\n\
         [program:y]\ncommand=/no/such/program\n",
    );
    let here = String::from_utf8(lint(&sandbox).arg("x.conf").output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = here.lines().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(lines, ["2", "4", "7", "9", "10", "12"], "{here}");
    lint(&sandbox).args(["--elsewhere", "x.conf"]).assert().code(0).stdout("");
    // What is wrong anywhere still is.
    sandbox
        .write("y.conf", "[supervisord]\n[program:x]\ncommand=no-such-program | %(nobody)s\nstartsecs=a\n");
    let said = lint(&sandbox).args(["--elsewhere", "y.conf"]).assert().code(1).get_output().stdout.clone();
    assert_eq!(String::from_utf8(said).unwrap().lines().count(), 2);
}

#[test]
fn a_byte_order_mark_is_one_fault_and_hides_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("x.conf", "\u{feff}[supervisord]\nloglevel=loud\n");
    let said = String::from_utf8(lint(&sandbox).arg("x.conf").output().unwrap().stdout).unwrap();
    let [mark, loglevel] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(mark.starts_with("x.conf:1: error: the file begins with a byte order mark"), "{mark}");
    assert!(mark.ends_with("; cure: save it as UTF-8 without a byte order mark"), "{mark}");
    assert!(loglevel.starts_with("x.conf:2: error: [supervisord] loglevel"), "{loglevel}");
}

#[test]
fn events_that_some_program_makes_are_waited_for_with_reason() {
    let listener = |events| {
        format!("[eventlistener:x]\ncommand=true\nevents={events}\nautorestart=true\nbuffer_size=100\n")
    };
    for (events, maker) in [
        ("PROCESS_LOG", "stderr_events_enabled=true"),
        ("PROCESS_LOG_STDOUT", "stdout_events_enabled=true"),
        ("PROCESS_COMMUNICATION", "stdout_capture_maxbytes=1MB"),
        ("PROCESS_COMMUNICATION_STDERR", "stderr_capture_maxbytes=1MB"),
    ] {
        let program = format!("[program:y]\ncommand=true\n{maker}\n");
        assert_eq!(found(&(listener(events) + &program)), "", "{events}");
        // With its errors in its output, it has no stderr of its own.
        let silent =
            if maker.starts_with("stderr") { program + "redirect_stderr=true\n" } else { String::new() };
        let said = found(&(listener(events) + &silent));
        assert!(said.contains(&format!("events: {events} never comes, because no program has")), "{said}");
    }
    assert_eq!(found(&listener("PROCESS_STATE,EVENT").replace("PROCESS_STATE,", "")), "");
}

#[test]
fn exit_statuses_that_count_as_intended_are_those_of_the_file() {
    let listener = "[eventlistener:x]\ncommand=true\nevents=TICK\n";
    assert!(found(listener).contains("takes exit status 0 for intended"));
    assert!(found(&format!("{listener}exitcodes=2,7\n")).contains("takes exit status 2 or 7 for intended"));
    assert_eq!(found(&format!("{listener}exitcodes=\n")), "");
}

#[test]
fn the_configurations_that_people_begin_with_are_without_findings() {
    let sandbox = Sandbox::new();
    let echo = peers().join("supervisor-4.3.0/bin/echo_supervisord_conf");
    let sample =
        std::process::Command::new(echo).output().expect("scripts/test installs supervisor 4.3.0").stdout;
    assert!(!sample.is_empty());
    sandbox.write("sample.conf", sample);
    let debian = peers().join("debian-supervisor/etc/supervisor/supervisord.conf");
    assert!(debian.exists(), "{} is missing: run scripts/test", debian.display());
    lint(&sandbox).arg("sample.conf").arg(debian).assert().code(0).stdout("").stderr("");
}

#[test]
fn our_own_advice_is_without_findings() {
    let said = found(
        "[eventlistener:alerts]\ncommand=true -c 'supd-parse --problems | supd-notify slack'\nevents=PROCESS_STATE\n\
         buffer_size=1024\nautorestart=true\npriority=101\nenvironment=SUPD_SPOOL=\"/var/spool/supd/alerts\"\n\
         [eventlistener:archive]\ncommand=sh -c 'true | true >&2'\nevents=EVENT\nbuffer_size=1024\n\
         autorestart=true\npriority=102\n",
    );
    assert_eq!(said, "");
}

#[test]
fn one_listener_needs_no_priority_and_many_processes_need_a_large_buffer() {
    let listener = "[eventlistener:x]\ncommand=true\nevents=PROCESS_STATE\nautorestart=true\n";
    assert_eq!(found(&format!("{listener}buffer_size=100\n")), "");
    let many = "[program:many]\ncommand=true\nprocess_name=p%(process_num)d\nnumprocs=50\n";
    let said = found(&format!("{listener}buffer_size=203\n{many}"));
    assert!(
        said.starts_with("x.conf:6: warning: [eventlistener:x] buffer_size: 203 is too small for 51"),
        "{said}"
    );
    assert_eq!(found(&format!("{listener}buffer_size=204\n{many}")), "");
}

#[test]
fn the_search_path_is_that_of_the_process() {
    let sandbox = Sandbox::new();
    let bin = sandbox.path("bin").display().to_string();
    assert_eq!(found(&format!("[program:x]\ncommand=supd-parse\nenvironment=PATH=\"{bin}\"\n")), "");
    let said = found("[program:x]\ncommand=supd-parse\n");
    assert!(said.contains("'supd-parse' is in none of /usr/bin:/bin"), "{said}");
}

#[test]
fn warnings_alone_are_no_failure_and_files_that_cannot_be_read_are_one() {
    let sandbox = Sandbox::new();
    sandbox.write("warns.conf", "[supervisord]\n[supervisord]\n");
    let warning = "warns.conf:2: warning: [supervisord] the section began at warns.conf:1 already";
    lint(&sandbox).arg("warns.conf").assert().code(0).stdout(predicate::str::starts_with(warning));
    lint(&sandbox)
        .args(["missing.conf", "warns.conf"])
        .assert()
        .code(1)
        .stdout(predicate::str::starts_with(warning))
        .stderr("supd-mock: read 'missing.conf': No such file or directory (os error 2)\n");
    lint(&sandbox).assert().code(2);
}

#[test]
fn findings_are_objects_for_programs() {
    let sandbox = Sandbox::new();
    sandbox
        .write("x.conf", "[supervisord]\n[eventlistener:x]\ncommand=true\nevents=TICKS\nautorestart=true\n");
    let output = lint(&sandbox).args(["--json", "x.conf"]).output().unwrap();
    let finding: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "file": "x.conf", "line": 4, "severity": "error", "section": "eventlistener:x",
        "problem": "events: there is no event 'TICKS', so supervisord does not start",
        "cure": "did you mean TICK?",
    });
    assert_eq!(finding, expected);
}

#[test]
fn a_finding_is_one_line_whatever_it_quotes() {
    let said = found("[program:x]\ncommand=true\nstartsecs=a\n b\u{1b}[31m\n");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("'a\\nb\\u001b[31m' is not a whole number"), "{said}");
}

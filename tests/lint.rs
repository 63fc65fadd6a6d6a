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

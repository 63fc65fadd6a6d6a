//! supd-mock in a shell: what it makes of listeners, good and bad, and what it writes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{Running, Sandbox, capture, processes_with};

fn results(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let result =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["result"].as_str().unwrap().to_owned();
    text.lines().map(result).collect()
}

/// A listener in sh: `body` sees one header line after another in $header, its payload read.
fn listener(body: &str) -> String {
    format!(
        "echo READY; while IFS= read -r header; do len=${{header##*len:}}; head -c \"$len\" >/dev/null; {body}; done"
    )
}

#[test]
fn without_a_file_it_plays_a_bad_day() {
    let sandbox = Sandbox::new();
    let script = "supd-mock replay --speed max -- supd-listen -c 'supd-parse --problems | supd-notify log'";
    let assert = sandbox.sh(script).assert().success();
    assert_eq!(results(&assert.get_output().stdout), vec!["OK"; 32]);
    assert.stderr(
        predicate::str::contains("error web:web_01 on")
            .count(1)
            .and(predicate::str::contains("critical mailer on").count(1))
            .and(predicate::str::contains("error café on").count(1))
            .and(predicate::str::contains("web:web_00").not())
            .and(predicate::str::contains(
                "supd-mock: 32 events accepted, 0 rejections, 0 events lost; ready after ",
            )),
    );
}

#[test]
fn the_listener_meets_what_supervisord_gives() {
    let sandbox = Sandbox::new();
    let script = r#"supd-mock replay --name alerts --speed max -- sh -c '
        { env | grep ^SUPERVISOR_ | sort; grep SigIgn /proc/self/status; ps -o pgid= -p $$; echo $$; } >seen
        exec supd-listen -o out.ndjson'"#;
    sandbox.sh(script).assert().success();
    let seen = sandbox.read("seen");
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert_eq!(lines[0], "SUPERVISOR_ENABLED=1");
    assert_eq!(lines[1], "SUPERVISOR_GROUP_NAME=alerts");
    assert_eq!(lines[2], "SUPERVISOR_PROCESS_NAME=alerts");
    let ignored = u64::from_str_radix(lines[4].trim_start_matches("SigIgn:").trim(), 16).unwrap();
    let bit = |signal: u64| 1 << (signal - 1);
    assert_eq!(ignored & (bit(13) | bit(25)), bit(13) | bit(25), "SIGPIPE and SIGXFSZ are ignored");
    assert_eq!(lines[5], lines[6], "it leads its process group");
}

#[test]
fn a_listener_that_breaks_the_protocol_is_told_on() {
    let sandbox = Sandbox::new();
    let hang = "echo READY; cat >/dev/null".to_owned();
    let early = "echo READY; IFS= read -r header; printf 'RESULT 2\\nOKREADY\\n'; sleep 1000".to_owned();
    for (script, said) in [
        ("echo hello; cat >/dev/null".to_owned(), "wrote 'hello\\n' instead of READY"),
        (listener("printf 'RESULT 2\\nOK\\nREADY\\n'"), "instead of READY"),
        (listener("echo fine"), "wrote 'fine\\n' instead of a result"),
        (listener("printf 'RESULT 2\\nOKREADY\\nREADY\\n'"), "wrote 'READY\\n' instead of READY"),
        (listener("printf 'RESULT 4\\nFAILREADY\\n'"), "did not accept event 30 in 10 attempts"),
        ("echo READY; exit 7".to_owned(), "ended with status 7 before all events were played"),
        ("exit 0".to_owned(), "ended with status 0 before all events were played"),
        (listener("printf 'RESULT 2\\nOKREADY\\n'") + "; kill -SEGV $$", "was ended by signal 11"),
        ("sleep 1000".to_owned(), "did not write READY within 300ms"),
        (listener("printf 'RESULT 2\\nOKREADY\\n'") + "; exit 3", "ended with status 3"),
        (hang, "did not answer event 30 (SUPERVISOR_STATE_CHANGE_RUNNING) within 300ms"),
        (early, "did not answer event 296 (SUPERVISOR_STATE_CHANGE_STOPPING) within 300ms"),
    ] {
        sandbox.write("listener.sh", &script);
        // A shell may take long to start on a busy machine; only where time is the point may it be short.
        let timeout = if said.contains("300ms") { "300ms" } else { "20s" };
        let command = format!(
            "supd-mock replay --timeout {timeout} --stop-timeout 200ms --events {} -- sh listener.sh",
            capture("svstate.raw").display()
        );
        sandbox.sh(&command).assert().code(1).stderr(predicate::str::contains(said));
    }
}

#[test]
fn a_listener_that_answers_before_it_has_read_the_event_is_told_on() {
    let sandbox = Sandbox::new();
    let record = serde_json::json!({
        "ver": "3.0", "server": "s", "serial": 1, "pool": "p", "poolserial": 1, "eventname": "REMOTE_COMMUNICATION",
        "type": "big", "data": "x".repeat(300_000),
    });
    sandbox.write("big.ndjson", format!("{record}\n"));
    sandbox.write(
        "listener.sh",
        "echo READY; IFS= read -r header; printf 'RESULT 2\\nOKREADY\\n'; cat >/dev/null",
    );
    let assert = sandbox.sh("supd-mock replay -e big.ndjson -- sh listener.sh").assert().code(1);
    assert.stderr(predicate::str::contains("answered an event before it had read the whole of it"));
}

#[test]
fn a_listener_may_end_after_the_last_event_and_is_judged_without_a_reader_too() {
    let sandbox = Sandbox::new();
    let two = "echo READY; for n in 1 2; do IFS= read -r header; printf 'RESULT 2\\nOKREADY\\n'; done";
    sandbox.write("two.sh", two);
    sandbox.write("bad.sh", listener("printf 'RESULT 4\\nFAILREADY\\n'"));
    let events = capture("svstate.raw");
    let script = format!("supd-mock replay -e {} -- sh two.sh", events.display());
    sandbox.sh(&script).assert().success();
    let mut bash = sandbox.tool("bash");
    let script = format!(
        "supd-mock -q replay -e {} -- sh bad.sh | head -n 1; echo ${{PIPESTATUS[0]}}",
        events.display()
    );
    bash.args(["-c", &script]).assert().stdout(predicate::str::ends_with("}\n1\n"));
}

#[test]
fn an_event_that_is_rejected_comes_again_and_then_counts() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "listener.sh",
        listener("if [ -e seen ]; then r=OK; else r=NO; touch seen; fi; printf \"RESULT 2\\n${r}READY\\n\""),
    );
    let command = format!("supd-mock replay --events {} -- sh listener.sh", capture("svstate.raw").display());
    let assert = sandbox.sh(&command).assert().success();
    assert_eq!(results(&assert.get_output().stdout), ["NO", "OK", "OK"]);
}

#[test]
fn what_a_listener_leaves_behind_is_ended_with_it() {
    let sandbox = Sandbox::new();
    // In a session of its own, deaf to SIGTERM, and not holding any of the listener's pipes.
    let leave = "(trap '' TERM; exec setsid sleep 1000 >/dev/null 2>&1) & ";
    sandbox.write("listener.sh", leave.to_owned() + &listener("printf 'RESULT 2\\nOKREADY\\n'"));
    let events = capture("svstate.raw");
    let script =
        format!("supd-mock replay --stop-timeout 100ms --events {} -- sh listener.sh", events.display());
    let mark = format!("SUPD_TEST={}", sandbox.path("").display());
    let assert = sandbox.sh(&script).env("SUPD_TEST", sandbox.path("")).assert().success();
    assert
        .stderr(predicate::str::contains("sending SIGTERM").and(predicate::str::contains("sending SIGKILL")));
    assert_eq!(processes_with(&mark), Vec::<u32>::new());
}

#[test]
fn records_keep_their_spacing_and_speed_divides_it() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "two.ndjson",
        [0, 900]
            .map(|ms| {
                format!(
                    r#"{{"ts":"2026-01-05T08:00:00.{ms:03}Z","ver":"3.0","server":"s","serial":{ms},"pool":"p","poolserial":0,"eventname":"TICK_5","when":5}}"#
                ) + "\n"
            })
            .concat(),
    );
    let seconds = |speed: &str| {
        let started = std::time::Instant::now();
        sandbox
            .sh(&format!("supd-mock replay --speed {speed} -e two.ndjson -- supd-listen -o out"))
            .assert()
            .success();
        started.elapsed().as_secs_f64()
    };
    assert!(seconds("1") >= 0.9);
    assert!(seconds("0.5") >= 1.8);
    sandbox.tool("supd-mock").args(["replay", "--speed", "0", "--", "true"]).assert().code(2);
}

#[test]
fn events_may_come_one_by_one_while_the_listener_is_watched() {
    let sandbox = Sandbox::new();
    sandbox.write("listener.sh", "echo READY; IFS= read -r header; head -c 6 >/dev/null; printf 'RESULT 2\\nOKREADY\\n'; read -r go <gate; exit 5");
    sandbox.sh("mkfifo gate").assert().success();
    let mut command = sandbox.spawnable("supd-mock");
    command
        .args(["replay", "-e", "-", "--", "sh", "listener.sh"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.stderr(std::fs::File::create(sandbox.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut running = Running(child);
    let tick =
        r#"{"ver":"3.0","server":"s","serial":1,"pool":"p","poolserial":0,"eventname":"TICK_5","when":5}"#;
    writeln!(stdin, "{tick}").unwrap();
    let result = BufReader::new(stdout).lines().next().unwrap().unwrap();
    assert!(result.contains("\"OK\""), "{result}");
    // No more events for now, and the listener ends: that is seen with the input still open.
    std::fs::write(sandbox.path("gate"), "go\n").unwrap();
    assert_eq!(running.status(), 1);
    assert!(sandbox.read("err").contains("ended with status 5 before all events were played"));
    drop(stdin);
}

#[test]
fn generate_and_emit_and_parse_agree() {
    let sandbox = Sandbox::new();
    for scenario in ["crash", "flap", "deploy", "fatal", "fleet"] {
        sandbox.sh(&format!("supd-mock generate -s {scenario} -n 200 --seed 3 >a; supd-mock generate -s {scenario} -n 200 --seed 3 >b; cmp a b")).assert().success();
        for len in ["chars", "bytes"] {
            let script = format!(
                "supd-mock emit --len {len} a | supd-parse --from raw | jq -c . >raw; jq -c 'del(.ts,.host,.boot)' a | cmp - raw"
            );
            sandbox.sh(&script).assert().success();
        }
    }
}

#[test]
fn what_cannot_be_played_is_said() {
    let sandbox = Sandbox::new();
    let replay = |file: &str| {
        let mut mock = sandbox.tool("supd-mock");
        mock.args(["replay", "-e", file, "--", "supd-listen", "-o", "out"]);
        mock
    };
    replay("missing")
        .assert()
        .code(1)
        .stderr("supd-mock: open 'missing': No such file or directory (os error 2)\n");
    sandbox.write("empty", "");
    replay("empty").assert().code(1).stderr("supd-mock: read 'empty': no event to play\n");
    sandbox.write("gap", "{\"eventname\":\"TICK_5\"}\n");
    replay("gap")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("read 'gap': TICK_5: the record has no 'ver'; skipped"));
    sandbox.tool("supd-mock").args(["replay"]).assert().code(2);
}

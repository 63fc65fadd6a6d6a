//! What supd-parse reads: large files with several cores, and spools.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use predicates::prelude::*;

use crate::harness::{Running, Sandbox, capture, state};

/// What is read at once.
const BLOCK: usize = 128 * 1024;

/// Lines of all lengths, records or not, until there are so many bytes; the last one may lack its newline.
fn any_lines(random: &mut fastrand::Rng, bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut serial = 0;
    while text.len() < bytes {
        serial += 1;
        let process = format!("p{}", random.u32(..20));
        // Up to, at and over the end of a block, or not near it.
        let left = BLOCK - text.len() % BLOCK;
        let length = match random.u32(..40) {
            0 => random.usize(..2 * BLOCK),
            1 => (left + random.usize(..4)).saturating_sub(150),
            2 => (left + BLOCK + random.usize(..4)).saturating_sub(150),
            _ => random.usize(..400),
        };
        let more = format!(r#","pid":{serial},"note":"{}""#, "x".repeat(length));
        let states = ["STARTING", "RUNNING", "EXITED", "FATAL", "BACKOFF"];
        match random.u32(..200) {
            0 => text.extend_from_slice(b"not a record\n"),
            1 => text.extend_from_slice(b"\n  \n"),
            2 => text.extend_from_slice(b"{\"seq\":7,\"eventname\":\"SUPD_MARK\"}\n"),
            3 => text.extend_from_slice(b"{ \"eventname\" : \"TICK_5\" }\n"),
            _ => text
                .extend_from_slice(state(serial, &process, random.choice(states).unwrap(), &more).as_bytes()),
        }
    }
    if random.bool() {
        text.pop();
    }
    text
}

#[test]
fn several_cores_say_what_one_says() {
    let sandbox = Sandbox::new();
    let mut random = fastrand::Rng::with_seed(20260105);
    let filters: [&[&str]; 10] = [
        &[],
        &["-e", "fatal,running", "-p", "p1*"],
        &["--problems", "--ticks"],
        &["-e", "exited", "--to", "json"],
        &["-e", "fatal", "--to", "text"],
        &["-e", "fatal", "--limit", "37"],
        &["-p", "p7", "--tail", "5"],
        &["--limit", "0"],
        &["-v", "--invert", "-e", "fatal,exited"],
        &["--strict", "-p", "p3"],
    ];
    for round in 0..3 {
        let bytes = 9 * BLOCK + random.usize(..3 * BLOCK);
        let text = any_lines(&mut random, bytes);
        // A mark and blanks at the beginning are no line's.
        let before = if round == 1 { &b"\xef\xbb\xbf\n\n"[..] } else { b"" };
        let file = sandbox.write("in", [before, &text].concat());
        for filter in filters {
            let run = |jobs: &str, stdin: bool| {
                let mut parse = sandbox.tool("supd-parse");
                parse.args(["-j", jobs]).args(filter);
                let parse = if stdin {
                    let script = format!("supd-parse -j {jobs} {} <in", filter.join(" "));
                    sandbox.sh(&script).assert()
                } else {
                    parse.arg("in").assert()
                };
                let output = parse.get_output().clone();
                let stderr = String::from_utf8(output.stderr).unwrap();
                (output.stdout, stderr.replace("'stdin'", "'in'"), output.status.code())
            };
            let one = run("1", false);
            for (jobs, stdin) in [("2", false), ("3", true)] {
                let several = run(jobs, stdin);
                let same = one == several;
                assert!(
                    same,
                    "round {round} {filter:?} -j{jobs} of {}: {} {}",
                    file.display(),
                    one.1,
                    several.1
                );
            }
        }
    }
}

#[test]
fn lines_that_are_no_records_keep_their_numbers_with_several_cores() {
    let sandbox = Sandbox::new();
    let line = state(1, "web", "FATAL", "");
    let lines = 12 * BLOCK / line.len();
    sandbox
        .write("in", [line.repeat(lines), "oops\n".to_owned(), line.repeat(10), "[1]".to_owned()].concat());
    sandbox.tool("supd-parse").args(["-j2", "in"]).assert().code(1).stdout(line.repeat(lines + 10)).stderr(format!(
        "supd-parse: read 'in' line {}: not a record: expected value at column 1; skipped\n\
         supd-parse: read 'in' line {}: not a record: invalid type: sequence, expected a record: an object with 'eventname' at column 0; skipped\n",
        lines + 1,
        lines + 12
    ));
}

#[test]
fn a_spool_is_one_stream_and_the_line_that_is_being_written_is_no_error() {
    let sandbox = Sandbox::new();
    let script = format!(
        "supd-mock -q replay --speed max -e '{}' -- supd-listen --spool spool -o all >/dev/null",
        capture("states.raw").display()
    );
    sandbox.sh(&script).assert().success();
    // As the writer would have left it with smaller segments, one of them begun.
    let first = sandbox.path("spool/00000000000000000001.ndjson");
    let text = fs::read_to_string(&first).unwrap();
    let cut = text.match_indices('\n').nth(49).unwrap().0 + 1;
    fs::write(&first, &text[..cut]).unwrap();
    sandbox.write("spool/00000000000000000051.ndjson", [&text[cut..], "{\"ts\":\"2026-"].concat());
    let parse = |words: &[&str]| sandbox.tool("supd-parse").args(words).assert();
    parse(&["spool"]).success().stdout(text.clone()).stderr("");
    // What is not the spool's newest must be whole.
    sandbox.write("spool/00000000000000001000.ndjson", "");
    parse(&["spool"]).code(1).stdout(text).stderr(predicate::str::contains("00051.ndjson' line 9"));
    let problems = parse(&["--problems", "--to", "text", "spool"]).code(1);
    problems.stdout(predicate::str::contains("exited unexpectedly"));
}

#[test]
fn a_directory_that_is_no_spool_is_named_with_the_cure() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("logs")).unwrap();
    sandbox.write("logs/a.ndjson", state(1, "web", "FATAL", ""));
    for words in [&["logs"][..], &["--follow", "logs"]] {
        sandbox.tool("supd-parse").args(words).assert().code(1).stderr(
            "supd-parse: read directory 'logs': it is no spool, there are neither segments nor cursors in it; \
             name the files that are meant, such as 'logs'/*.ndjson\n",
        );
    }
}

#[test]
fn memory_does_not_grow_with_the_input() {
    let sandbox = Sandbox::new();
    sandbox.sh("supd-mock -q generate -n 10000 >in").assert().success();
    for (jobs, files) in [("1", 1), ("1", 8), ("2", 8)] {
        let mut command = sandbox.spawnable("supd-parse");
        command.args(["-j", jobs, "-e", "fatal"]).args(vec!["in"; files]).arg("-");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut running = Running(child);
        let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
        // When this comes out, everything before it has been read.
        let last = state(1, "last", "FATAL", "");
        stdin.write_all(last.as_bytes()).unwrap();
        assert!(lines.any(|line| line == last.trim_end()));
        let status = fs::read_to_string(format!("/proc/{}/status", running.0.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        // Pages of the program itself count, and here it was not made small.
        assert!(peak < 16_000, "{peak} kB with {jobs} cores and {files} files");
        drop(stdin);
        assert_eq!(running.status(), 0);
    }
}

#[test]
fn an_output_that_takes_nothing_is_said_once_and_ends_it() {
    let sandbox = Sandbox::new();
    let lines: String = (0..2_000).map(|serial| state(serial, "a", "FATAL", "")).collect();
    sandbox.write("one", &lines);
    sandbox.write("two", &lines);
    for follow in ["", "-f"] {
        let assert = sandbox.sh(&format!("supd-parse {follow} one two >/dev/full")).assert().code(1);
        assert.stderr("supd-parse: write standard output: No space left on device (os error 28)\n");
    }
}

#[test]
fn a_file_that_is_the_output_as_well_is_not_read() {
    let sandbox = Sandbox::new();
    let line = state(1, "a", "FATAL", "");
    sandbox.write("log", &line);
    let assert = sandbox.sh("supd-parse log >>log").assert().code(1);
    assert.stderr("supd-parse: read 'log': it is the output as well, and would never end; skipped\n");
    assert_eq!(sandbox.read("log"), line);
}

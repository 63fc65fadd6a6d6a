//! supd-parse --follow: files through rotation, and spools while they are written.

use std::fs::{self, File};
use std::io::Write as _;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, state, until};

/// supd-parse with its output in `out` and its messages in `err`.
fn follow(sandbox: &Sandbox, words: &[&str]) -> Running {
    let mut command = sandbox.spawnable("supd-parse");
    command.arg("--follow").args(words).env_remove("TZ");
    command.stdout(File::create(sandbox.path("out")).unwrap());
    command.stderr(File::create(sandbox.path("err")).unwrap());
    Running(command.spawn().unwrap())
}

/// The serials that came out.
fn serials(sandbox: &Sandbox) -> Vec<u64> {
    let out = sandbox.read("out");
    // The last line may be on its way.
    let lines = out.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let serial = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["serial"].as_u64();
    lines.filter_map(serial).collect()
}

/// Waits until these have come out, in this order and nothing else.
fn comes(sandbox: &Sandbox, expected: impl IntoIterator<Item = u64>) {
    let expected: Vec<u64> = expected.into_iter().collect();
    until(&format!("{} records come out", expected.len()), || serials(sandbox).len() >= expected.len());
    assert_eq!(serials(sandbox), expected, "{}", sandbox.read("err"));
}

fn append(sandbox: &Sandbox, name: &str) -> File {
    File::options().append(true).create(true).open(sandbox.path(name)).unwrap()
}

fn write(file: &mut File, serials: impl IntoIterator<Item = u64>) {
    for serial in serials {
        file.write_all(state(serial, "web", "FATAL", "").as_bytes()).unwrap();
    }
}

/// Nothing comes out at the end that was not expected, such as a record twice.
fn ends_well(sandbox: &Sandbox, mut running: Running) {
    let before = serials(sandbox);
    running.signal(Signal::TERM);
    assert_eq!(running.status(), 0);
    assert_eq!(serials(sandbox), before);
}

#[test]
fn what_is_there_comes_first_then_what_is_written_and_half_a_line_waits() {
    let sandbox = Sandbox::new();
    let mut file = append(&sandbox, "log");
    write(&mut file, 1..=3);
    let running = follow(&sandbox, &["log", "other"]);
    comes(&sandbox, 1..=3);
    let line = state(5, "web", "FATAL", "");
    let (first, rest) = line.split_at(40);
    file.write_all(first.as_bytes()).unwrap();
    // What stands behind it in another file tells that it has been looked at.
    write(&mut append(&sandbox, "other"), [4]);
    comes(&sandbox, 1..=4);
    file.write_all(rest.as_bytes()).unwrap();
    comes(&sandbox, 1..=5);
    write(&mut file, 6..=2000);
    comes(&sandbox, 1..=2000);
    file.write_all(b"{\"eventname\":").unwrap();
    ends_well(&sandbox, running);
    assert_eq!(serials(&sandbox).len(), 2000);
    assert_eq!(
        sandbox.read("err"),
        "supd-parse: follow 'other': No such file or directory (os error 2); waiting for it\n"
    );
}

#[test]
fn a_file_that_is_moved_is_read_to_its_end_and_its_successor_from_its_start() {
    let sandbox = Sandbox::new();
    let mut file = append(&sandbox, "log");
    let running = follow(&sandbox, &["log"]);
    // One that is moved away before it was ever looked at is not found.
    write(&mut file, [1]);
    comes(&sandbox, [1]);
    let mut next = 2;
    for round in 0..20 {
        // Written before, between and after what rotation does, by one who notices late.
        let mut some = |file: &mut File| {
            write(file, next..next + 50);
            next += 50;
        };
        some(&mut file);
        fs::rename(sandbox.path("log"), sandbox.path(&format!("log.{round}"))).unwrap();
        some(&mut file);
        let mut fresh = append(&sandbox, "log");
        some(&mut file);
        some(&mut fresh);
        file = fresh;
        // A file that has the name between two looks, and was moved away again, is never seen.
        comes(&sandbox, 1..next);
    }
    ends_well(&sandbox, running);
}

#[test]
fn a_file_that_is_deleted_is_waited_for() {
    let sandbox = Sandbox::new();
    let running = follow(&sandbox, &["dir/log"]);
    until("it says so", || sandbox.read("err").contains("waiting for it"));
    fs::create_dir(sandbox.path("dir")).unwrap();
    write(&mut append(&sandbox, "dir/log"), 1..=3);
    comes(&sandbox, 1..=3);
    fs::remove_file(sandbox.path("dir/log")).unwrap();
    write(&mut append(&sandbox, "dir/log"), 4..=6);
    comes(&sandbox, 1..=6);
    fs::remove_dir_all(sandbox.path("dir")).unwrap();
    fs::create_dir(sandbox.path("dir")).unwrap();
    write(&mut append(&sandbox, "dir/log"), 7..=9);
    comes(&sandbox, 1..=9);
    ends_well(&sandbox, running);
    let said = sandbox.read("err");
    assert_eq!(said.matches("follow 'dir/log': No such file or directory").count(), 1, "{said}");
}

#[test]
fn a_file_that_is_cut_is_read_from_its_start_and_that_is_said() {
    let sandbox = Sandbox::new();
    let mut file = append(&sandbox, "log");
    let running = follow(&sandbox, &["log"]);
    for round in 0..4 {
        // Shorter than before, and longer.
        let count = [10, 3, 9, 30][round];
        let from = 1 + [10, 3, 9, 30][..round].iter().sum::<u64>();
        file.set_len(0).unwrap();
        let text: String = (from..from + count)
            .map(|serial| {
                format!("{{\"serial\":{serial},\"eventname\":\"TICK_5\",\"note\":\"{}\"}}\n", "x".repeat(80))
            })
            .collect();
        file.write_all(text.as_bytes()).unwrap();
        comes(&sandbox, 1..from + count);
    }
    ends_well(&sandbox, running);
    assert_eq!(sandbox.read("err").matches("it was cut short; reading it from its start").count(), 3);
}

#[test]
fn the_last_that_are_there_can_be_asked_for_and_then_what_comes() {
    for (tail, first) in [("0", 101), ("3", 98)] {
        let sandbox = Sandbox::new();
        let mut file = append(&sandbox, "log");
        write(&mut file, 1..=100);
        let running = follow(&sandbox, &["-v", "--tail", tail, "log"]);
        until("it has read them", || sandbox.read("err").contains("waiting for more"));
        comes(&sandbox, first..101);
        write(&mut file, 101..=105);
        comes(&sandbox, first..=105);
        ends_well(&sandbox, running);
    }
}

#[test]
fn several_files_are_followed_at_once_and_so_many_records_end_it() {
    let sandbox = Sandbox::new();
    let mut running = follow(&sandbox, &["--limit", "4", "a", "b"]);
    let (mut a, mut b) = (append(&sandbox, "a"), append(&sandbox, "b"));
    write(&mut b, 1..=1);
    comes(&sandbox, 1..=1);
    write(&mut a, 2..=2);
    comes(&sandbox, 1..=2);
    write(&mut b, 3..=3);
    comes(&sandbox, 1..=3);
    write(&mut a, 4..=9);
    assert_eq!(running.status(), 0);
    comes(&sandbox, 1..=4);
}

#[test]
fn standard_input_is_read_to_its_end() {
    let sandbox = Sandbox::new();
    let line = state(1, "web", "FATAL", "");
    let follow = || sandbox.tool("supd-parse");
    follow().arg("-f").write_stdin(line.clone()).assert().success().stdout(line.clone());
    follow().args(["-f", "-"]).write_stdin(line.clone()).assert().success().stdout(line);
    follow()
        .args(["-f", "-", "log"])
        .assert()
        .code(2)
        .stderr("supd-parse: standard input '-' cannot be followed beside files\n");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let sandbox = Sandbox::new();
    write(&mut append(&sandbox, "log"), 1..=3);
    sandbox.sh("supd-parse -f log | head -n 2").assert().success().stderr("");
}

#[test]
fn logrotate_loses_nothing() {
    for (mode, moves) in [("create", true), ("nocreate", true), ("copytruncate", false)] {
        let sandbox = Sandbox::new();
        let log = sandbox.path("log");
        sandbox.write("rotate.conf", format!("{} {{\n  rotate 3\n  {mode}\n}}\n", log.display()));
        let mut file = append(&sandbox, "log");
        let running = follow(&sandbox, &["log"]);
        for round in 0..6 {
            write(&mut file, round * 100 + 1..=round * 100 + 60);
            // What comes while it copies is lost to logrotate itself.
            comes(&sandbox, 1..=round * 100 + 60);
            sandbox.sh("PATH=$PATH:/usr/sbin logrotate --force --state state rotate.conf").assert().success();
            // Its postrotate script would come only now.
            write(&mut file, round * 100 + 61..=round * 100 + 80);
            if moves {
                file = append(&sandbox, "log");
            }
            write(&mut file, round * 100 + 81..=round * 100 + 100);
            comes(&sandbox, 1..=round * 100 + 100);
        }
        ends_well(&sandbox, running);
    }
}

#[test]
fn a_spool_is_followed_from_one_segment_to_the_next() {
    let sandbox = Sandbox::new();
    let running = follow(&sandbox, &["spool"]);
    until("it waits", || sandbox.read("err").contains("waiting for it"));
    let replay = "supd-mock -q generate -n 4000 >all; supd-mock -q replay --speed max -e all -- \
                  supd-listen --spool spool --spool-sync none --spool-max 2MiB -o /dev/null >/dev/null; ls spool/*.ndjson | wc -l";
    let segments = sandbox.sh(replay).assert().success();
    let segments: u64 = String::from_utf8_lossy(&segments.get_output().stdout).trim().parse().unwrap();
    let there: Vec<String> = sandbox.read("all").lines().map(str::to_owned).collect();
    until("all have come", || sandbox.read("out").lines().count() >= there.len());
    let numbers: Vec<u64> =
        sandbox.records("out").iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=4000).collect::<Vec<u64>>(), "{}", sandbox.read("err"));
    assert!(segments > 2, "{segments}");
    ends_well(&sandbox, running);
}

#[test]
fn a_line_that_the_spools_writer_cuts_off_and_writes_anew_comes_once() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("spool")).unwrap();
    let mut segment = append(&sandbox, "spool/00000000000000000001.ndjson");
    write(&mut segment, 1..=2);
    let mut other = append(&sandbox, "other");
    let running = follow(&sandbox, &["spool", "other"]);
    comes(&sandbox, 1..=2);
    for serial in (3..17).step_by(2) {
        let end = segment.metadata().unwrap().len();
        let line = state(serial + 1, "web", "FATAL", "");
        segment.write_all(&line.as_bytes()[..line.len() / 2]).unwrap();
        // What stands behind it in another file tells that it has been looked at.
        write(&mut other, [serial]);
        comes(&sandbox, 1..=serial);
        segment.set_len(end).unwrap();
        write(&mut segment, [serial + 1]);
        comes(&sandbox, 1..=serial + 1);
    }
    ends_well(&sandbox, running);
}

fn long(serial: u64) -> String {
    state(serial, "web", "FATAL", &format!(r#","data":"{}""#, "x".repeat(300_000)))
}

#[test]
fn a_line_longer_than_is_read_at_once_comes_and_so_do_those_behind_it() {
    for (path, name) in [("log", "log"), ("spool", "spool/00000000000000000001.ndjson")] {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("spool")).unwrap();
        let mut file = append(&sandbox, name);
        write(&mut file, [1]);
        let running = follow(&sandbox, &[path]);
        comes(&sandbox, [1]);
        file.write_all(long(2).as_bytes()).unwrap();
        write(&mut file, [3]);
        comes(&sandbox, 1..=3);
        ends_well(&sandbox, running);
    }
}

#[test]
fn the_last_line_of_a_moved_file_is_whole_at_the_end_though_it_has_no_newline() {
    let sandbox = Sandbox::new();
    let mut file = append(&sandbox, "log");
    write(&mut file, [1]);
    let mut running = follow(&sandbox, &["log"]);
    comes(&sandbox, [1]);
    file.write_all(long(2).trim_end().as_bytes()).unwrap();
    fs::rename(sandbox.path("log"), sandbox.path("log.1")).unwrap();
    write(&mut append(&sandbox, "log"), [3]);
    comes(&sandbox, [1, 3]);
    running.signal(Signal::TERM);
    assert_eq!((running.status(), serials(&sandbox)), (0, vec![1, 3, 2]));
}

#[test]
fn a_line_that_is_cut_off_where_a_read_was_full_is_no_cut_file() {
    let sandbox = Sandbox::new();
    let (mut file, mut other) = (append(&sandbox, "log"), append(&sandbox, "other"));
    write(&mut file, [1]);
    let end = file.metadata().unwrap().len();
    // All that is read at once, and nothing behind it.
    let begun = usize::try_from(128 * 1024 - end).unwrap();
    file.write_all(&long(9).as_bytes()[..begun]).unwrap();
    let running = follow(&sandbox, &["log", "other"]);
    comes(&sandbox, [1]);
    write(&mut other, [2]);
    comes(&sandbox, 1..=2);
    file.set_len(end).unwrap();
    write(&mut file, [3]);
    comes(&sandbox, 1..=3);
    ends_well(&sandbox, running);
}

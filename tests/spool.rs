//! supd-listen with a spool: what is acknowledged is on disk, and stays until somebody has dealt with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use predicates::prelude::*;
use rustix::fs::Mode;
use serde_json::Value;

use crate::harness::{Listener, OK_READY, Sandbox, big_log, capture, eventually, tick, until};

/// Whose input is not read until the gate is opened.
const GATED: &str = "read go <gate; exec cat >>out";

fn gate(sandbox: &Sandbox) {
    rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.path("gate"), Mode::RUSR | Mode::WUSR).unwrap();
}

fn open_gate(sandbox: &Sandbox) {
    fs::write(sandbox.path("gate"), "go\n").unwrap();
}

/// Starts supd-listen in the test's own place, ready for an event.
fn start(sandbox: &Sandbox, words: &[&str]) -> Listener {
    let mut listener = Listener::start(sandbox, &[&["supd-listen", "--spool", "spool"], words].concat());
    listener.expect("READY\n");
    listener
}

/// Sends these ticks; each is accepted.
fn ticks(listener: &mut Listener, serials: impl IntoIterator<Item = u32>) {
    for serial in serials {
        listener.send(&tick(serial));
        listener.expect(OK_READY);
    }
}

/// Ends it as supervisord's death would.
fn end(mut listener: Listener) {
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 0);
}

fn numbers(sandbox: &Sandbox, file: &str, key: &str) -> Vec<u64> {
    sandbox.records(file).iter().filter_map(|record| record[key].as_u64()).collect()
}

/// The serials of the records in the spool.
fn spooled(sandbox: &Sandbox) -> Vec<u64> {
    segments(&sandbox.path("spool")).iter().flat_map(|name| numbers(sandbox, name, "serial")).collect()
}

fn segments(spool: &Path) -> Vec<String> {
    let names = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".ndjson")).map(|name| format!("spool/{name}")).collect();
    names.sort();
    names
}

#[test]
fn an_event_is_on_disk_before_it_is_acknowledged() {
    let sandbox = Sandbox::new();
    let replay = |sync: &str| {
        sandbox
            .sh(&format!(
                "rm -rf spool; supd-mock -q replay --events '{}' -- strace -o trace -e trace=write,fsync,fdatasync \
                 supd-listen --spool spool --spool-sync {sync} -o /dev/null >/dev/null",
                capture("states.raw").display()
            ))
            .assert()
            .success();
        sandbox.read("trace")
    };
    let trace = replay("event");
    let (mut synced, mut acknowledged) = (false, 0);
    for line in trace.lines() {
        if line.starts_with("fdatasync(") {
            synced = true;
        } else if line.contains("\\\"seq\\\"") && line.contains("eventname") {
            synced = line.contains("SUPD_MARK") && synced;
        } else if line.contains("RESULT 2") {
            assert!(synced, "{trace}");
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, spooled(&sandbox).len());
    // The spool and its first segment are entries in directories.
    assert!(trace.matches("fsync(").count() >= 3, "{trace}");
    assert!(!replay("none").contains("RESULT 2\\nOKREADY\\n\", 17) = 17\nfdatasync"));
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("spool"), mode("spool/cursors")), (0o700, 0o700));
    assert_eq!((mode(&segments(&sandbox.path("spool"))[0]), mode("spool/lock")), (0o600, 0o600));
}

#[test]
fn a_pipeline_that_hangs_costs_supervisord_nothing() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut listener = start(&sandbox, &["-c", GATED]);
    // Far more than a pipe holds, and one record that does not fit into one.
    ticks(&mut listener, 1..2000);
    listener.send(&big_log());
    listener.expect(OK_READY);
    assert!(sandbox.records("out").is_empty());
    open_gate(&sandbox);
    end(listener);
    let records = sandbox.records("out");
    let (marks, records): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["eventname"] == "SUPD_MARK");
    assert_eq!(numbers(&sandbox, "out", "seq").len(), records.len() + marks.len());
    let serials: Vec<u64> = records.iter().map(|record| record["serial"].as_u64().unwrap()).collect();
    assert_eq!(serials, (1..2000).chain([1]).collect::<Vec<u64>>());
    assert_eq!(records[1999]["data"].as_str().unwrap().len(), 200_000);
    // One after every thousand, and the last.
    assert!(marks.len() >= 2 && marks.last().unwrap()["seq"] == 2000, "{marks:?}");
}

#[test]
fn a_pipeline_that_hangs_at_the_end_gets_no_half_line() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut listener = start(&sandbox, &["--drain-timeout", "60s", "-c", GATED]);
    ticks(&mut listener, 1..2000);
    drop(listener.stdin.take());
    until("a successor may write", || {
        let lock = fs::File::open(sandbox.path("spool/lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
    });
    open_gate(&sandbox);
    assert_eq!(listener.running.status(), 0);
    // Each of them can be read; the others are in the spool.
    let serials = numbers(&sandbox, "out", "serial");
    let last = *serials.last().unwrap();
    assert!(last < 1999 && serials.into_iter().eq(1..=last));
}

#[test]
fn what_was_not_confirmed_is_handed_on_again_and_what_was_is_not() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["-c", "cat >>one"]);
    ticks(&mut listener, 1..=5);
    end(listener);
    fs::write(sandbox.path("spool/cursors/a"), "4\n").unwrap();
    fs::write(sandbox.path("spool/cursors/b"), "2\n").unwrap();
    let mut listener = start(&sandbox, &["-c", "cat >>two"]);
    ticks(&mut listener, 6..=6);
    end(listener);
    assert_eq!(numbers(&sandbox, "one", "serial"), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&sandbox, "two", "serial"), [3, 4, 5, 6]);
    assert!(sandbox.read("stderr").contains("handing on 3 records that 'b' has not confirmed yet"));
    let listener = start(&sandbox, &["--confirm-on-write", "-c", "cat >/dev/null"]);
    end(listener);
    assert_eq!(sandbox.read("spool/cursors/supd-listen"), "6\n");
    // Nobody confirms what stands in a file, and nobody wants marks there.
    fs::remove_file(sandbox.path("spool/cursors/a")).unwrap();
    fs::remove_file(sandbox.path("spool/cursors/b")).unwrap();
    let mut listener = start(&sandbox, &["-o", "three"]);
    ticks(&mut listener, 7..=7);
    end(listener);
    assert_eq!(
        (sandbox.records("three").len(), sandbox.read("spool/cursors/supd-listen").as_str()),
        (1, "7\n")
    );
}

#[test]
fn what_a_pipeline_left_unread_is_not_confirmed() {
    let sandbox = Sandbox::new();
    let words = ["--confirm-on-write", "-c"];
    let comes_again = |serial| {
        let mut listener = start(&sandbox, &[&words[..], &["read -r first; kill -9 $$"]].concat());
        listener.send(&tick(serial));
        assert_eq!(listener.running.status(), 128 + 9);
        end(start(&sandbox, &[&words[..], &["cat >>out"]].concat()));
        numbers(&sandbox, "out", "serial").contains(&serial.into())
    };
    // A pipeline that has had a record for a second has taken it; on a machine that stalls, so long.
    assert!((1..10).any(comes_again));
}

#[test]
fn what_is_confirmed_in_a_file_is_on_disk_there() {
    let sandbox = Sandbox::new();
    let replay = |sync: &str| {
        let script = format!(
            "supd-mock -q replay --events '{}' -- strace -y -o trace -e trace=/write,fdatasync,/rename \
             supd-listen --spool spool --spool-sync {sync} -o out >/dev/null",
            capture("states.raw").display()
        );
        sandbox.sh(&script).assert().success();
        let trace = sandbox.read("trace");
        let at = |what: &str| trace.rfind(what);
        let (written, synced, confirmed) = (at("/out>, \"{"), at("/out>)"), at("cursors/supd-listen\""));
        assert!(written.is_some() && written < confirmed, "{trace}");
        synced.map(|synced| (written..confirmed).contains(&Some(synced)))
    };
    assert_eq!(replay("event"), Some(true));
    assert_eq!(replay("none"), None);
}

#[test]
fn the_pipeline_learns_of_the_spool_and_new_consumers_miss_nothing() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut listener = start(&sandbox, &["-c", "cat >>before"]);
    ticks(&mut listener, 1..=5);
    end(listener);
    // The second one begins when the first has got everything already.
    let pipeline = "mkfifo more; (read go <gate; exec supd-notify --consumer b file b <more) & \
                    tee more | supd-notify --consumer a file a; wait";
    let mut listener = start(&sandbox, &["--drain-timeout", "60s", "-c", pipeline]);
    ticks(&mut listener, 6..=6);
    // tee waits for a reader of `more`, so that the first one gets everything only then; who is further is set by hand.
    fs::write(sandbox.path("spool/cursors/c"), "6\n").unwrap();
    open_gate(&sandbox);
    until("both have got everything", || {
        ["a", "b"].iter().all(|file| numbers(&sandbox, file, "serial") == [1, 2, 3, 4, 5, 6])
    });
    end(listener);
    assert_eq!(sandbox.read("spool/cursors/b"), "6\n");
}

#[test]
fn a_cursor_of_an_earlier_time_that_nobody_moves_any_more_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["-o", "out"]);
    ticks(&mut listener, 1..=3);
    end(listener);
    assert!(sandbox.path("spool/cursors/supd-listen").exists());
    let mut listener = start(&sandbox, &["-c", "supd-notify file out"]);
    ticks(&mut listener, 4..=4);
    end(listener);
    assert_eq!(numbers(&sandbox, "out", "serial"), [1, 2, 3, 4], "a new consumer begins where the other was");
    end(start(&sandbox, &["-c", "supd-notify file out"]));
    assert!(!sandbox.path("spool/cursors/supd-listen").exists());
}

#[test]
fn after_a_second_of_quiet_a_mark_tells_how_far_things_are() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["-c", "cat >>out"]);
    ticks(&mut listener, 1..=3);
    until("the mark comes, with the input still open", || {
        sandbox.records("out").last().is_some_and(|last| last["eventname"] == "SUPD_MARK")
    });
    assert_eq!(
        sandbox.records("out").last().unwrap(),
        &serde_json::json!({"seq": 3, "eventname": "SUPD_MARK"})
    );
    end(listener);
    assert_eq!(
        sandbox.read("out").matches("SUPD_MARK").count(),
        1,
        "and no second one, when nothing has come"
    );
}

#[test]
fn a_listener_that_is_killed_loses_nothing_and_repeats_nothing() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["-c", "cat >>one"]);
    ticks(&mut listener, 1..=3);
    // In the spool, and perhaps not answered: supervisord sends it again.
    listener.send(&tick(4));
    until("the event is in the spool", || spooled(&sandbox).len() == 4);
    listener.running.0.kill().unwrap();
    listener.running.status();
    let mut listener = start(&sandbox, &["-c", "cat >>two"]);
    ticks(&mut listener, 4..=5);
    end(listener);
    assert_eq!(spooled(&sandbox), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&sandbox, "two", "serial"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_record_that_a_crash_tore_is_cut_off_and_said() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["-c", "cat >/dev/null"]);
    ticks(&mut listener, 1..=2);
    end(listener);
    let segment = segments(&sandbox.path("spool")).remove(0);
    sandbox.write(&segment, sandbox.read(&segment) + "{\"ts\":\"2026");
    let mut listener = start(&sandbox, &["-c", "cat >>out"]);
    ticks(&mut listener, 3..=3);
    end(listener);
    assert_eq!(numbers(&sandbox, "out", "serial"), [1, 2, 3]);
    assert!(sandbox.read("stderr").contains("its last record was not whole"), "{}", sandbox.read("stderr"));
}

#[test]
fn a_full_disk_holds_the_event_and_takes_it_when_there_is_room() {
    let sandbox = Sandbox::new();
    // So small that the second event does not fit.
    let script = "trap '' XFSZ; ulimit -S -f 1; exec supd-listen --spool spool --host h -o /dev/null";
    let mut listener = Listener::start(&sandbox, &["sh", "-c", script]);
    listener.expect("READY\n");
    let mut accepted = 0;
    let said =
        || sandbox.read("stderr").contains("not acknowledging events, and trying again until it works");
    loop {
        listener.send(&tick(accepted + 1));
        let known = eventually("it is in the spool, or it is said that it is not", || {
            let known = spooled(&sandbox).len();
            (known == accepted as usize + 1 || said()).then_some(known)
        });
        if known == accepted as usize {
            break;
        }
        listener.expect(OK_READY);
        accepted += 1;
    }
    assert!(accepted > 0);
    // Only whole records are there.
    assert_eq!(spooled(&sandbox), (1..=u64::from(accepted)).collect::<Vec<_>>());
    let pid = listener.running.0.id().to_string();
    sandbox.tool("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).assert().success();
    listener.expect(OK_READY);
    assert_eq!(spooled(&sandbox).len(), accepted as usize + 1);
    end(listener);
    let stderr = sandbox.read("stderr");
    assert_eq!(
        (stderr.matches("trying again").count(), stderr.matches("it works again").count()),
        (1, 1),
        "{stderr}"
    );
}

#[test]
fn a_spool_that_is_full_of_what_nobody_wants_lets_the_oldest_go_and_says_so() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut listener = start(&sandbox, &["--spool-max", "64KiB", "-c", GATED]);
    ticks(&mut listener, 1..=1000);
    let size: u64 = segments(&sandbox.path("spool"))
        .iter()
        .map(|name| fs::metadata(sandbox.path(name)).unwrap().len())
        .sum();
    assert!(size <= 64 * 1024, "{size}");
    let kept = spooled(&sandbox);
    assert_eq!(kept.last(), Some(&1000));
    open_gate(&sandbox);
    end(listener);
    let records = sandbox.records("out");
    let gaps: Vec<&Value> = records.iter().filter(|record| record["reason"] == "spool-max").collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["eventname"] == "SUPD_GAP" && gap["pool"] == "p"));
    // Some had been handed on before they went; all others are in a gap.
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    let is_told = |seq: u64| {
        gaps.iter().any(|gap| (gap["first_seq"].as_u64()..=gap["last_seq"].as_u64()).contains(&Some(seq)))
    };
    let last = *seqs.last().unwrap();
    let lost: Vec<u64> = (1..last).filter(|seq| !seqs.contains(seq) && !is_told(*seq)).collect();
    assert_eq!(lost, Vec::<u64>::new());
    assert!(gaps.iter().all(|gap| gap["missing"].as_u64().unwrap()
        == gap["last_seq"].as_u64().unwrap() - gap["first_seq"].as_u64().unwrap() + 1));
}

#[test]
fn a_record_that_is_larger_than_the_spool_may_be_drives_out_all_others_and_is_kept() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut listener = start(&sandbox, &["--spool-max", "2KiB", "-c", GATED]);
    ticks(&mut listener, 2..=4);
    listener.send(&big_log());
    listener.expect(OK_READY);
    ticks(&mut listener, 5..=5);
    open_gate(&sandbox);
    end(listener);
    assert_eq!(numbers(&sandbox, "out", "serial"), [2, 3, 4, 1, 5]);
    let gaps = sandbox.read("out").matches("spool-max").count();
    assert!((1..=3).contains(&gaps), "{gaps}");
}

#[test]
fn a_second_writer_is_refused_and_told_who_is_the_first() {
    let sandbox = Sandbox::new();
    let mut first = start(&sandbox, &["-c", "cat >/dev/null"]);
    ticks(&mut first, 1..=1);
    let mut second = sandbox.tool("supd-listen");
    second.args(["--spool", "spool", "-o", "out"]).write_stdin("");
    let pid = first.running.0.id();
    second
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::contains(format!("process {pid} does so already")));
    end(first);
}

#[test]
fn a_successor_may_write_while_the_old_pipeline_drains() {
    let sandbox = Sandbox::new();
    gate(&sandbox);
    let mut old = start(&sandbox, &["--drain-timeout", "60s", "-c", "cat >>old; read go <gate"]);
    ticks(&mut old, 1..=2);
    drop(old.stdin.take());
    until("the old pipeline has got everything", || numbers(&sandbox, "old", "serial") == [1, 2]);
    let mut new = start(&sandbox, &["-c", "cat >>new"]);
    ticks(&mut new, 3..=3);
    assert!(old.running.0.try_wait().unwrap().is_none(), "the old one still drains");
    end(new);
    open_gate(&sandbox);
    assert_eq!(old.running.status(), 0);
}

#[test]
fn the_cure_is_named_when_the_spool_cannot_be_made() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.tool("supd-listen");
    listen.args(["--spool", "missing/spool", "-o", "out"]).write_stdin("");
    let cure = "create spool 'missing/spool': there is no 'missing'; make it with mkdir -p";
    listen.assert().code(2).stderr(predicate::str::contains(cure));
    sandbox.write("file", "");
    let mut listen = sandbox.tool("supd-listen");
    listen.env("SUPD_SPOOL", "file").args(["-o", "out"]).write_stdin("");
    listen.assert().code(1).stderr(predicate::str::starts_with("supd-listen: create spool 'file'"));
    // An empty variable is no spool.
    let mut listen = sandbox.tool("supd-listen");
    listen.env("SUPD_SPOOL", "").args(["-o", "out"]).write_stdin(tick(1)).assert().success();
}

#[test]
fn a_hole_in_poolserial_is_declared_also_when_the_listener_was_restarted_in_between() {
    let sandbox = Sandbox::new();
    let mut listener = start(&sandbox, &["--gaps", "on", "-c", "cat >>out"]);
    ticks(&mut listener, [3, 4, 7]);
    end(listener);
    let mut listener = start(&sandbox, &["--gaps", "on", "-c", "cat >>out"]);
    ticks(&mut listener, [6, 12]);
    let gaps = || -> Vec<Value> {
        sandbox.records("out").into_iter().filter(|record| record["eventname"] == "SUPD_GAP").collect()
    };
    until("both are declared", || gaps().len() == 2);
    end(listener);
    let told = |gap: &Value| [&gap["missing"], &gap["after"], &gap["before"]].map(|n| n.as_u64().unwrap());
    assert_eq!(gaps().iter().map(told).collect::<Vec<_>>(), [[1, 4, 6], [4, 7, 12]]);
    assert_eq!((&gaps()[0]["pool"], &gaps()[0]["server"]), (&"p".into(), &"s".into()));
    assert!(gaps()[0]["boot"].is_string() && gaps()[0]["ts"].is_string());
    // What has been declared is not declared again.
    let listener = start(&sandbox, &["--gaps", "on", "-c", "cat >>again"]);
    end(listener);
    assert_eq!(sandbox.read("again").matches("SUPD_GAP").count(), 2);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-v", "-o", "out"]);
    listener.expect("READY\n");
    ticks(&mut listener, 1..=2);
    fs::rename(sandbox.path("out"), sandbox.path("out.1")).unwrap();
    ticks(&mut listener, 3..=3);
    fs::rename(sandbox.path("out"), sandbox.path("out.2")).unwrap();
    listener.running.signal(rustix::process::Signal::HUP);
    until("it is opened anew, before the next event", || sandbox.path("out").exists());
    ticks(&mut listener, 4..=4);
    end(listener);
    let serials = ["out.1", "out.2", "out"].map(|file| numbers(&sandbox, file, "serial"));
    assert_eq!(serials, [vec![1, 2], vec![3], vec![4]]);
}

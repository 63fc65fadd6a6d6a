//! The books of supd-notify: whatever a receiver answers, whatever is asked for, and whenever it is killed, each record
//! is told of once, by itself or counted in a message about several, or is a dead letter.
//!
//! The test is supd-listen: at each start it sends everything after the smallest cursor again, and then what is new. The
//! number of a record is its time too, so a message about several says which: those of a process and a kind, from the
//! first to the last. After each end the files that the program left are held against what was told:
//!
//! - What they say has been dealt with was told of, or is a dead letter. Else it is lost.
//! - After an end that was no crash they say so of everything that was told of. What they say so of never comes again.
//! - Of each process things are told in their order.

mod books;
mod moody;
mod story;

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Running, Sandbox, processes_with, test_seconds, until};
use books::Books;
use moody::Moody;
use story::Story;

const TARGETS: [&str; 4] = ["each", "grouped", "program", "kept"];

/// The cursor and the state of a target: what they say has been dealt with.
struct Left {
    cursor: u64,
    highest: u64,
    waiting: Vec<u64>,
}

impl Left {
    fn read(sandbox: &Sandbox, target: &str) -> Self {
        let cursor = sandbox.read(&format!("spool/cursors/notify.{target}")).trim().parse().unwrap_or(0);
        let text = sandbox.read(&format!("spool/state/notify.{target}"));
        assert!(text.len() < 20_000, "the state is small: {text}");
        let state: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        let number = |key: &str| state[key].as_u64().unwrap_or(0);
        // Otherwise the cursor counts as moved back.
        let is_current = cursor >= number("cursor");
        let waiting = state["waiting"].as_array().cloned().unwrap_or_default();
        Self {
            cursor,
            highest: if is_current { number("highest") } else { 0 },
            waiting: waiting.iter().filter_map(Value::as_u64).collect(),
        }
    }

    fn was_dealt_with(&self, seq: u64) -> bool {
        seq <= self.cursor || (seq <= self.highest && !self.waiting.contains(&seq))
    }
}

/// What holds for a run, as a table of a configuration.
fn policy(rng: &mut Rng, is_last: bool) -> String {
    let mut options = vec!["retry_for = '1m'".to_owned(), "timeout = '4s'".to_owned()];
    let mut any = |key: &str, values: &[&str]| {
        let value = rng.choice(values.iter()).copied().unwrap_or_default();
        options.extend((!value.is_empty()).then(|| format!("{key} = {value}")));
    };
    any("group_interval", &["'30ms'", "'200ms'", "'1s'"]);
    any("group_interval_max", &["'200ms'", "'1s'"]);
    any("group_wait", &["", "'20ms'", "'300ms'"]);
    any("group_by", &["", "['process']", "['all']", "['host']"]);
    any("rate", &["", "'3/500ms'", "'20/1s'"]);
    any("resolve", &["'0s'", "'50ms'", "'500ms'"]);
    if !is_last {
        any("quiet", &["", "", "", "'00:00-23:59'"]);
    }
    options.join(", ")
}

fn configuration(rng: &mut Rng, moody: &Moody, is_last: bool) -> String {
    let mut config = "dead_letter = 'dead'\n".to_owned();
    for target in TARGETS {
        let channel = match target {
            "kept" => "file = { path = 'kept' }".to_owned(),
            // In one write, so that what a kill interrupts is whole.
            "program" => {
                let status = if is_last { "0" } else { "$((SUPD_SEQ % 41 ? 0 : 65))" };
                let script = format!(
                    "read -r line; test {status} = 0 || exit 65; test -e calm || test $(($$ % 13)) != 0 || exit 1; \
                     printf \"%s\\\\n\" \"$line\" >>program"
                );
                format!("exec = {{ program = ['sh', '-c', '{script}'] }}")
            }
            _ => format!("webhook = {{ url = '{}' }}", moody.url(target)),
        };
        let policy = if target == "each" {
            "retry_for = '1m', timeout = '4s'".to_owned()
        } else {
            policy(rng, is_last)
        };
        config += &format!("[targets.{target}]\n{channel}\npolicy = {{ {policy} }}\n");
    }
    config
}

#[test]
fn whatever_dies_and_whenever_the_books_of_every_target_balance() {
    let seed = std::env::var("SUPD_TEST_SEED").map_or_else(
        |_| fastrand::u64(..1_000_000),
        |text| text.parse().expect("SUPD_TEST_SEED is a number"),
    );
    let time = test_seconds(20);
    eprintln!("SUPD_TEST_SEED={seed} SUPD_TEST_SECONDS={}", time.as_secs());
    let mut rng = Rng::with_seed(seed);
    let sandbox = Sandbox::new();
    let moody = Moody::start(rng.u64(..));
    let mut story = Story::new(rng.u64(..));
    let mut books: Vec<Books> = TARGETS.iter().map(|target| Books::new(target)).collect();
    let (end, mut kills) = (Instant::now() + time, [0; 3]);
    loop {
        let is_last = Instant::now() >= end;
        if is_last {
            moody.calm();
            sandbox.write("calm", "");
        }
        sandbox.write("notify.toml", configuration(&mut rng, &moody, is_last));
        let way = rng.usize(..3);
        kills[way] += 1;
        run(&sandbox, &mut rng, &mut story, (!is_last).then_some(way));
        until("no program is left", || processes_with(&mark(&sandbox)).is_empty());
        moody.settle();
        for (books, target) in books.iter_mut().zip(TARGETS) {
            let told = match target {
                "kept" | "program" => sandbox.read(target),
                _ => moody.told(target),
            };
            let left = Left::read(&sandbox, target);
            let is_crash = !is_last && way == 0;
            let faults = books.close(&story, &told, &sandbox.read("dead"), &left, is_crash);
            assert!(
                faults.is_empty(),
                "SUPD_TEST_SEED={seed}, {target}: {faults:#?}; everything is in {}",
                sandbox.keep().display()
            );
        }
        if is_last {
            break;
        }
    }
    for (books, target) in books.iter().zip(TARGETS) {
        eprintln!("{target}: {books}");
        assert_eq!(Left::read(&sandbox, target).cursor, story.last(), "{target}");
        let open = books.open();
        assert!(
            open.is_empty(),
            "SUPD_TEST_SEED={seed}, {target}: untold {open:?} in {}",
            sandbox.keep().display()
        );
    }
    eprintln!("{} records; {kills:?} runs ended by KILL, TERM and the end of input", story.last());
}

/// What is in the environment of the program and of those that it starts.
fn mark(sandbox: &Sandbox) -> String {
    format!("SUPD_TEST_OF={}", sandbox.path("").display())
}

/// Runs the program, to an end in one of three ways, or until everything has been dealt with.
fn run(sandbox: &Sandbox, rng: &mut Rng, story: &mut Story, way: Option<usize>) {
    let mut command = sandbox.spawnable("supd-notify");
    let drain = if way.is_none() { "1m" } else { "500ms" };
    command.args(["--config", "notify.toml", "--spool", "spool", "--drain-timeout", drain]);
    command.env("SUPD_TEST_OF", sandbox.path("")).env("TZ", "UTC").stdin(Stdio::piped());
    let errors = File::options().append(true).create(true).open(sandbox.path("err")).unwrap();
    let mut running = Running(command.stderr(errors).spawn().unwrap());
    let mut stdin = running.0.stdin.take().unwrap();
    let cursor = TARGETS.iter().map(|target| Left::read(sandbox, target).cursor).min().unwrap_or(0);
    stdin.write_all(story.after(cursor).as_bytes()).unwrap();
    let end = Instant::now() + Duration::from_millis(rng.u64(20..2500));
    while Instant::now() < end {
        let more = story.go_on(rng.usize(..12));
        stdin.write_all(more.as_bytes()).unwrap();
        // Not to wait for anything: this is the pace.
        std::thread::sleep(Duration::from_millis(rng.u64(1..200)));
    }
    match way {
        Some(0) => running.signal(Signal::KILL),
        Some(1) => running.signal(Signal::TERM),
        Some(_) => {}
        None => {
            // All have recovered, which is to be told.
            stdin.write_all(story.happy_end().as_bytes()).unwrap();
            let all_confirmed =
                || TARGETS.iter().all(|target| Left::read(sandbox, target).cursor == story.last());
            until("everything has been dealt with", all_confirmed);
        }
    }
    // The other end goes first where it is the end of input.
    let stdin = (way == Some(1)).then_some(stdin);
    let status = running.status();
    drop(stdin);
    assert!(matches!((way, status), (Some(0), 137) | (_, 0 | 1)), "{way:?} {status}");
}

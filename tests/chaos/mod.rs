//! Chaos under real supervisord: programs crash and log, and any stage of any listener is killed at any time. What
//! supervisord did not drop itself arrives, in order.
//!
//! A recorder in a pool of its own, which nobody kills, knows what there was. All pools have the same `events=`, so each
//! event goes to all of them. At the end the books of each chain must balance:
//!
//! - Every event was delivered at least once, or supervisord's log says that it was discarded.
//! - The first deliveries are in strictly ascending order of the serials. supervisord itself allows no exception where
//!   a pool has one process: serials ascend as events are accepted, a buffer keeps that order, and one event at most
//!   is under way. When its listener dies, `finish` puts it back at the head before a successor is spawned, so it is
//!   the next to be sent; and what an overflow discards is taken from the head, which leaves the rest in order.
//! - Every record says what the recorder heard.
//! - Each poolserial that was dropped after the first delivery is declared missing by a SUPD_GAP, and no other is.
//!
//! How often an event came again is counted, and held against nobody.

mod account;
mod chain;
mod killer;
mod report;

use std::time::{Duration, Instant};

use account::declared;
use chain::{CHAINS, Chain, EVENTS};
use killer::Killer;
use report::Report;

use crate::harness::{Driver, Recorder, Sandbox, Sent, Supervisord, test_seconds};

/// How long to wait for what is still on its way, and for supd-listen to give a hole up (10 s).
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_FOR_GAPS: Duration = Duration::from_secs(20);

/// Three programs that print a line every 15 ms each, and four that crash twice a second each: with what the listeners'
/// own deaths add, some 250 events a second. supervisord closes `minfds` descriptors, one by one, in each child.
fn sections(recorder: &str) -> String {
    let mut sections = format!(
        "[supervisord]\nloglevel=info\nminfds=64\n\
         [program:talk]\ncommand=python3 talk.py\ndirectory=%(here)s\nprocess_name=café_%(process_num)d\nnumprocs=3\n\
         stdout_events_enabled=true\nstdout_logfile=NONE\nstartsecs=0\n\
         [program:crash]\ncommand=sh -c 'sleep 0.5; kill -9 $$'\nprocess_name=crash_%(process_num)d\nnumprocs=4\n\
         startsecs=0\nautorestart=true\n\
         [group:sources]\nprograms=talk,crash\n{recorder}"
    );
    for (number, chain) in CHAINS.iter().enumerate() {
        sections += &chain.section(number + 2);
    }
    sections
}

const TALK: &str = "\
import itertools, time
for n in itertools.count():
    print(n, 'é漢字😀', flush=True)
    time.sleep(0.015)
";

#[test]
fn whatever_is_killed_every_event_arrives_and_in_order() {
    let seed = std::env::var("SUPD_TEST_SEED").map_or_else(
        |_| fastrand::u64(..1_000_000),
        |text| text.parse().expect("SUPD_TEST_SEED is a number"),
    );
    let time = test_seconds(120);
    eprintln!("SUPD_TEST_SEED={seed} SUPD_TEST_SECONDS={}", time.as_secs());
    let sandbox = Sandbox::new();
    sandbox.write("talk.py", TALK);
    let (recorder, section) = Recorder::new(&sandbox, EVENTS);
    let environment = [("LC_ALL", "C.UTF-8"), ("PYTHONIOENCODING", "utf-8")];
    let supervisord = Supervisord::start(&sandbox, "4.3.0", &sections(&section), &environment);

    let kills = Killer::new(&supervisord, seed).rage(time);
    supervisord.ctl(&["stop", "sources:*"]);
    let stopped = Instant::now();
    let end = settle(supervisord.driver(), &sandbox, &recorder);
    let settled_after = stopped.elapsed();
    let sent = recorder.up_to_remote("end", &end);
    wait_for_gaps(&sandbox, &sent, &supervisord.log());
    let log = supervisord.log();
    supervisord.shut_down();

    let accounts = CHAINS.iter().map(|chain| (chain, chain.account(&sandbox, &sent, &log))).collect();
    let report = Report { accounts, kills, settled_after };
    eprintln!("\n{report}");
    assert!(!log.contains("UNKNOWN") && !log.contains("bad result"), "a listener broke the protocol");
    assert!(report.balances(), "the books do not balance; everything is in {}", sandbox.keep().display());
}

/// Sends a last event, and waits until it has arrived everywhere; one that a small buffer drops is sent again. Gives its
/// text.
fn settle(mut driver: Driver, sandbox: &Sandbox, recorder: &Recorder<'_>) -> String {
    let started = Instant::now();
    for attempt in 0.. {
        let end = attempt.to_string();
        driver.command(&format!("remote end {end}"));
        let line = format!("\"type\":\"end\",\"data\":\"{end}\"");
        let arrived = |chain: &Chain| chain.output(sandbox).contains(&line);
        let attempted = Instant::now();
        while attempted.elapsed() < Duration::from_secs(10) {
            if recorder.has_remote("end", &end) && CHAINS.iter().all(arrived) {
                return end;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let missing: Vec<&str> = CHAINS.iter().filter(|c| !arrived(c)).map(|chain| chain.name).collect();
        assert!(started.elapsed() < PATIENCE, "the last event did not arrive at {missing:?}");
    }
    unreachable!("there is always another attempt")
}

/// Waits until every hole has been declared, or long enough.
fn wait_for_gaps(sandbox: &Sandbox, sent: &[Sent], log: &str) {
    let started = Instant::now();
    for chain in &CHAINS {
        let holes = chain.account(sandbox, sent, log).holes;
        while !holes.is_subset(&declared(&chain.output(sandbox))) && started.elapsed() < PATIENCE_FOR_GAPS {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

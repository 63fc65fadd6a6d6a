//! How listeners start, stop, die, and come back.

use super::{compare, same, scenario, section, with_witness};
use crate::harness::Step::{Do, Open, Until};
use crate::harness::{Scenario, Step};

#[test]
fn a_listener_that_is_killed_while_busy_is_sent_the_event_again() {
    same(
        &with_witness("a", &["ready read wait=go die", "ready loop"], "autorestart=true\n"),
        &[
            Do("remote x 0"),
            Do("remote x 1"),
            Until("witness accepted", 2),
            Open("go"),
            Until("a accepted", 2),
        ],
        &["a ended unexpectedly", "a sent 0"],
    );
}

#[test]
fn the_processes_of_a_pool_are_stopped_from_the_last() {
    let pool = "numprocs=3\nprocess_name=%(program_name)s_%(process_num)d\n";
    // The witness is of a lower priority than the pool, and stopped after it: so it hears how that goes.
    // Each takes its time to stop, so that the witness hears of all before its own turn comes.
    let sections = section("a", &["deaf ready loop"], &format!("{pool}priority=50\nstopwaitsecs=3\n"))
        + &section(
            "witness",
            &["ready loop"],
            "priority=5\nbuffer_size=100\nevents=PROCESS_STATE_STOPPING\n",
        );
    let ready = ["a_0", "a_1", "a_2"].map(|name| format!("{name} ready").leak() as &str);
    let running = ["a_0", "a_1", "a_2"].map(|name| format!("{name} running").leak() as &str);
    let steps: Vec<Step> = ready.into_iter().chain(running).map(|what| Until(what, 1)).collect();
    same(&sections, &steps, &["witness gets SIGTERM"]);
}

#[test]
fn a_program_that_is_not_there_backs_off_and_is_given_up() {
    // supervisord's log tells little of it, its events all: the witness hears them.
    let missing = "[eventlistener:missing]\ncommand=no-such-program\nevents=PROCESS_GROUP\npriority=20\nstartsecs=0\nstartretries=1\n";
    let witness = "priority=5\nbuffer_size=100\nevents=PROCESS_STATE_BACKOFF,PROCESS_STATE_FATAL\n";
    let sections = section("witness", &["ready loop"], witness) + missing;
    let scenario =
        Scenario { unlogged: &["missing"], ..scenario(&sections, &[Until("witness accepted", 3)]) };
    compare(&scenario, &["missing fatal"]);
}

#[test]
fn a_directory_that_is_not_there_ends_the_listener_with_127() {
    let nowhere = "[eventlistener:nowhere]\ncommand=sleep 100\nevents=PROCESS_GROUP\npriority=21\nstartsecs=0\nautorestart=false\n\
                   directory=/no/such/directory\n";
    // It may be RUNNING or not before it is reaped: the witness hears what is sure.
    let witness = "priority=5\nbuffer_size=100\nevents=PROCESS_STATE_EXITED\n";
    let sections = section("witness", &["ready loop"], witness) + nowhere;
    let scenario =
        Scenario { unlogged: &["nowhere"], ..scenario(&sections, &[Until("witness accepted", 1)]) };
    compare(&scenario, &["nowhere ended unexpectedly"]);
}

#[test]
fn stop_and_start() {
    let sections = with_witness("a", &["ready loop"], "")
        + &section("deaf", &["deaf ready loop"], "priority=6\nstopwaitsecs=3\n");
    same(
        &sections,
        &[
            Until("a ready", 1),
            Until("a running", 1),
            Until("deaf ready", 1),
            Until("deaf running", 1),
            Do("stop a"),
            Until("a stopped", 1),
            Do("stop deaf"),
            Until("deaf stopped", 1),
            Do("remote x 0"),
            Until("witness accepted", 1),
            Do("start a"),
            Until("a accepted", 1),
            Do("start deaf"),
            Until("deaf accepted", 1),
        ],
        &["deaf gets SIGKILL", "a gets SIGTERM"],
    );
}

#[test]
fn what_ends_is_started_again_as_autorestart_says() {
    let mut sections = section("witness", &["ready loop"], "priority=5\nbuffer_size=100\n");
    let scripts = |first: &'static str| [first, "ready loop"];
    for (number, (name, first, autorestart)) in [
        ("never", "ready read ok exit=3", "false"),
        ("expected", "ready read ok exit=0", "unexpected"),
        ("unexpected", "ready read ok exit=3", "unexpected"),
        ("always", "ready read ok exit=0", "true"),
    ]
    .into_iter()
    .enumerate()
    {
        let more = format!("priority={}\nautorestart={autorestart}\n", 10 + number);
        sections += &section(name, &scripts(first), &more);
    }
    sections += "[eventlistener:hopeless]\ncommand=false\nevents=PROCESS_GROUP\npriority=20\nstartsecs=2\nstartretries=1\n";
    sections += &section("slow", &["ready loop"], "priority=21\nstartsecs=2\n");
    same(
        &sections,
        &[
            Do("remote x 0"),
            Until("never ended unexpectedly", 1),
            Until("expected ended expectedly", 1),
            Until("unexpected starting", 2),
            Until("always starting", 2),
            Do("remote x 1"),
            Until("unexpected accepted", 2),
            Until("always accepted", 2),
            Until("hopeless fatal", 1),
            Until("slow accepted", 2),
            Until("witness accepted", 2),
        ],
        &["always ended expectedly"],
    );
}

//! The proof that supd-mock is supervisord's twin: the same scenario under both, and what the listeners read, byte for
//! byte, and what became of them and of each event, compared.

use std::collections::BTreeMap;

use crate::harness::Step::{Do, Logged, Open, Until};
use crate::harness::{Scenario, Step, VERSIONS};

/// A section that hears remote communication and is RUNNING as soon as it has started, unless it says otherwise.
fn section(name: &str, scripts: &[&str], more: &str) -> String {
    let scripts: String = scripts.iter().map(|script| format!(" '{script}'")).collect();
    let events = if more.contains("events=") { "" } else { "events=REMOTE_COMMUNICATION\n" };
    let startsecs = if more.contains("startsecs=") { "" } else { "startsecs=0\n" };
    format!(
        "[eventlistener:{name}]\ncommand=python3 listener.py{scripts}\ndirectory=%(here)s\n{events}{startsecs}{more}\n"
    )
}

/// Beside the listener stands a witness: what it has accepted has come and gone for the other too.
fn with_witness(name: &str, scripts: &[&str], more: &str) -> String {
    section(name, scripts, more) + &section("witness", &["ready loop"], "priority=5\nbuffer_size=100\n")
}

/// A scenario that begins when the witness is ready.
fn scenario(sections: &str, steps: &[Step]) -> Scenario {
    let started = [Until("witness ready", 1), Until("witness running", 1)];
    Scenario {
        sections: sections.to_owned(),
        steps: started.into_iter().chain(steps.iter().copied()).collect(),
        with_shutdown: true,
        unlogged: &[],
    }
}

/// Plays it under each supervisord and under supd-mock; they must agree, and have come as far as this.
fn same(sections: &str, steps: &[Step], reached: &[&str]) {
    compare(&scenario(sections, steps), reached);
}

fn compare(scenario: &Scenario, reached: &[&str]) {
    std::thread::scope(|scope| {
        let real =
            VERSIONS.map(|version| (version, scope.spawn(move || scenario.under_supervisord(version))));
        let mock = scenario.under_supd_mock();
        for told in reached {
            let (process, what) = told.split_once(' ').unwrap();
            let mut of_it = mock.told.iter().filter(|(name, _)| name.starts_with(process));
            assert!(of_it.any(|(_, told)| told.iter().any(|told| told == what)), "{told}: {mock:#?}");
        }
        for (version, real) in real {
            let mut real = real.join().unwrap();
            let mut mock = mock.clone();
            for told in [&mut real.told, &mut mock.told] {
                told.retain(|name, _| !scenario.unlogged.iter().any(|unlogged| name.starts_with(unlogged)));
            }
            agree(&mock.told, &real.told, version);
            agree(&mock.read, &real.read, version);
        }
    });
}

/// Says which of many differs.
fn agree<T: PartialEq + std::fmt::Debug>(
    mock: &BTreeMap<String, T>,
    real: &BTreeMap<String, T>,
    version: &str,
) {
    for name in mock.keys().chain(real.keys()) {
        assert_eq!(mock.get(name), real.get(name), "{name}: supd-mock, then supervisord {version}");
    }
}

#[test]
fn delivery() {
    same(
        &with_witness("a", &["ready loop"], ""),
        &[
            Do("remote greeting hello"),
            Do("remote unicode 'é漢字😀 and more'"),
            Do("remote empty ''"),
            Until("witness accepted", 3),
            Until("a accepted", 3),
        ],
        &["a sent 0", "a sent 2"],
    );
}

#[test]
fn a_rejected_event_comes_again_before_the_next() {
    same(
        &with_witness("a", &["ready read wait=go fail ready read say=RESULT\\_2\\nNO ready loop"], ""),
        &[
            Do("remote x first"),
            Do("remote x second"),
            Until("witness accepted", 2),
            Open("go"),
            Until("a accepted", 2),
        ],
        &["a rejected", "a sent 1"],
    );
}

#[test]
fn a_full_buffer_drops_the_oldest() {
    same(
        &with_witness("a", &["ready read wait=go fail ready loop"], "buffer_size=2\n"),
        &[
            Do("remote x 0"),
            Logged("a", "event", 1),
            Do("remote x 1"),
            Do("remote x 2"),
            Do("remote x 3"),
            Do("remote x 4"),
            Until("witness accepted", 5),
            Open("go"),
            Until("a accepted", 2),
        ],
        &["a dropped 1", "a dropped 2", "a dropped 3"],
    );
}

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
fn every_reply_means_the_same() {
    // What each writes, and what must be said of it under both.
    let replies = [
        ("banner", r"say=hello\n", "unknown"),
        ("crlf", r"say=READY\r\n", "unknown"),
        ("newline", r"say=\n ready", "unknown"),
        ("unfinished", "say=READ", "starting"),
        ("twice", "ready ready", "unknown"),
        ("twicelater", "ready wait=early ready", "unknown"),
        ("spurious", "ready wait=early say=x", "unknown"),
        ("wordlength", r"ready read say=RESULT\_x\n", "unknown"),
        ("nolength", r"ready read say=RESULT\n", "unknown"),
        ("chatter", r"ready read say=chatter\n", "unknown"),
        ("blanks", r"ready read say=RESULT\_\_2\_\nOKREADY\n", "accepted"),
        ("anyword", r"ready read say=XXXXXX\_2\nOKREADY\n", "accepted"),
        ("trailing", r"ready read say=RESULT\_2\nOK\n", "accepted"),
        ("trailingready", r"ready read say=RESULT\_2\nOK\nREADY\n", "unknown"),
        ("twoinone", r"ready read say=RESULT\_2\nOKREADY\n", "accepted"),
        ("negative", r"ready read say=RESULT\_-1\nOK", "sent 0"),
        ("toolong", r"ready read say=RESULT\_9\nOK", "sent 0"),
        ("tooshort", r"ready read say=RESULT\_1\nOKREADY\n", "unknown"),
        ("huge", r"ready read say=RESULT\_99999999999999999999999\nOK", "sent 0"),
        ("underscore", r"ready read say=RESULT\_0_2\nOKREADY\n", "accepted"),
        ("zero", r"ready read say=RESULT\_0\n", "sent 0"),
        ("zeroandmore", r"ready read say=RESULT\_0\nR wait=late say=EADY\n loop", "rejected"),
        ("body", r"ready read say=RESULT\_5\nlaterREADY\n loop", "rejected"),
        ("stdout", "ready read close=1 hang", "sent 0"),
        ("stdin", "ready close=0 wait=never", "ready"),
    ];
    let mut sections = section("witness", &["ready loop"], "priority=5\nbuffer_size=100\n");
    // With priorities of their own, so that nothing leaks from one to the other.
    for (number, (name, script, _)) in replies.iter().enumerate() {
        sections += &section(name, &[script], &format!("priority={}\n", 10 + number));
    }
    let started = replies.iter().map(|&(name, ..)| Logged(name, "start", 1));
    let ready = [
        Until("twicelater ready", 1),
        Until("spurious ready", 1),
        Open("early"),
        Until("twicelater unknown", 1),
        Until("spurious unknown", 1),
        Until("stdin ready", 1),
        Until("stdin running", 1),
    ];
    let events = [
        Do("remote x 0"),
        Do("remote x 1"),
        Until("witness accepted", 2),
        Until("zeroandmore rejected", 1),
        Open("late"),
        Until("zeroandmore accepted", 2),
        Until("body accepted", 2),
        Until("tooshort unknown", 1),
        Until("trailingready unknown", 1),
        Until("twoinone sent 1", 1),
        Until("trailing accepted", 1),
        Until("blanks sent 1", 1),
        Until("anyword sent 1", 1),
        Until("wordlength unknown", 1),
        Until("nolength unknown", 1),
        Until("chatter unknown", 1),
        Until("underscore sent 1", 1),
        Logged("huge", "event", 1),
        Logged("negative", "event", 1),
        Logged("toolong", "event", 1),
        Logged("zero", "event", 1),
        Logged("stdout", "event", 1),
    ];
    let steps: Vec<Step> = started.chain(ready).chain(events).collect();
    let reached: Vec<String> = replies.iter().map(|(name, _, what)| format!("{name} {what}")).collect();
    same(&sections, &steps, &reached.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_first_ready_process_by_name_gets_the_event() {
    let pool = "numprocs=3\nprocess_name=%(program_name)s_%(process_num)d\n";
    same(
        &with_witness("a", &["ready read wait=@.go ok ready loop"], pool),
        &[
            Until("a_0 ready", 1),
            Until("a_1 ready", 1),
            Until("a_2 ready", 1),
            Until("a_0 running", 1),
            Until("a_1 running", 1),
            Until("a_2 running", 1),
            Do("remote x 0"),
            Until("a_0 sent 0", 1),
            Do("remote x 1"),
            Until("a_1 sent 1", 1),
            Do("remote x 2"),
            Until("a_2 sent 2", 1),
            Do("remote x 3"),
            Until("witness accepted", 4),
            Open("a_1.go"),
            Until("a_1 ready", 3),
            Open("a_0.go"),
            Open("a_2.go"),
            Until("a_0 ready", 2),
            Until("a_2 ready", 2),
            Do("remote x 4"),
            Until("a_0 ready", 3),
            Until("witness accepted", 5),
        ],
        &["a_1 sent 3", "a_0 sent 4"],
    );
}

#[test]
fn a_peer_takes_over_what_a_dead_process_had_in_hand() {
    let pool = "numprocs=2\nprocess_name=%(program_name)s_%(process_num)d\nautorestart=false\n";
    same(
        &with_witness("a", &["ready wait=@.ready read die"], pool),
        &[
            Until("a_0 ready", 1),
            Until("a_1 ready", 1),
            Until("a_0 running", 1),
            Until("a_1 running", 1),
            Do("remote x 0"),
            Until("a_0 sent 0", 1),
            Open("a_0.ready"),
            Until("a_1 sent 0", 1),
            Open("a_1.ready"),
            Until("a_1 ended unexpectedly", 1),
            Until("witness accepted", 1),
        ],
        &["a_0 ended unexpectedly"],
    );
}

#[test]
fn a_listener_that_closes_its_input_within_an_event_has_it_in_hand_all_the_same() {
    let big = format!("remote x {}", "x".repeat(200_000));
    same(
        &with_witness("a", &[r"ready header close=0 wait=go say=RESULT\_2\nOKREADY\n hang"], ""),
        &[Do(big.leak()), Until("witness accepted", 1), Open("go"), Until("a ready", 2)],
        &["a accepted"],
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

#[test]
fn overlapping_subscriptions_deliver_twice() {
    let sections =
        with_witness("a", &["ready loop"], "events=PROCESS_STATE,PROCESS_STATE_STOPPED\nbuffer_size=100\n")
            + &section("b", &["ready loop"], "priority=6\n");
    // STARTING and RUNNING of all three, then one STOPPING and twice the STOPPED.
    let steps = [
        Until("a accepted", 6),
        Until("b running", 1),
        Until("b ready", 1),
        Do("stop b"),
        Until("b stopped", 1),
        Until("a accepted", 9),
    ];
    compare(&Scenario { with_shutdown: false, ..scenario(&sections, &steps) }, &["a sent 7"]);
}

#[test]
fn a_rejected_event_leaks_into_pools_of_the_same_priority() {
    let sections = with_witness("a", &["ready read wait=go fail ready loop"], "")
        + &section("b", &["ready loop"], "events=PROCESS_GROUP\n")
        + &section("apart", &["ready loop"], "events=PROCESS_GROUP\npriority=7\n");
    same(
        &sections,
        &[
            Do("remote x 0"),
            Until("b ready", 1),
            Until("b running", 1),
            Until("apart ready", 1),
            Until("witness accepted", 1),
            // Each group that is added after it, and itself.
            Until("b accepted", 3),
            Until("apart accepted", 1),
            Open("go"),
            Until("a accepted", 1),
            Until("b accepted", 4),
        ],
        &["b sent 3"],
    );
}

#[test]
fn a_listener_that_answers_too_early_brings_supervisord_down() {
    let early = r"ready header say=RESULT\_2\nOKREADY\n wait=never";
    let big = format!("remote x {}", "x".repeat(300_000));
    let scenario = scenario(&with_witness("a", &[early], ""), &[]);
    std::thread::scope(|scope| {
        for version in VERSIONS {
            let (scenario, big) = (&scenario, &big);
            scope.spawn(move || {
                let status = scenario.crash_supervisord(version, &[big, "remote x 1", "remote x 2"]);
                assert_eq!(status, 1, "supervisord {version}");
            });
        }
    });
    let said = scenario.crash_supd_mock(&[&big, "remote x 1", "wait"]);
    assert!(
        said.contains("a answered before it had read the whole event: supervisord itself would crash"),
        "{said}"
    );
}

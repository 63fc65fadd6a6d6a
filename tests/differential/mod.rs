//! The proof that supd-mock is supervisord's twin: the same scenario under both, and what the listeners read, byte for
//! byte, and what became of them and of each event, compared.

mod life;
mod replies;

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

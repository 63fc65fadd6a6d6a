//! Hours in microseconds: what is told when.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use supd_core::Record;

use super::*;
use crate::channel::Audience;
use crate::policy::Options;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// A dispatcher, and the seconds since it began.
struct Simulation {
    start: Now,
    dispatcher: Dispatcher,
    /// When what was told, and how many letters were dealt with by that.
    told: Vec<(u64, String, usize)>,
    dropped: usize,
    serial: u64,
}

impl Simulation {
    fn new(options: &str) -> Self {
        let options: Options = toml::from_str(options).unwrap();
        let wall = "2026-01-05T08:00:00Z".parse().unwrap();
        let start = Now { instant: Instant::now() + Duration::from_secs(100_000), wall };
        let mut dispatcher = Dispatcher::new(options.policy(Audience::People));
        dispatcher.zone = TimeZone::UTC;
        Self { start, dispatcher, told: Vec::new(), dropped: 0, serial: 0 }
    }

    fn at(&self, second: u64) -> Now {
        self.start + Duration::from_secs(second)
    }

    /// A process enters a state.
    fn event(&mut self, second: u64, process: &str, state: &str, more: &str) {
        self.pass(second);
        self.serial += 1;
        let now = self.at(second);
        let line = format!(
            r#"{{"ts":"{:.3}","host":"db1","seq":{},"serial":{},"eventname":"PROCESS_STATE_{state}","processname":"{process}","groupname":"{process}"{more}}}"#,
            now.wall, self.serial, self.serial
        );
        let record = Record::from_line(line.as_bytes()).unwrap();
        self.dispatcher.take(Letter::new(record, line.into()).into(), now);
        self.dropped += self.dispatcher.dropped().len();
        self.tell(second);
    }

    fn crash(&mut self, second: u64, process: &str) {
        self.event(second, process, "EXITED", r#","from_state":"RUNNING","expected":false"#);
    }

    /// RUNNING again, as --problems lets it through.
    fn again(&mut self, second: u64, process: &str) {
        self.event(second, process, "RUNNING", r#","resolves":1"#);
    }

    /// An event of our own about a process.
    fn derived(&mut self, second: u64, process: &str, name: &str, more: &str) {
        self.pass(second);
        let now = self.at(second);
        let line = format!(
            r#"{{"ts":"{:.3}","host":"db1","seq":{},"eventname":"SUPD_{name}","processname":"{process}","groupname":"{process}"{more}}}"#,
            now.wall, self.serial
        );
        let record = Record::from_line(line.as_bytes()).unwrap();
        self.dispatcher.take(Letter::new(record, line.into()).into(), now);
        self.dropped += self.dispatcher.dropped().len();
        self.tell(second);
    }

    /// Time passes.
    fn pass(&mut self, second: u64) {
        while let Some(due) = self.dispatcher.due().filter(|due| *due <= self.at(second).instant) {
            let passed = due.saturating_duration_since(self.start.instant);
            // What is due at a fraction of a second is told in the next.
            self.tell(passed.as_secs() + u64::from(passed.subsec_nanos() > 0));
        }
    }

    fn tell(&mut self, second: u64) {
        while let Some(parcel) = self.dispatcher.next(self.at(second)) {
            let record = parcel.record();
            let count = record.extra.get("count").map_or(String::new(), |count| format!(" {count}"));
            let what = record.eventname.rsplit('_').next().unwrap();
            let who = record.payload.processname.as_deref().unwrap_or("several");
            self.told.push((second, format!("{who} {what}{count}"), parcel.letters().len()));
            self.dispatcher.arrived(self.at(second));
            self.dispatcher.settle(parcel.letters());
            self.dropped += self.dispatcher.dropped().len();
        }
    }

    /// `0 web EXITED, 30 web DIGEST 4`
    fn story(&self) -> String {
        let told: Vec<String> =
            self.told.iter().map(|(second, what, _)| format!("{second} {what}")).collect();
        told.join(", ")
    }

    /// Another program takes over with what this one remembered.
    fn restart(&mut self, second: u64) {
        let now = self.at(second);
        let snapshot = serde_json::to_string(&self.dispatcher.snapshot(now)).unwrap();
        let waiting = self.dispatcher.waiting().iter().filter_map(|letter| letter.record.seq).collect();
        let mut dispatcher = Dispatcher::new(self.dispatcher.policy.clone());
        dispatcher.zone = TimeZone::UTC;
        let earlier = Dealt { highest: self.serial, waiting };
        dispatcher.restore(serde_json::from_str(&snapshot).unwrap(), earlier, now);
        self.dispatcher = dispatcher;
    }
}

#[test]
fn five_hundred_crashes_in_a_minute_are_three_messages_and_a_fatal_leaves_at_once() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    for second in (0..500).map(|crash| crash * 60 / 500) {
        simulation.crash(second, "web");
    }
    simulation.event(70, "web", "FATAL", "");
    simulation.again(80, "web");
    simulation.pass(HOUR);
    assert_eq!(
        simulation.story(),
        "0 web EXITED, 30 web DIGEST 249, 70 web DIGEST 251, 90 web RECOVERED 501",
        "the second half comes with the FATAL"
    );
    let letters: usize = simulation.told.iter().map(|(_, _, letters)| letters).sum();
    assert_eq!((letters, simulation.dispatcher.waiting().len()), (502, 0));
}

#[test]
fn a_process_that_flaps_has_recovered_when_it_is_stable_and_not_when_it_runs() {
    for by_hand in [false, true] {
        let mut simulation =
            Simulation::new("resolve = \"10s\"\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"");
        simulation.crash(0, "web");
        simulation.again(1, "web");
        simulation.derived(1, "web", "FLAPPING", r#","count":5"#);
        simulation.crash(60, "web");
        simulation.restart(61);
        simulation.again(62, "web");
        simulation.pass(600);
        let before = "0 web EXITED, 1 web FLAPPING 5, 60 web EXITED";
        assert_eq!(simulation.story(), before);
        if by_hand {
            simulation.event(600, "web", "STOPPED", "");
            simulation.derived(600, "web", "STABLE", r#","resolves":3,"stopped":true"#);
        } else {
            simulation.derived(662, "web", "STABLE", r#","resolves":3"#);
        }
        simulation.pass(HOUR);
        let at = if by_hand { 600 } else { 662 };
        assert_eq!(simulation.story(), format!("{before}, {at} web RECOVERED 3"));
        assert_eq!(simulation.dispatcher.waiting().len(), 0);
    }
}

#[test]
fn a_process_that_flapped_has_recovered_when_it_runs_for_long_and_nobody_says_that_it_is_stable() {
    for (window, recovered) in
        [("", 62 + 660), (r#","window":1800"#, 62 + 1860), (r#","window":1e300"#, 62 + 660)]
    {
        let mut simulation =
            Simulation::new("resolve = \"10s\"\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"");
        simulation.derived(1, "web", "FLAPPING", &format!(r#","count":5{window}"#));
        simulation.again(2, "web");
        simulation.crash(60, "web");
        simulation.restart(61);
        simulation.again(62, "web");
        simulation.pass(HOUR);
        assert_eq!(
            simulation.story(),
            format!("1 web FLAPPING 5, 60 web EXITED, {recovered} web RECOVERED 2")
        );
        assert_eq!(simulation.dispatcher.waiting().len(), 0);
    }
}

#[test]
fn where_recoveries_are_not_told_a_process_that_flapped_and_runs_is_not_reminded_of() {
    let mut simulation =
        Simulation::new("repeat_interval = \"1h\"\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"");
    simulation.derived(0, "web", "FLAPPING", r#","count":5"#);
    simulation.again(10, "web");
    simulation.crash(60, "web");
    simulation.pass(HOUR + 70);
    let before = "0 web FLAPPING 5, 60 web EXITED, 3660 web REMINDER 2";
    assert_eq!(simulation.story(), before);
    simulation.again(HOUR + 100, "web");
    simulation.restart(HOUR + 200);
    simulation.pass(9 * HOUR);
    assert_eq!((simulation.story(), simulation.dispatcher.processes.len()), (before.to_owned(), 0));
}

#[test]
fn a_crash_loop_that_goes_on_is_told_of_less_and_less_often() {
    let mut simulation = Simulation::new("");
    for second in (0..24 * HOUR).step_by(5) {
        simulation.crash(second, "web");
    }
    let in_the_night = simulation.told.len();
    assert!(in_the_night < 35, "{in_the_night} messages in a day");
    simulation.crash(26 * HOUR, "web");
    simulation.crash(50 * HOUR, "web");
    simulation.pass(50 * HOUR);
    assert_eq!(simulation.told.last().unwrap().1, "web EXITED", "calm again");
}

#[test]
fn lately_is_when_it_happened_and_not_when_it_came() {
    let simulation = Simulation::new("");
    let mut process = Process::default();
    let mut lately = |ts: &str| {
        let line = format!(r#"{{"ts":"2026-01-05T{ts}Z","eventname":"PROCESS_STATE_FATAL"}}"#);
        // All at once, as after an outage.
        process.problem(&Record::from_line(line.as_bytes()).unwrap(), true, simulation.start);
        process.lately(simulation.start.instant)
    };
    assert_eq!(["05:00:00", "05:59:59", "06:00:00", "08:00:00"].map(&mut lately), [1, 2, 2, 1]);
}

#[test]
fn a_recovery_that_does_not_last_is_none() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    simulation.crash(0, "web");
    simulation.again(2, "web");
    simulation.crash(8, "web");
    simulation.again(20, "web");
    simulation.pass(HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 30 web RECOVERED 2");
    assert_eq!((simulation.dropped, simulation.dispatcher.waiting().len()), (1, 0));
}

#[test]
fn a_flapping_process_does_not_flood_by_recovering() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    for second in (0..HOUR).step_by(15) {
        simulation.crash(second, "web");
        simulation.again(second + 1, "web");
    }
    assert!(simulation.told.len() < 20, "{}", simulation.story());
}

#[test]
fn unless_asked_for_the_end_of_a_problem_is_not_told() {
    let mut simulation = Simulation::new("");
    simulation.crash(0, "web");
    simulation.again(2, "web");
    simulation.event(3, "other", "RUNNING", "");
    simulation.pass(24 * HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 3 other RUNNING");
    assert_eq!(simulation.dropped, 1);
}

#[test]
fn a_process_that_was_stopped_is_over_at_once() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    simulation.event(0, "web", "FATAL", "");
    simulation.event(90, "web", "STOPPED", r#","resolves":1"#);
    assert_eq!(simulation.story(), "0 web FATAL, 90 web RECOVERED 1");
}

#[test]
fn a_whole_machine_that_goes_down_is_a_few_messages() {
    let mut simulation = Simulation::new("");
    for process in 0..200 {
        simulation.crash(0, &format!("p{process}"));
    }
    simulation.pass(59);
    assert_eq!(simulation.told.len(), 20, "as many as the rate allows");
    simulation.pass(60);
    assert_eq!(simulation.told.len(), 21);
    assert_eq!(simulation.told[20], (60, "several DIGEST 180".into(), 180));
}

#[test]
fn in_quiet_hours_nothing_is_told_and_after_them_everything_at_once() {
    let mut simulation = Simulation::new(r#"quiet = "22:00-07:00""#);
    simulation.crash(HOUR, "day");
    for hour in [14, 17, 22] {
        simulation.crash(hour * HOUR, "night");
        simulation.crash(hour * HOUR + 1, "other");
    }
    simulation.pass(30 * HOUR);
    assert_eq!(simulation.story(), format!("{HOUR} day EXITED, {} several DIGEST 6", 23 * HOUR));
}

#[test]
fn what_is_muted_is_dropped_and_told_of_when_it_is_still_so_afterwards() {
    let mut simulation = Simulation::new(
        "mute = ['web*']\nmute_until = '2026-01-05T09:00:00Z'\nrepeat_interval = '4h'\nresolve = '1s'",
    );
    simulation.crash(10, "web1");
    simulation.event(11, "web2", "FATAL", "");
    simulation.event(12, "mail", "FATAL", "");
    simulation.again(13, "web1");
    simulation.pass(2 * HOUR);
    assert_eq!(simulation.story(), format!("12 mail FATAL, {HOUR} web2 REMINDER 1"));
    assert_eq!(simulation.dropped, 3);
}

#[test]
fn what_stays_down_is_reminded_of_where_that_can_be_known() {
    let mut simulation = Simulation::new("");
    simulation.event(0, "web", "FATAL", "");
    simulation.pass(9 * HOUR);
    assert_eq!(simulation.story(), "0 web FATAL", "nobody tells of recoveries");

    let mut simulation = Simulation::new("");
    simulation.crash(0, "other");
    simulation.again(1, "other");
    simulation.event(2, "web", "FATAL", "");
    simulation.pass(9 * HOUR);
    assert_eq!(simulation.story(), "0 other EXITED, 2 web FATAL, 14402 web REMINDER 1, 28802 web REMINDER 1");

    let mut simulation = Simulation::new(r#"repeat_interval = "1h""#);
    simulation.event(0, "web", "FATAL", "");
    simulation.again(HOUR + 5, "web");
    simulation.pass(9 * HOUR);
    assert_eq!(simulation.story(), "0 web FATAL, 3600 web REMINDER 1");
}

#[test]
fn a_successor_knows_who_was_told_what() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    simulation.crash(0, "web");
    simulation.crash(5, "web");
    simulation.restart(6);
    // Not confirmed, so it comes again, and counts once.
    simulation.serial -= 1;
    simulation.crash(7, "web");
    simulation.again(8, "web");
    simulation.pass(HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 18 web RECOVERED 2");
}

#[test]
fn a_recovery_that_was_not_told_before_a_restart_is_told_after_it_and_counts_what_it_did() {
    // The rate does not allow it yet, so both letters come again.
    let mut simulation = Simulation::new("resolve = '0s'\nrate = '1/1h'\ngroup_interval = '1s'");
    simulation.crash(0, "web");
    simulation.crash(10, "web");
    simulation.again(20, "web");
    simulation.pass(30);
    assert_eq!((simulation.story().as_str(), simulation.dispatcher.waiting().len()), ("0 web EXITED", 2));
    simulation.restart(40);
    simulation.serial -= 2;
    simulation.crash(50, "web");
    simulation.again(60, "web");
    simulation.pass(2 * HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 50 web EXITED, 3650 web RECOVERED 2");
}

#[test]
fn the_end_of_a_problem_that_has_not_been_told_comes_again_with_it() {
    let mut simulation = Simulation::new("repeat_interval = '4h'");
    simulation.crash(0, "web");
    simulation.crash(5, "web");
    simulation.again(6, "web");
    assert_eq!((simulation.dropped, simulation.dispatcher.waiting().len()), (0, 2));
    simulation.restart(7);
    simulation.crash(8, "web");
    simulation.again(9, "web");
    simulation.pass(24 * HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 30 web EXITED", "it is not said to be down");
    assert_eq!((simulation.dropped, simulation.dispatcher.waiting().len()), (1, 0));
}

#[test]
fn what_was_dealt_with_and_comes_again_all_the_same_counts_once() {
    let mut simulation = Simulation::new(r#"resolve = "10s""#);
    simulation.crash(0, "web");
    simulation.restart(1);
    // There was no time to write the cursor.
    simulation.serial = 0;
    simulation.crash(2, "web");
    simulation.again(3, "web");
    simulation.pass(HOUR);
    assert_eq!(simulation.story(), "0 web EXITED, 13 web RECOVERED 1");
}

#[test]
fn when_there_is_no_room_everything_is_told_early_in_one() {
    let mut simulation = Simulation::new(r#"quiet = "22:00-07:00""#);
    for crash in 0..MAX_LETTERS as u64 {
        simulation.crash(15 * HOUR, &format!("p{}", crash % 7));
    }
    assert!(simulation.dispatcher.is_full() && simulation.told.is_empty());
    let now = simulation.at(15 * HOUR);
    simulation.dispatcher.hurry(now);
    simulation.tell(15 * HOUR);
    assert_eq!(simulation.told, [(15 * HOUR, format!("several DIGEST {MAX_LETTERS}"), MAX_LETTERS)]);
    assert!(!simulation.dispatcher.is_full());
    simulation.crash(15 * HOUR + 1, "p1");
    assert_eq!(simulation.told.len(), 1, "quiet again");
}

#[test]
fn a_stream_that_never_calms_down_leaves_no_timer_for_every_record() {
    let mut simulation = Simulation::new("resolve = '10s'\nrepeat_interval = '4h'");
    for second in 0..20_000 {
        simulation.crash(second, &format!("p{}", second % 7));
        if second % 50 == 0 {
            simulation.again(second, &format!("p{}", second % 7));
        }
        let now = simulation.at(second);
        if second % 100 == 0 {
            simulation.dispatcher.hurry(now);
        }
    }
    let dispatcher = &simulation.dispatcher;
    let (timers, processes, groups) =
        (dispatcher.timers.len(), dispatcher.processes.len(), dispatcher.groups.len());
    assert!(timers <= processes + groups, "{timers} timers, {processes} processes, {groups} groups");
    for process in 0..7 {
        simulation.again(20_000, &format!("p{process}"));
    }
    simulation.pass(48 * HOUR);
    let dispatcher = &simulation.dispatcher;
    assert_eq!((dispatcher.timers.len(), dispatcher.processes.len(), dispatcher.groups.len()), (0, 0, 0));
}

#[test]
fn more_groups_than_can_be_remembered_are_told_all_the_same() {
    let mut simulation = Simulation::new("group_interval = '1h'\nrate = 'none'");
    for process in 0..MAX_GROUPS as u64 + 100 {
        simulation.event(0, &format!("p{process}"), "FATAL", "");
    }
    assert_eq!((simulation.told.len(), simulation.dispatcher.groups.len()), (MAX_GROUPS + 100, MAX_GROUPS));
}

#[test]
fn quiet_hours_end_when_the_clock_on_the_wall_says_so_even_if_it_was_set() {
    let mut simulation = Simulation::new(r#"quiet = "07:00-22:00""#);
    simulation.crash(0, "web");
    assert!(simulation.told.is_empty());
    let later = simulation.at(10);
    simulation.dispatcher.next(later);
    let due = simulation.dispatcher.due().unwrap().saturating_duration_since(later.instant);
    assert!(due <= Duration::from_secs(MINUTE), "{due:?}");
    let set = Now { instant: later.instant + due, wall: "2026-01-05T22:00:01Z".parse().unwrap() };
    assert!(simulation.dispatcher.next(set).is_some());
}

#[test]
fn at_the_end_everything_is_told_unless_it_can_stay_for_its_time() {
    let at_the_end = |can_stay: bool| {
        let mut simulation = Simulation::new("resolve = '10s'\nquiet = '22:00-07:00'");
        simulation.crash(0, "web");
        simulation.crash(1, "web");
        simulation.crash(2, "late");
        simulation.again(3, "late");
        let now = simulation.at(4);
        simulation.dispatcher.flush(can_stay, now);
        simulation.tell(4);
        (simulation.story(), simulation.dispatcher.waiting().len())
    };
    assert_eq!(at_the_end(true), ("0 web EXITED, 2 late EXITED, 4 web EXITED".into(), 1));
    assert_eq!(
        at_the_end(false),
        ("0 web EXITED, 2 late EXITED, 4 web EXITED, 4 late RECOVERED 1".into(), 0)
    );
}

fn options() -> impl Strategy<Value = String> {
    let interval = prop::sample::select(vec!["0s", "1s", "30s"]);
    let rate = prop::sample::select(vec!["none", "2/1m", "20/1m"]);
    let keys = prop::sample::select(vec!["['host','process']", "['all']", "['event']"]);
    let more = prop::sample::select(vec![
        "",
        "resolve = '0s'",
        "resolve = '5s'",
        "mute = ['a']",
        "quiet = '08:01-08:03'",
    ]);
    (interval, rate, keys, more).prop_map(|(interval, rate, keys, more)| {
        format!("group_interval = '{interval}'\nrate = '{rate}'\ngroup_by = {keys}\n{more}")
    })
}

proptest! {
    #[test]
    fn every_letter_is_told_of_dropped_or_waiting_and_never_twice(
        options in options(),
        events in prop::collection::vec((0..20u64, 0..4usize, 0..5usize, any::<bool>()), 1..60),
    ) {
        let mut simulation = Simulation::new(&options);
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let mut second = 0;
        let mut dropped = Vec::new();
        for (pause, process, state, restart) in &events {
            second += pause;
            let now = simulation.at(second);
            simulation.serial += 1;
            let state = ["EXITED", "BACKOFF", "FATAL", "RUNNING", "STOPPED"][*state];
            let line = format!(
                r#"{{"seq":{},"eventname":"PROCESS_STATE_{state}","processname":"{}","groupname":"g","expected":false}}"#,
                simulation.serial, ["a", "b", "c", "d"][*process]
            );
            let record = Record::from_line(line.as_bytes()).unwrap();
            simulation.dispatcher.take(Letter::new(record, line.into()).into(), now);
            if *restart {
                while let Some(parcel) = simulation.dispatcher.next(now) {
                    for letter in parcel.letters() {
                        *seen.entry(letter.record.seq.unwrap()).or_default() += 1;
                    }
                    simulation.dispatcher.settle(parcel.letters());
                }
            }
            dropped.extend(simulation.dispatcher.dropped());
        }
        let waiting = simulation.dispatcher.waiting();
        prop_assert_eq!(waiting.len(), simulation.dispatcher.letters);
        for letter in waiting.iter().chain(&dropped) {
            *seen.entry(letter.record.seq.unwrap()).or_default() += 1;
        }
        prop_assert!(seen.values().all(|times| *times == 1));
        prop_assert_eq!(seen.len(), events.len());
        // And at the end nothing is left.
        let now = simulation.at(second);
        simulation.dispatcher.flush(false, now);
        let mut at_the_end = 0;
        while let Some(parcel) = simulation.dispatcher.next(now) {
            simulation.dispatcher.settle(parcel.letters());
            at_the_end += parcel.letters().len() + simulation.dispatcher.dropped().len();
        }
        prop_assert_eq!((at_the_end, simulation.dispatcher.waiting().len()), (waiting.len(), 0));
        prop_assert_eq!((simulation.dispatcher.letters, simulation.dispatcher.bytes), (0, 0));
    }
}

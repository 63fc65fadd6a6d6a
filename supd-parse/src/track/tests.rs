//! What --track tells of lives of processes; time is that of the records, so a window of ten minutes takes no time.

use std::time::{Duration, Instant};

use serde_json::Value;
use supd_core::flat::Scanner;

use super::*;

const LIMITS: Limits = Limits { window: 600_000, flaps: 3, flap: 60_000 };

/// A supervisord that tells of its processes.
struct Life {
    tracker: Tracker,
    serial: u64,
    boot: &'static str,
    out: Vec<Value>,
}

impl Life {
    fn new() -> Self {
        Self { tracker: Tracker::new(LIMITS), serial: 0, boot: "one", out: Vec::new() }
    }

    /// A line as it comes.
    fn line(&mut self, line: &str) -> &mut Self {
        let mut scanner = Scanner::default();
        let mut item = Item::read(&mut scanner, line.as_bytes()).unwrap();
        let told = self.tracker.take(&mut item);
        let mut text = Vec::new();
        told.with(item).for_each(|item| item.write_line(&mut text));
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        self.out.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        self
    }

    /// `a RUNNING` after so many milliseconds, with more keys.
    fn at(&mut self, millis: i64, event: &str, more: &str) -> &mut Self {
        let ts = Timestamp::from_millisecond(1_767_600_000_000 + millis).unwrap();
        self.serial += 1;
        let (process, state) = event.split_once(' ').unwrap();
        let (serial, boot) = (self.serial, self.boot);
        self.line(&format!(
            r#"{{"ts":"{ts:.3}","host":"h","boot":"{boot}","seq":{serial},"server":"s","serial":{serial},"eventname":"PROCESS_STATE_{state}","processname":"{process}","groupname":"g"{more}}}"#
        ))
    }

    /// STARTING and RUNNING.
    fn starts(&mut self, millis: i64, process: &str, from: &str) -> &mut Self {
        let from = format!(r#","from_state":"{from}""#);
        self.at(millis, &format!("{process} STARTING"), &from);
        self.at(millis + 1_000, &format!("{process} RUNNING"), r#","from_state":"STARTING""#)
    }

    fn crashes(&mut self, millis: i64, process: &str) -> &mut Self {
        self.at(millis, &format!("{process} EXITED"), r#","from_state":"RUNNING","expected":false"#)
    }

    /// The records that were derived, without where they come from.
    fn derived(&self) -> Vec<String> {
        let ours = self.out.iter().filter(|record| record["eventname"].as_str().unwrap().starts_with("SUPD"));
        let told = |record: &Value| {
            let mut record = record.clone();
            let members = record.as_object_mut().unwrap();
            members.retain(|key, _| {
                !["ts", "host", "boot", "seq", "server", "serial", "groupname"].contains(&&**key)
            });
            record.to_string()
        };
        ours.map(told).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.out.iter().map(|record| record["eventname"].as_str().unwrap()).collect()
    }

    fn last(&self) -> &Value {
        self.out.last().unwrap()
    }
}

#[test]
fn a_crash_and_its_return_are_a_restart() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").crashes(5_250, "a").starts(6_250, "a", "EXITED");
    assert_eq!(
        life.derived(),
        [concat!(
            r#"{"eventname":"SUPD_RESTARTED","processname":"a","from_state":"EXITED","expected":false,"#,
            r#""state":"RUNNING","restarts":1,"uptime":4.25,"downtime":2,"since":"2026-01-05T08:00:05.250Z"}"#
        )]
    );
    let restarted = life.last();
    assert_eq!((&restarted["serial"], &restarted["seq"]), (&5.into(), &5.into()));
    assert_eq!(restarted["ts"], "2026-01-05T08:00:07.250Z");
    let exited = &life.out[2];
    assert_eq!((&exited["state"], &exited["uptime"]), (&"EXITED".into(), &4.25.into()));
    let running = &life.out[4];
    assert_eq!(
        (&running["downtime"], &running["restarts"], &running["derived"]),
        (&2.into(), &1.into(), &1.into())
    );
}

#[test]
fn a_first_start_is_no_restart_however_many_tries_it_takes() {
    let mut life = Life::new();
    let from = r#","from_state":"STARTING","tries":1"#;
    life.at(0, "a STARTING", r#","from_state":"STOPPED""#).at(9, "a BACKOFF", from);
    life.starts(1_000, "a", "BACKOFF");
    life.at(0, "b STARTING", r#","from_state":"STOPPED""#).at(9, "b BACKOFF", from).at(9, "b FATAL", from);
    life.starts(9_000, "b", "FATAL");
    assert_eq!(life.derived(), [""; 0]);
}

#[test]
fn a_restart_tells_of_the_last_state_and_of_the_time_since_the_first_end() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").crashes(2_000, "a");
    life.at(3_000, "a STARTING", r#","from_state":"EXITED""#)
        .at(3_100, "a BACKOFF", "")
        .at(3_200, "a FATAL", "");
    life.starts(61_000, "a", "FATAL");
    life.at(62_000, "a STOPPING", r#","from_state":"RUNNING""#).at(
        63_000,
        "a STOPPED",
        r#","from_state":"STOPPING""#,
    );
    assert_eq!(life.out[life.out.len() - 2]["uptime"], 0);
    life.starts(64_000, "a", "STOPPED");
    let derived = life.derived();
    assert!(
        derived[0]
            .contains(r#""from_state":"FATAL","state":"RUNNING","restarts":1,"uptime":1,"downtime":60,"#)
    );
    assert!(
        derived[1]
            .contains(r#""from_state":"STOPPED","state":"RUNNING","restarts":2,"uptime":0,"downtime":2,"#)
    );
    assert_eq!(derived.len(), 2);
}

#[test]
fn a_stream_may_begin_anywhere() {
    let mut life = Life::new();
    // An end was seen.
    life.crashes(0, "a").starts(1_000, "a", "EXITED");
    // It was proved.
    life.starts(1_000, "b", "EXITED");
    // Neither.
    life.starts(1_000, "c", "STOPPED").starts(1_000, "d", "BACKOFF").at(0, "e RUNNING", "");
    // It was RUNNING, and must have ended.
    life.starts(20_000, "c", "STOPPED");
    life.at(21_000, "e RUNNING", r#","pid":1"#).at(21_000, "e RUNNING", r#","pid":1"#);
    life.at(22_000, "e RUNNING", r#","pid":2"#);
    let derived = life.derived();
    let [a, b, c, e] = &derived[..] else { panic!("{derived:?}") };
    assert!(a.contains(r#""downtime":2"#) && !a.contains("uptime"), "{a}");
    assert!(b.contains(r#""processname":"b","from_state":"EXITED","state""#) && !b.contains("time"), "{b}");
    assert!(c.contains(r#""processname":"c","from_state":"STOPPED","state""#) && !c.contains("time"), "{c}");
    assert!(e.contains(r#""processname":"e","pid":2,"state""#), "{e}");
}

#[test]
fn under_another_supervisord_nothing_has_ended() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").starts(0, "b", "STOPPED").crashes(2_000, "b");
    (life.boot, life.serial) = ("two", 0);
    life.starts(9_000, "a", "STOPPED").starts(9_000, "b", "STOPPED");
    assert_eq!(life.derived(), [""; 0]);
    life.crashes(12_000, "a").starts(13_000, "a", "EXITED");
    assert_eq!(life.derived().len(), 1);
}

#[test]
fn serials_that_begin_anew_are_another_supervisords_where_it_is_not_named() {
    let mut life = Life::new();
    let record = |serial: u64, process: &str, event: &str, from: &str| {
        format!(
            r#"{{"serial":{serial},"eventname":"PROCESS_STATE_{event}","processname":"{process}","groupname":"g","from_state":"{from}"}}"#
        )
    };
    life.line(&record(100, "a", "STARTING", "STOPPED")).line(&record(101, "a", "RUNNING", "STARTING"));
    life.line(&record(102, "b", "RUNNING", "STARTING"));
    let again =
        [("STARTING", "STOPPED"), ("RUNNING", "STARTING"), ("EXITED", "RUNNING"), ("STARTING", "EXITED")];
    for (serial, (event, from)) in (1..).zip(again) {
        life.line(&record(serial, "a", event, from));
        assert_eq!(life.last()["state"], event);
    }
    assert_eq!(life.derived(), [""; 0], "under another supervisord nothing has ended");
    life.line(&record(5, "a", "RUNNING", "STARTING"));
    assert_eq!(life.derived().len(), 1);
    life.line(&record(6, "b", "EXITED", "RUNNING"));
    assert_eq!(life.last()["state"], "EXITED", "it is of the new one as well");
}

#[test]
fn a_group_that_was_removed_is_another_when_it_comes_back() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").at(2_000, "a STOPPED", "");
    let removed =
        r#"{"host":"h","server":"s","serial":9,"eventname":"PROCESS_GROUP_REMOVED","groupname":"g"}"#;
    life.line(removed).starts(5_000, "a", "STOPPED");
    assert_eq!((life.derived(), life.tracker.processes), (vec![], 1));
}

#[test]
fn what_comes_again_or_late_is_no_news() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").crashes(2_000, "a");
    life.serial -= 1;
    life.crashes(2_000, "a").starts(3_000, "a", "EXITED");
    life.serial = 2;
    life.crashes(2_000, "a");
    assert_eq!((life.derived().len(), life.last().get("state")), (1, None));
    life.serial = 5;
    life.crashes(9_000, "a").starts(10_000, "a", "EXITED");
    assert_eq!(life.derived().len(), 2);
}

#[test]
fn a_clock_that_is_set_back_and_records_without_time_cost_spans_only() {
    let mut life = Life::new();
    life.starts(100_000, "a", "STOPPED").crashes(50_000, "a").starts(40_000, "a", "EXITED");
    for (serial, state) in [(20, "EXITED"), (21, "RUNNING"), (22, "EXITED"), (23, "RUNNING")] {
        life.line(&format!(
            r#"{{"serial":{serial},"eventname":"PROCESS_STATE_{state}","processname":"raw","groupname":"g"}}"#
        ));
    }
    let derived = life.derived();
    assert_eq!(derived.len(), 3);
    assert!(derived[0].contains(r#""restarts":1,"since""#), "{}", derived[0]);
    assert!(derived[2].ends_with(r#""state":"RUNNING","restarts":2}"#), "{}", derived[2]);
}

/// A process that has crashed and come back every ten seconds, the last time at this moment.
fn flapping() -> (Life, i64) {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED");
    for crash in 1..4 {
        life.crashes(crash * 10_000, "a").starts(crash * 10_000 + 1_000, "a", "EXITED");
    }
    (life, 32_000)
}

#[test]
fn flapping_is_told_once_and_every_record_says_so_until_it_is_over() {
    let (mut life, running) = flapping();
    let told = concat!(
        r#"{"eventname":"SUPD_FLAPPING","processname":"a","state":"RUNNING","restarts":3,"flapping":true,"#,
        r#""count":3,"window":60,"since":"2026-01-05T08:00:12.000Z"}"#
    );
    assert_eq!(life.derived().last().unwrap(), told);
    // The event, SUPD_RESTARTED and SUPD_FLAPPING have one number.
    let derived: Vec<&Value> = life.out.iter().rev().take(3).map(|record| &record["derived"]).collect();
    assert_eq!(derived, [&Value::Null, &1.into(), &2.into()]);
    life.crashes(running + 59_999, "a").starts(running + 60_000, "a", "EXITED");
    assert_eq!(life.names().iter().filter(|name| **name == "SUPD_FLAPPING").count(), 1);
    assert_eq!(
        (&life.last()["eventname"], &life.last()["flapping"]),
        (&"SUPD_RESTARTED".into(), &true.into())
    );
    let running = running + 61_000;
    life.at(running + 59_999, "b STARTING", "");
    assert!(!life.names().contains(&"SUPD_STABLE"));
    life.at(running + 70_000, "b RUNNING", "");
    let stable = &life.out[life.out.len() - 2];
    assert_eq!(
        stable.to_string(),
        concat!(
            r#"{"ts":"2026-01-05T08:02:33.000Z","host":"h","boot":"one","seq":16,"server":"s","eventname":"SUPD_STABLE","#,
            r#""processname":"a","groupname":"g","state":"RUNNING","restarts":4,"uptime":60,"count":4,"window":60,"#,
            r#""since":"2026-01-05T08:00:12.000Z","derived":1}"#
        )
    );
    assert_eq!((&life.last()["seq"], life.last().get("derived")), (&16.into(), None));
    let mut again = Life::new();
    for record in &life.out {
        again.line(&record.to_string());
    }
    assert_eq!(again.out, life.out, "it is derived once");
    life.crashes(running + 80_000, "a");
    assert_eq!(life.last().get("flapping"), None);
}

#[test]
fn whoever_stops_a_process_ends_its_flapping_and_restarts_by_hand_are_none() {
    let (mut life, running) = flapping();
    life.at(running + 1_000, "a STOPPING", r#","from_state":"RUNNING""#).at(running + 1_500, "a STOPPED", "");
    let stable = life.last();
    assert_eq!((&stable["eventname"], &stable["stopped"]), (&"SUPD_STABLE".into(), &true.into()));
    assert_eq!(stable["serial"], life.out[life.out.len() - 2]["serial"]);
    for stop in 0..9 {
        let at = running + 2_000 + stop * 1_000;
        life.starts(at, "a", "STOPPED").at(at + 1_100, "a STOPPED", "");
    }
    assert_eq!(life.names().iter().filter(|name| **name == "SUPD_FLAPPING").count(), 1);
    assert_eq!(life.last()["restarts"], 12);
}

#[test]
fn while_records_do_not_come_time_goes_on() {
    let (mut life, _) = flapping();
    let now = Instant::now();
    assert_eq!(life.tracker.next_due(), None);
    assert!(life.tracker.idle(now).is_empty());
    let due = life.tracker.next_due().unwrap();
    assert_eq!(due, now + Duration::from_secs(60));
    assert!(life.tracker.idle(due - Duration::from_millis(1)).is_empty());
    let told = life.tracker.idle(due);
    assert_eq!((told.len(), told[0].eventname.as_str(), told[0].seq), (1, "SUPD_STABLE", None));
    assert_eq!(told[0].ts.as_deref(), Some("2026-01-05T08:01:32.000Z"));
    assert!(life.tracker.idle(due).is_empty() && life.tracker.next_due().is_none());
}

#[test]
fn hosts_have_processes_and_clocks_of_their_own() {
    let (mut life, running) = flapping();
    life.line(
        r#"{"ts":"2027-01-01T00:00:00.000Z","host":"i","server":"s","serial":1,"eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"g"}"#,
    );
    assert_eq!(life.last()["eventname"], "PROCESS_STATE_EXITED");
    assert_eq!(life.last()["restarts"], 0);
    let ts = Timestamp::from_millisecond(1_767_600_000_000 + running + 60_000).unwrap();
    life.line(&format!(r#"{{"ts":"{ts:.3}","host":"h","server":"s","eventname":"TICK_5"}}"#));
    assert_eq!(life.names().iter().rev().take(2).collect::<Vec<_>>(), [&"TICK_5", &"SUPD_STABLE"]);
}

#[test]
fn records_of_processes_that_tell_nothing_of_their_state_get_what_is_known() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED");
    for process in ["a", "b"] {
        life.line(&format!(
            r#"{{"host":"h","server":"s","eventname":"PROCESS_LOG_STDOUT","processname":"{process}","groupname":"g","data":"x","uptime":"old"}}"#
        ));
    }
    let [a, b] = [&life.out[2], &life.out[3]].map(Value::to_string);
    assert!(a.ends_with(r#""data":"x","state":"RUNNING","restarts":0}"#), "{a}");
    assert!(b.ends_with(r#""data":"x","restarts":0}"#), "{b}");
    assert_eq!(life.tracker.processes, 1);
}

#[test]
fn what_was_derived_before_is_derived_once() {
    let mut life = Life::new();
    life.starts(0, "a", "STOPPED").crashes(2_000, "a").starts(3_000, "a", "EXITED");
    let once: Vec<String> = life.out.iter().map(Value::to_string).collect();
    let mut again = Life::new();
    for line in &once {
        again.line(line);
    }
    assert_eq!(again.out, life.out);
    let mut alone = Life::new();
    alone.line(once.last().unwrap());
    assert_eq!(alone.last().to_string(), *once.last().unwrap());
}

#[test]
fn memory_is_bounded_whatever_names_come() {
    let mut life = Life::new();
    life.starts(0, "stays", "STOPPED");
    for number in 0..MAX_PROCESSES + 2_000 {
        if number % 1_000 == 0 {
            life.at(1, "stays RUNNING", "");
        }
        life.at(1, &format!("p{number} EXITED"), "");
        life.out.clear();
    }
    assert!(life.tracker.processes <= MAX_PROCESSES, "{}", life.tracker.processes);
    life.crashes(2_000, "stays").starts(3_000, "stays", "EXITED");
    assert_eq!(life.last()["uptime"], 1);
    life.starts(4_000, "p0", "STOPPED");
    assert_eq!(life.last()["eventname"], "PROCESS_STATE_RUNNING", "it was forgotten");
}

#[test]
fn a_host_without_processes_takes_no_memory() {
    let mut life = Life::new();
    for number in 0..100 {
        let record = |event: &str| {
            format!(
                r#"{{"host":"h{number}","server":"s","eventname":"{event}","groupname":"g","processname":"a"}}"#
            )
        };
        let group = |event: &str| record(event).replace(r#","processname":"a""#, "");
        life.line(&group("PROCESS_GROUP_ADDED")).line(&record("PROCESS_LOG_STDOUT"));
        assert_eq!(life.tracker.places.len(), 0);
        life.line(&record("PROCESS_STATE_RUNNING"));
        assert_eq!(life.tracker.places.len(), 1);
        life.line(&group("PROCESS_GROUP_REMOVED"));
    }
    assert_eq!((life.tracker.places.len(), life.tracker.processes), (0, 0));
}

#[test]
fn no_name_passes_for_another() {
    let mut life = Life::new();
    let record = |group: &str, name: &str, state: &str| {
        format!(
            r#"{{"host":"h","eventname":"PROCESS_STATE_{state}","processname":"{name}","groupname":"{group}"}}"#
        )
    };
    let names = [("a\\u0000b", "c"), ("a", "b\\u0000c"), ("1:a", "b"), ("1", ":ab"), ("", "1:ab")];
    for (group, name) in names {
        life.line(&record(group, name, "RUNNING"));
    }
    assert_eq!(life.tracker.processes, names.len());
    let removed = |group: &str| record(group, "", "").replace("PROCESS_STATE_", "PROCESS_GROUP_REMOVED");
    life.line(&removed("a").replace(r#""processname":"","#, ""));
    assert_eq!(life.tracker.processes, names.len() - 1);
}

mod model {
    use proptest::prelude::*;

    use super::*;

    /// What a reader with a pencil would say of one process: all its changes, from the first, are at hand.
    #[derive(Default)]
    struct Pencil {
        history: Vec<(i64, State)>,
        restarts: Vec<(i64, State)>,
        flapping: bool,
    }

    impl Pencil {
        /// What is told because of a change: `restarted DOWNTIME UPTIME RESTARTS`, `flapping`, `stable`.
        fn take(&mut self, at: i64, state: State) -> Vec<String> {
            let mut told = Vec::new();
            if let Some((since, State::Running)) = self.history.last()
                && self.flapping
                && since + LIMITS.flap <= at
            {
                self.flapping = false;
                told.push("stable".to_owned());
            }
            let last_run = self.history.iter().rposition(|(_, state)| *state == State::Running);
            self.history.push((at, state));
            if state == State::Stopped && std::mem::take(&mut self.flapping) {
                told.push("stable".to_owned());
            }
            if let (State::Running, Some(run)) = (state, last_run) {
                self.restart(at, run, &mut told);
            }
            told
        }

        fn restart(&mut self, at: i64, run: usize, told: &mut Vec<String>) {
            let after = &self.history[run + 1..self.history.len() - 1];
            let is_end =
                |state| matches!(state, State::Exited | State::Stopped | State::Fatal | State::Unknown);
            let (since, _) = after.iter().find(|(_, state)| is_end(*state)).expect("it ended");
            let (_, last) = after.iter().rfind(|(_, state)| is_end(*state)).expect("it ended");
            let uptime = after[0].0 - self.history[run].0;
            self.restarts.push((at, *last));
            let count =
                |window| self.restarts.iter().filter(move |(restart, _)| *restart > at - window).count();
            told.push(format!("restarted {} {uptime} {}", at - since, count(LIMITS.window)));
            let row = self.restarts.iter().rev().take_while(|(_, end)| *end != State::Stopped);
            if !self.flapping
                && row.filter(|(restart, _)| *restart > at - LIMITS.flap).count() >= LIMITS.flaps
            {
                self.flapping = true;
                told.push("flapping".to_owned());
            }
        }
    }

    /// What comes next in a life, by chance: supervisord's own transitions.
    fn next(state: State, chance: u8) -> State {
        match (state, chance % 4) {
            (State::Starting, 0) => State::Backoff,
            (State::Starting | State::Running, 1) => State::Stopping,
            (State::Starting, _) => State::Running,
            (State::Running, _) => State::Exited,
            (State::Backoff, 0) => State::Fatal,
            (State::Backoff, 1) => State::Stopped,
            (State::Stopping, 0) => State::Unknown,
            (State::Stopping, _) => State::Stopped,
            _ => State::Starting,
        }
    }

    fn short(record: &Value) -> Option<String> {
        let millis = |key: &str| (record[key].as_f64().unwrap() * 1_000.0).round() as i64;
        Some(match record["eventname"].as_str()? {
            "SUPD_RESTARTED" => {
                format!("restarted {} {} {}", millis("downtime"), millis("uptime"), record["restarts"])
            }
            "SUPD_FLAPPING" => "flapping".to_owned(),
            "SUPD_STABLE" => "stable".to_owned(),
            _ => return None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_tells_what_a_reader_with_a_pencil_would(
            events in proptest::collection::vec((any::<u8>(), 0_i64..15_000, 0..3_usize), 1..200),
        ) {
            let mut life = Life::new();
            let mut at = 0;
            let mut processes = [(); 3].map(|()| (State::Stopped, Pencil::default()));
            for (chance, pause, process) in events {
                at += pause;
                let (state, pencil) = &mut processes[process];
                let from = format!(r#","from_state":"{}""#, state.name());
                *state = next(*state, chance);
                let name = ["a", "b", "c"][process];
                life.out.clear();
                life.at(at, &format!("{name} {}", state.name()), &from);
                let told = life.out.iter().filter(|record| record["processname"] == name);
                // That another one is stable comes to light at any record; the model knows only of its own.
                let told: Vec<String> = told.filter_map(short).collect();
                let expected = pencil.take(at, *state);
                if pencil_is_ahead(&told, &expected) {
                    continue;
                }
                prop_assert_eq!(told, expected);
            }
        }
    }

    /// Whether the model says only now what was told when another process's record came.
    fn pencil_is_ahead(told: &[String], expected: &[String]) -> bool {
        expected.first().is_some_and(|first| first == "stable") && *told == expected[1..]
    }
}

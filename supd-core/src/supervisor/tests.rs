use std::time::Duration;

use super::*;
use crate::kind::EventPattern;

const OK: &[u8] = b"RESULT 2\nOKREADY\n";
const FAIL: &[u8] = b"RESULT 4\nFAILREADY\n";

fn pool(name: &str, events: &str, buffer_size: usize) -> PoolConfig {
    let events = events.split(',').map(|event| EventPattern::parse(event).unwrap()).collect();
    PoolConfig { name: name.into(), events, buffer_size, priority: -1 }
}

fn process(name: &str) -> ProcessConfig {
    ProcessConfig { startsecs: Duration::ZERO, ..ProcessConfig::new(name) }
}

/// A supervisord whose processes all start at once and whose clock only the test moves.
struct Scene {
    supervisor: Supervisor,
    now: Instant,
    pids: u32,
}

impl Scene {
    fn new(profile: Profile, sections: Vec<(PoolConfig, Vec<ProcessConfig>)>) -> Self {
        let config = SupervisorConfig {
            profile,
            identifier: "s".into(),
            len: None,
            announce: false,
            groups: Vec::new(),
        };
        let mut scene =
            Self { supervisor: Supervisor::new(config, sections), now: Instant::now(), pids: 100 };
        scene.go_on();
        scene.go_on();
        scene
    }

    /// One pool of one process, which is READY.
    fn ready(profile: Profile, buffer_size: usize) -> Self {
        let mut scene = Self::new(profile, vec![(pool("p", "event", buffer_size), vec![process("p")])]);
        scene.says(0, b"READY\n");
        scene
    }

    /// Lets everything happen that is due; what was written to whom (its serial), killed, or otherwise told.
    fn go_on(&mut self) -> Vec<String> {
        self.supervisor.turn(self.now);
        let mut told = Vec::new();
        while let Some(step) = self.supervisor.next() {
            match step {
                Step::Spawn(id) => {
                    self.pids += 1;
                    self.supervisor.spawned(id, self.pids, self.now);
                }
                Step::Write(..) | Step::Close(_) => {}
                Step::Kill { process, signal, .. } => told.push(format!("kill -{signal} {process}")),
                Step::Report(Report::Listener { .. }) => {}
                Step::Report(report) => told.push(report.to_string()),
            }
        }
        told
    }

    fn says(&mut self, id: Id, output: &[u8]) -> Vec<String> {
        self.supervisor.output(id, output);
        self.go_on()
    }

    fn happens(&mut self, data: &str) -> Vec<String> {
        let payload = Payload { r#type: Some("t".into()), body: Some(data.into()), ..Payload::default() };
        self.supervisor.notify("REMOTE_COMMUNICATION", payload);
        self.go_on()
    }

    fn exits(&mut self, id: Id, status: i32) -> Vec<String> {
        self.supervisor.exited(id, Some(status), self.now);
        self.go_on()
    }

    fn after(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.go_on()
    }
}

#[test]
fn an_event_goes_out_with_the_numbers_of_its_pool_and_the_next_waits_for_ready() {
    let mut scene = Scene::ready(Profile::Python3, 10);
    let payload = Payload { when: Some(5), ..Payload::default() };
    scene.supervisor.notify("TICK_5", payload);
    scene.supervisor.turn(scene.now);
    let wire = b"ver:3.0 server:s serial:0 pool:p poolserial:0 eventname:TICK_5 len:6\nwhen:5".to_vec();
    assert_eq!(scene.supervisor.next(), Some(Step::Write(0, wire)));
    scene.go_on();
    assert_eq!(scene.happens("a"), [""; 0]);
    assert_eq!(scene.says(0, b"RESULT 2\nOK"), ["p accepted 0"]);
    assert_eq!(scene.says(0, b"READY\n"), ["p sent 1"]);
}

#[test]
fn a_rejected_event_comes_again_at_once_before_the_others() {
    let mut scene = Scene::ready(Profile::Python3, 10);
    assert_eq!(scene.happens("a"), ["p sent 0"]);
    scene.happens("b");
    assert_eq!(scene.says(0, FAIL), ["p rejected 0", "p sent 0"]);
    assert_eq!(scene.says(0, OK), ["p accepted 0", "p sent 1"]);
}

#[test]
fn a_full_buffer_drops_its_oldest_and_a_rejection_into_it_drops_one_more() {
    let mut scene = Scene::ready(Profile::Python3, 2);
    scene.happens("in hand");
    assert_eq!(scene.happens("b"), [""; 0]);
    assert_eq!(scene.happens("c"), [""; 0]);
    assert_eq!(scene.happens("d"), ["p dropped 1"]);
    assert_eq!(scene.says(0, FAIL), ["p rejected 0", "p dropped 2", "p sent 0"]);
    assert_eq!(scene.says(0, OK), ["p accepted 0", "p sent 3"]);
}

#[test]
fn the_first_ready_member_by_name_gets_the_event() {
    let members = vec![process("p_00"), process("p_01"), process("p_02")];
    let mut scene = Scene::new(Profile::Python3, vec![(pool("p", "event", 10), members)]);
    for id in [2, 1, 0] {
        scene.says(id, b"READY\n");
    }
    assert_eq!(scene.happens("a"), ["p:p_00 sent 0"]);
    assert_eq!(scene.happens("b"), ["p:p_01 sent 1"]);
    assert_eq!(scene.says(0, OK), ["p:p_00 accepted 0"]);
    assert_eq!(scene.happens("c"), ["p:p_00 sent 2"]);
    assert_eq!(
        scene.exits(1, 1),
        ["p:p_01 RUNNING -> EXITED", "p:p_01 rejected 1", "p:p_01 EXITED -> STARTING", "p:p_02 sent 1"]
    );
}

#[test]
fn an_event_that_is_subscribed_to_twice_comes_twice_with_the_same_numbers() {
    let mut scene = Scene::new(Profile::Python3, vec![(pool("p", "event,remote", 10), vec![process("p")])]);
    scene.says(0, b"READY\n");
    assert_eq!(scene.happens("a"), ["p sent 0"]);
    assert_eq!(scene.says(0, OK), ["p accepted 0", "p sent 0"]);
    assert_eq!(scene.says(0, OK), ["p accepted 0"]);
}

#[test]
fn a_rejected_event_leaks_into_pools_of_the_same_process_priority_and_no_other() {
    let other = ProcessConfig { priority: 5, ..process("c") };
    let sections = vec![
        (pool("a", "remote", 10), vec![process("a")]),
        (pool("b", "tick", 10), vec![process("b")]),
        (pool("c", "tick", 10), vec![other]),
    ];
    let mut scene = Scene::new(Profile::Python3, sections);
    (0..3).for_each(|id| drop(scene.says(id, b"READY\n")));
    assert_eq!(scene.happens("x"), ["a sent 0"]);
    assert_eq!(scene.says(0, FAIL), ["a rejected 0", "a sent 0", "b sent 0"]);
}

#[test]
fn a_listener_that_dies_busy_is_started_again_and_sent_the_event_again() {
    let slow = ProcessConfig { startsecs: Duration::from_secs(1), ..ProcessConfig::new("p") };
    let mut scene = Scene::new(Profile::Python3, vec![(pool("p", "event", 10), vec![slow])]);
    assert_eq!(scene.says(0, b"READY\n"), [""; 0]);
    assert_eq!(scene.happens("a"), [""; 0], "nothing before it is RUNNING");
    assert_eq!(scene.after(1), ["p STARTING -> RUNNING", "p sent 0"]);
    assert_eq!(scene.exits(0, 3), ["p RUNNING -> EXITED", "p rejected 0", "p EXITED -> STARTING"]);
    scene.says(0, b"READY\n");
    assert_eq!(scene.after(1), ["p STARTING -> RUNNING", "p sent 0"]);
    assert_eq!(scene.exits(0, 0), ["p RUNNING -> EXITED", "p rejected 0"], "0 is expected");
    assert!(scene.supervisor.waiting() == 1 && scene.supervisor.is_down());
}

#[test]
fn a_listener_that_does_not_stay_up_is_tried_three_times_more_after_longer_pauses() {
    let slow = ProcessConfig { startsecs: Duration::from_secs(1), ..ProcessConfig::new("p") };
    let mut scene = Scene::new(Profile::Python3, vec![(pool("p", "event", 10), vec![slow])]);
    for pause in 1..=3 {
        assert_eq!(scene.exits(0, 0), ["p STARTING -> BACKOFF"]);
        assert_eq!(scene.supervisor.due(), Some(scene.now + Duration::from_secs(pause)));
        assert_eq!(scene.after(pause), ["p BACKOFF -> STARTING"]);
    }
    assert_eq!(scene.exits(0, 0), ["p STARTING -> BACKOFF", "p BACKOFF -> FATAL"]);
    assert!(scene.supervisor.is_down());
}

#[test]
fn stop_is_the_stop_signal_then_after_stopwaitsecs_kill() {
    let mut scene = Scene::ready(Profile::Python3, 10);
    scene.supervisor.stop(0, scene.now);
    assert_eq!(scene.go_on(), ["p RUNNING -> STOPPING", "kill -15 0"]);
    assert_eq!(scene.happens("a"), [""; 0], "what is stopping is sent nothing");
    assert_eq!(scene.after(10), ["kill -9 0"]);
    scene.supervisor.exited(0, None, scene.now);
    assert_eq!(scene.go_on(), ["p STOPPING -> STOPPED"]);
    assert_eq!(scene.after(100), [""; 0]);
    scene.supervisor.start(0, scene.now);
    assert_eq!(scene.go_on(), ["p STOPPED -> STARTING", "p STARTING -> RUNNING"]);
    assert_eq!(scene.says(0, b"READY\n"), ["p sent 0"]);
}

#[test]
fn pools_are_stopped_one_after_another_the_highest_priority_first() {
    let late = PoolConfig { priority: 7, ..pool("late", "event", 10) };
    let sections = vec![(late, vec![process("late")]), (pool("early", "event", 10), vec![process("early")])];
    let mut scene = Scene::new(Profile::Python3, sections);
    scene.supervisor.shut_down(scene.now);
    assert_eq!(scene.go_on(), ["late RUNNING -> STOPPING", "kill -15 0"]);
    scene.supervisor.exited(0, None, scene.now);
    assert_eq!(scene.go_on(), ["late STOPPING -> STOPPED", "early RUNNING -> STOPPING", "kill -15 1"]);
    scene.supervisor.exited(1, Some(0), scene.now);
    scene.go_on();
    assert!(scene.supervisor.is_down());
}

#[test]
fn the_last_process_of_a_pool_is_stopped_first() {
    let sections = vec![(pool("p", "event", 10), vec![process("p_00"), process("p_01")])];
    let mut scene = Scene::new(Profile::Python3, sections);
    scene.supervisor.shut_down(scene.now);
    assert_eq!(
        scene.go_on(),
        ["p:p_01 RUNNING -> STOPPING", "kill -15 1", "p:p_00 RUNNING -> STOPPING", "kill -15 0"]
    );
}

#[test]
fn nothing_is_due_for_what_will_not_be_started_any_more() {
    let slow = ProcessConfig { startsecs: Duration::from_secs(1), ..ProcessConfig::new("b") };
    let again = ProcessConfig { autorestart: Autorestart::Always, ..process("a") };
    let sections = vec![(pool("a", "event", 10), vec![again]), (pool("b", "event", 10), vec![slow])];
    let mut scene = Scene::new(Profile::Python3, sections);
    scene.exits(1, 1);
    scene.supervisor.retire();
    assert_eq!(scene.exits(0, 1), ["a RUNNING -> EXITED"]);
    assert_eq!(scene.supervisor.due(), None);
    scene.supervisor.start(0, scene.now);
    assert_eq!(scene.go_on(), [""; 0]);
}

#[test]
fn processes_are_found_as_supervisorctl_finds_them() {
    let sections = vec![
        (pool("p", "event", 10), vec![process("00"), process("01")]),
        (pool("q", "event", 10), vec![process("00"), process("lone")]),
    ];
    let scene = Scene::new(Profile::Python3, sections);
    let find = |name: &str| scene.supervisor.find(name);
    assert_eq!(find("q:00"), [2]);
    assert_eq!(find("lone"), [3]);
    assert!(find("00").is_empty(), "there are two");
    assert_eq!(find("p"), [0, 1]);
    assert_eq!(find("q:*"), [2, 3]);
}

#[test]
fn a_poisoned_listener_gets_nothing_ever_again_and_its_event_goes_to_a_peer() {
    let sections = vec![(pool("p", "event", 10), vec![process("p_00"), process("p_01")])];
    let mut scene = Scene::new(Profile::Python3, sections);
    scene.says(0, b"READY\n");
    scene.says(1, b"READY\n");
    scene.happens("a");
    let told = scene.says(0, b"oh no\nREADY\n");
    assert_eq!(told, ["p:p_00 poisoned by 'oh no\\nREADY\\n'", "p:p_00 rejected 0", "p:p_01 sent 0"]);
    assert_eq!(scene.says(0, b"READY\n"), [""; 0]);
    assert_eq!(scene.supervisor.listener_state(0), ListenerState::Unknown);
}

#[test]
fn a_listener_that_has_closed_its_input_is_passed_over() {
    let sections = vec![(pool("p", "event", 10), vec![process("p_00"), process("p_01")])];
    let mut scene = Scene::new(Profile::Python3, sections);
    scene.says(0, b"READY\n");
    scene.says(1, b"READY\n");
    scene.supervisor.notify("TICK_5", Payload::default());
    scene.supervisor.turn(scene.now);
    assert!(matches!(scene.supervisor.next(), Some(Step::Write(0, _))));
    scene.supervisor.deaf(0);
    assert_eq!(scene.go_on(), ["p:p_01 sent 0"]);
    assert_eq!(scene.supervisor.listener_state(0), ListenerState::Ready, "as supervisord leaves it");
}

#[test]
fn changes_of_the_listeners_own_state_are_events_when_announced() {
    let config = SupervisorConfig {
        profile: Profile::Python3,
        identifier: "s".into(),
        len: None,
        announce: true,
        groups: Vec::new(),
    };
    let sections = vec![(pool("p", "process_state", 10), vec![process("p")])];
    let supervisor = Supervisor::new(config, sections);
    let mut scene = Scene { supervisor, now: Instant::now(), pids: 0 };
    assert_eq!(scene.go_on(), ["p STOPPED -> STARTING"]);
    assert_eq!(scene.go_on(), ["p STARTING -> RUNNING"]);
    assert_eq!(scene.says(0, b"READY\n"), ["p sent 0"]);
    assert_eq!(scene.says(0, OK), ["p accepted 0", "p sent 1"]);
}

#[test]
fn in_go_numbers_begin_at_one_the_newest_is_dropped_and_every_process_is_a_pool() {
    let sections = vec![(pool("p", "event", 1), vec![process("p_00"), process("p_01")])];
    let mut scene = Scene::new(Profile::Go, sections);
    scene.says(0, b"hello\nREADY\n");
    scene.says(1, b"READY\n");
    assert_eq!(scene.happens("a"), ["p:p_00 sent 1", "p:p_01 sent 1"]);
    assert_eq!(scene.happens("b"), [""; 0]);
    assert_eq!(scene.happens("c"), ["p dropped 3", "p dropped 3"]);
    assert_eq!(scene.says(0, FAIL), ["p:p_00 rejected 1", "p:p_00 sent 1"]);
    assert_eq!(scene.says(0, b"RESULT 1\n?"), ["p:p_00 rejected 1", "p:p_00 sent 1"]);
    assert_eq!(scene.says(0, b"what\n"), ["p:p_00 rejected 1"]);
    assert_eq!(scene.says(0, b"READY\n"), ["p:p_00 sent 1"]);
    assert_eq!(scene.says(0, OK), ["p:p_00 accepted 1", "p:p_00 sent 2"]);
}

#[test]
fn in_go_log_events_have_no_channel_and_some_events_do_not_exist() {
    let mut scene = Scene::ready(Profile::Go, 10);
    let payload = Payload {
        pid: Some(1),
        channel: Some("stderr".into()),
        body: Some("é".into()),
        ..Payload::default()
    };
    scene.supervisor.notify("PROCESS_GROUP_ADDED", Payload::default());
    scene.supervisor.notify("PROCESS_LOG_STDERR", payload);
    scene.supervisor.turn(scene.now);
    let wire = "ver:3.0 server:s serial:2 pool:p poolserial:1 eventname:PROCESS_LOG_STDOUT len:8\npid:1\né";
    assert_eq!(scene.supervisor.next(), Some(Step::Write(0, wire.into())));
}

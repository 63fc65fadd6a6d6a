//! One supervisord and its processes, as far as its events show them: states follow each other as supervisor's do, and
//! every serial, pid and time follows the one before.

use jiff::{SignedDuration, Timestamp};
use supd_core::{Payload, Record, State};

use super::rng::Rng;

/// A simulated supervisord. Its methods let something happen and append the events.
pub(crate) struct World {
    host: String,
    boot: String,
    pub(crate) now: Timestamp,
    serial: u64,
    next_pid: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) events: Vec<Record>,
}

/// A process of a simulated supervisord.
#[derive(Clone)]
pub(crate) struct Process {
    group: String,
    name: String,
    state: State,
    pid: u64,
}

impl Process {
    /// `group:name`, or the name alone where both are the same.
    pub(crate) fn name(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    fn named(name: &str, state: State, pid: u64) -> Self {
        let (group, name) = name.split_once(':').unwrap_or((name, name));
        Self { group: group.to_owned(), name: name.to_owned(), state, pid }
    }
}

impl World {
    /// A supervisord that has not started anything, with these processes (`group:name`, or a name alone).
    pub(crate) fn new(host: &str, now: Timestamp, rng: &mut Rng, names: &[&str]) -> Self {
        let process = |name: &&str| Process::named(name, State::Stopped, 0);
        Self {
            host: host.to_owned(),
            boot: format!("{:08x}-1-{}", rng.between(0, u32::MAX.into()), rng.between(100, 99_999)),
            now,
            serial: 0,
            next_pid: rng.between(300, 20_000),
            processes: names.iter().map(process).collect(),
            events: Vec::new(),
        }
    }

    /// The process of this name; one that has not been heard of has been RUNNING all along.
    pub(crate) fn process(&mut self, name: &str) -> usize {
        let is_meant = |process: &Process| {
            format!("{}:{}", process.group, process.name) == name || process.name() == name
        };
        let called: Vec<usize> =
            (0..self.processes.len()).filter(|&index| self.processes[index].name == name).collect();
        match (self.processes.iter().position(is_meant), &called[..]) {
            (Some(known), _) | (None, &[known]) => return known,
            _ => {}
        }
        self.next_pid += 1;
        self.processes.push(Process::named(name, State::Running, self.next_pid));
        self.processes.len() - 1
    }

    pub(crate) fn wait_ms(&mut self, ms: u64) {
        let span = SignedDuration::from_millis(i64::try_from(ms).expect("a span of years at most"));
        self.now += span;
    }

    /// supervisord starts, and everything with it.
    pub(crate) fn boot(&mut self, startsecs_ms: u64) {
        self.emit("SUPERVISOR_STATE_CHANGE_RUNNING", Payload::default());
        for index in 0..self.processes.len() {
            self.starting(index, 0);
            self.wait_ms(2);
        }
        self.wait_ms(startsecs_ms);
        (0..self.processes.len()).for_each(|index| self.running(index));
    }

    pub(crate) fn starting(&mut self, index: usize, tries: u64) {
        self.next_pid += 1;
        self.processes[index].pid = self.next_pid;
        self.change(index, State::Starting, |payload, _| payload.tries = Some(tries));
    }

    pub(crate) fn running(&mut self, index: usize) {
        self.change(index, State::Running, |payload, pid| payload.pid = Some(pid));
    }

    pub(crate) fn exited(&mut self, index: usize, expected: bool) {
        self.change(index, State::Exited, |payload, pid| {
            payload.expected = Some(expected);
            payload.pid = Some(pid);
        });
    }

    /// A process that ended after it was RUNNING comes back.
    pub(crate) fn restarted(&mut self, index: usize, startsecs_ms: u64) {
        self.wait_ms(1);
        self.starting(index, 0);
        self.wait_ms(startsecs_ms);
        self.running(index);
    }

    /// A process that does not come up: three more tries, each after a longer pause, and the end.
    pub(crate) fn gives_up(&mut self, index: usize, pause_ms: u64) {
        for tries in 1..=4 {
            self.wait_ms(pause_ms / 10);
            self.change(index, State::Backoff, |payload, _| payload.tries = Some(tries));
            if tries == 4 {
                self.change(index, State::Fatal, |_, _| {});
            } else {
                self.wait_ms(pause_ms * tries);
                self.starting(index, tries);
            }
        }
    }

    pub(crate) fn stopped(&mut self, index: usize, ms: u64) {
        self.change(index, State::Stopping, |payload, pid| payload.pid = Some(pid));
        self.wait_ms(ms);
        self.change(index, State::Stopped, |payload, pid| payload.pid = Some(pid));
    }

    /// A process writes to its standard output or error.
    pub(crate) fn logs(&mut self, index: usize, channel: &str, text: &str) {
        let payload = Payload { channel: Some(channel.to_owned()), ..self.said(index, text) };
        self.emit(&format!("PROCESS_LOG_{}", channel.to_ascii_uppercase()), payload);
    }

    /// A process writes between supervisor's communication tokens.
    pub(crate) fn communicates(&mut self, index: usize, text: &str) {
        let payload = self.said(index, text);
        self.emit("PROCESS_COMMUNICATION_STDOUT", payload);
    }

    fn said(&self, index: usize, text: &str) -> Payload {
        let Process { group, name, pid, .. } = self.processes[index].clone();
        Payload {
            processname: Some(name),
            groupname: Some(group),
            pid: Some(pid),
            body: Some(text.into()),
            ..Payload::default()
        }
    }

    pub(crate) fn shut_down(&mut self) {
        self.emit("SUPERVISOR_STATE_CHANGE_STOPPING", Payload::default());
    }

    fn change(&mut self, index: usize, state: State, fill: impl Fn(&mut Payload, u64)) {
        let process = &mut self.processes[index];
        let mut payload = Payload {
            processname: Some(process.name.clone()),
            groupname: Some(process.group.clone()),
            from_state: Some(process.state.name().to_owned()),
            ..Payload::default()
        };
        fill(&mut payload, process.pid);
        process.state = state;
        self.emit(&format!("PROCESS_STATE_{}", state.name()), payload);
    }

    fn emit(&mut self, eventname: &str, payload: Payload) {
        self.events.push(Record {
            ts: Some(format!("{:.3}", self.now)),
            host: Some(self.host.clone()),
            boot: Some(self.boot.clone()),
            ver: Some("3.0".to_owned()),
            server: Some("supervisor".to_owned()),
            serial: Some(self.serial),
            pool: Some("alerts".to_owned()),
            poolserial: Some(self.serial),
            eventname: eventname.to_owned(),
            payload,
            ..Record::default()
        });
        self.serial += 1;
    }
}

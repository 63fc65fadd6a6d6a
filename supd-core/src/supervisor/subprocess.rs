//! The life of one process under supervisord: which state follows which, and when.
//!
//! ```text
//! Stopped --start--> Starting --startsecs--> Running --exit--> Exited --autorestart--> Starting
//!                       |  ^                    |
//!                     exit |1 s, 2 s, …       stop
//!                       v  |                    v
//!                      Backoff --startretries--> Fatal     Stopping --exit--> Stopped
//! ```
//!
//! The same steps as Subprocess in supervisor's process.py. Time is passed in.

use std::time::{Duration, Instant};

use crate::event::Payload;
use crate::kind::State;

/// When a process that has ended by itself is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Autorestart {
    /// Never
    #[value(name = "false")]
    Never,
    /// When its exit status is none of exitcodes, or a signal ended it
    #[default]
    Unexpected,
    /// Always
    #[value(name = "true")]
    Always,
}

/// A process's part of a configuration, by supervisor's names.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Its name within its group.
    pub name: String,
    /// Processes of equal priority share rejected events, and are stopped together.
    pub priority: i64,
    /// Whether it is started at the beginning.
    pub autostart: bool,
    /// Whether it is started again after its end.
    pub autorestart: Autorestart,
    /// How long it must stay up to be RUNNING.
    pub startsecs: Duration,
    /// How often a start is tried again before FATAL.
    pub startretries: u32,
    /// Exit statuses that are expected.
    pub exitcodes: Vec<i32>,
    /// What it is sent to stop, by number.
    pub stopsignal: i32,
    /// How long it may take to stop before SIGKILL.
    pub stopwaitsecs: Duration,
    /// Whether the stop signal goes to its whole process group.
    pub stopasgroup: bool,
    /// Whether SIGKILL goes to its whole process group.
    pub killasgroup: bool,
}

impl ProcessConfig {
    /// What supervisord takes where a section says nothing.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            priority: 999,
            autostart: true,
            autorestart: Autorestart::default(),
            startsecs: Duration::from_secs(1),
            startretries: 3,
            exitcodes: vec![0],
            stopsignal: SIGTERM,
            stopwaitsecs: Duration::from_secs(10),
            stopasgroup: false,
            killasgroup: false,
        }
    }
}

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The state that was left.
    pub from: State,
    /// The state that was entered.
    pub to: State,
    /// Of EXITED: whether the exit status was one of `exitcodes`.
    pub expected: bool,
    /// Of STARTING and BACKOFF: how often it has been tried.
    pub tries: u32,
    /// The process id, 0 while there is none.
    pub pid: u32,
}

impl Change {
    /// The name of the event that tells of it.
    pub fn eventname(&self) -> String {
        format!("PROCESS_STATE_{}", self.to.name())
    }

    /// What that event says.
    pub fn payload(&self, processname: &str, groupname: &str) -> Payload {
        let with_tries = matches!(self.to, State::Starting | State::Backoff);
        let with_pid = matches!(self.to, State::Running | State::Exited | State::Stopping | State::Stopped);
        Payload {
            processname: Some(processname.to_owned()),
            groupname: Some(groupname.to_owned()),
            from_state: Some(self.from.name().to_owned()),
            tries: with_tries.then_some(self.tries.into()),
            expected: (self.to == State::Exited).then_some(self.expected),
            pid: with_pid.then_some(self.pid.into()),
            ..Payload::default()
        }
    }
}

/// What happens to a process, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Change(Change),
    Spawn,
    Kill { signal: i32, as_group: bool },
}

/// One process and where it stands.
#[derive(Debug)]
pub(super) struct Subprocess {
    pub(super) config: ProcessConfig,
    state: State,
    pid: u32,
    tries: u32,
    /// Whether its end was asked for.
    killing: bool,
    started: Option<Instant>,
    /// When BACKOFF or STOPPING is over.
    until: Option<Instant>,
    exit_status: Option<i32>,
}

impl Subprocess {
    pub(super) fn new(config: ProcessConfig) -> Self {
        Self {
            config,
            state: State::Stopped,
            pid: 0,
            tries: 0,
            killing: false,
            started: None,
            until: None,
            exit_status: None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    fn change(&mut self, to: State, expected: bool) -> Act {
        let from = std::mem::replace(&mut self.state, to);
        if to == State::Backoff {
            self.tries += 1;
        }
        Act::Change(Change { from, to, expected, tries: self.tries, pid: self.pid })
    }

    /// What time alone brings about; a supervisord that shuts down starts nothing.
    pub(super) fn transition(&mut self, now: Instant, shutting_down: bool) -> Vec<Act> {
        let is_due = self.due(shutting_down).is_some_and(|due| due <= now);
        let has_another_try = self.tries <= self.config.startretries;
        match self.state {
            State::Exited if self.restarts() && !shutting_down => self.start(now),
            State::Stopped if self.started.is_none() && self.config.autostart && !shutting_down => {
                self.start(now)
            }
            State::Backoff if !has_another_try => vec![self.give_up()],
            State::Backoff if is_due && !shutting_down => self.start(now),
            State::Starting if is_due => {
                self.tries = 0;
                vec![self.change(State::Running, true)]
            }
            State::Stopping if is_due => {
                self.until = Some(now + self.config.stopwaitsecs);
                vec![Act::Kill { signal: SIGKILL, as_group: self.config.killasgroup }]
            }
            _ => Vec::new(),
        }
    }

    /// When time alone will next change something; in the past when that is now.
    pub(super) fn due(&self, shutting_down: bool) -> Option<Instant> {
        match self.state {
            State::Starting if self.pid != 0 => Some(self.started? + self.config.startsecs),
            State::Backoff if self.tries > self.config.startretries => self.started,
            State::Exited if self.restarts() && !shutting_down => self.started,
            State::Backoff if !shutting_down => self.until,
            State::Stopping => self.until,
            _ => None,
        }
    }

    fn restarts(&self) -> bool {
        match self.config.autorestart {
            Autorestart::Never => false,
            Autorestart::Always => true,
            Autorestart::Unexpected => !self.exit_is_expected(),
        }
    }

    fn exit_is_expected(&self) -> bool {
        self.exit_status.is_some_and(|status| self.config.exitcodes.contains(&status))
    }

    /// Starts it; nothing while it runs.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Act> {
        if !matches!(self.state, State::Stopped | State::Exited | State::Fatal | State::Backoff) {
            return Vec::new();
        }
        self.killing = false;
        self.started = Some(now);
        self.exit_status = None;
        vec![self.change(State::Starting, true), Act::Spawn]
    }

    pub(super) fn spawned(&mut self, pid: u32, now: Instant) {
        self.pid = pid;
        self.started = Some(now);
    }

    pub(super) fn spawn_failed(&mut self, now: Instant) -> Vec<Act> {
        vec![self.back_off(now)]
    }

    fn back_off(&mut self, now: Instant) -> Act {
        let act = self.change(State::Backoff, true);
        // One second longer at every try.
        self.until = Some(now + Duration::from_secs(self.tries.into()));
        act
    }

    fn give_up(&mut self) -> Act {
        self.tries = 0;
        self.change(State::Fatal, true)
    }

    /// It has been reaped; a signal has no exit status.
    pub(super) fn exited(&mut self, status: Option<i32>, now: Instant) -> Vec<Act> {
        self.exit_status = status;
        let too_quickly = self.started.is_some_and(|started| now < started + self.config.startsecs);
        let mut acts = Vec::new();
        if self.killing {
            self.killing = false;
            acts.push(self.change(State::Stopped, true));
        } else if too_quickly {
            acts.push(self.back_off(now));
        } else {
            self.tries = 0;
            if self.state == State::Starting {
                acts.push(self.change(State::Running, true));
            }
            acts.push(self.change(State::Exited, self.exit_is_expected()));
        }
        self.pid = 0;
        acts
    }

    /// Stops it; what waits for another try is given up at once.
    pub(super) fn stop(&mut self, now: Instant) -> Vec<Act> {
        match self.state {
            State::Backoff => vec![self.change(State::Stopped, true)],
            State::Running | State::Starting => {
                self.killing = true;
                self.until = Some(now + self.config.stopwaitsecs);
                let kill = Act::Kill { signal: self.config.stopsignal, as_group: self.config.stopasgroup };
                vec![self.change(State::Stopping, true), kill]
            }
            _ => Vec::new(),
        }
    }

    /// As [`Self::stop`], when supervisord itself shuts down.
    pub(super) fn shut_down(&mut self, now: Instant) -> Vec<Act> {
        match self.state {
            State::Backoff => vec![self.give_up()],
            _ => self.stop(now),
        }
    }

    /// Whether nothing of it runs.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, State::Stopped | State::Exited | State::Fatal | State::Unknown)
    }

    /// Whether nothing of it runs or will run by itself.
    pub(super) fn is_down_for_good(&self, shutting_down: bool) -> bool {
        let is_new = self.state == State::Stopped && self.started.is_none() && self.config.autostart;
        self.is_down() && self.due(shutting_down).is_none() && (shutting_down || !is_new)
    }
}

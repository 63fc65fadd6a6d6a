//! The programs beside the listeners: nobody starts them, they only have states, and events.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use supd_core::{Payload, State};

use super::command::row;
use crate::generate::{Rng, World};

/// supervisord's default.
const STARTSECS: Duration = Duration::from_secs(1);

/// Simulated programs, each RUNNING when it is first named.
pub(super) struct Programs {
    world: World,
    /// Those that will be RUNNING, and when.
    starting: Vec<(Instant, usize)>,
}

impl Programs {
    pub(super) fn new() -> Self {
        let world = World::new("localhost", Timestamp::now(), &mut Rng::new(1), &[]);
        Self { world, starting: Vec::new() }
    }

    pub(super) fn exit(&mut self, name: &str, expected: bool, now: Instant) {
        let program = self.find(name);
        self.world.exited(program, expected);
        if !expected {
            self.start_again(program, now);
        }
    }

    pub(super) fn fatal(&mut self, name: &str) {
        let program = self.find(name);
        if self.world.processes[program].state() == State::Running {
            self.world.exited(program, false);
        }
        self.world.starting(program, 0);
        self.world.gives_up(program, 0);
    }

    pub(super) fn start(&mut self, name: &str, now: Instant) {
        let program = self.find(name);
        if !matches!(self.world.processes[program].state(), State::Running | State::Starting) {
            self.start_again(program, now);
        }
    }

    pub(super) fn stop(&mut self, name: &str) {
        let program = self.find(name);
        if matches!(self.world.processes[program].state(), State::Running | State::Starting) {
            self.world.stopped(program, 0);
        }
    }

    fn start_again(&mut self, program: usize, now: Instant) {
        self.world.starting(program, 0);
        self.starting.push((now + STARTSECS, program));
    }

    pub(super) fn log(&mut self, name: &str, channel: &str, text: &str) {
        let program = self.find(name);
        self.world.logs(program, channel, text);
    }

    pub(super) fn communicate(&mut self, name: &str, text: &str) {
        let program = self.find(name);
        self.world.communicates(program, text);
    }

    /// A program of this name; what is asked of it ends what it was about to become.
    fn find(&mut self, name: &str) -> usize {
        let program = self.world.process(name);
        self.starting.retain(|&(_, starting)| starting != program);
        program
    }

    /// When the next program will be RUNNING.
    pub(super) fn due(&self) -> Option<Instant> {
        self.starting.iter().map(|(at, _)| *at).min()
    }

    /// What has happened by now.
    pub(super) fn events(&mut self, now: Instant) -> impl Iterator<Item = (String, Payload)> {
        for &(_, program) in self.starting.iter().filter(|(at, _)| *at <= now) {
            self.world.running(program);
        }
        self.starting.retain(|(at, _)| *at > now);
        std::mem::take(&mut self.world.events).into_iter().map(|record| (record.eventname, record.payload))
    }

    /// A line for each.
    pub(super) fn table(&self) -> String {
        self.world.processes.iter().map(|process| row(&process.name(), process.state(), "")).collect()
    }
}

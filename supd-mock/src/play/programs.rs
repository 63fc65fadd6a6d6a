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
    /// These are there from the beginning.
    pub(super) fn new(names: &[String]) -> Self {
        let mut world = World::new("localhost", Timestamp::now(), &mut Rng::new(1), &[]);
        for name in names {
            world.process(name);
        }
        Self { world, starting: Vec::new() }
    }

    /// It ends; one that is only STARTING is RUNNING before that.
    ///
    /// # Errors
    /// It does not run.
    pub(super) fn exit(&mut self, name: &str, expected: bool, now: Instant) -> Result<(), String> {
        let program = self.up(name)?;
        self.world.exited(program, expected);
        if !expected {
            self.start_again(program, now);
        }
        Ok(())
    }

    /// It ends, and does not come up again.
    ///
    /// # Errors
    /// It does not run.
    pub(super) fn fatal(&mut self, name: &str) -> Result<(), String> {
        let program = self.up(name)?;
        self.world.exited(program, false);
        self.world.starting(program, 0);
        self.world.gives_up(program, 0);
        Ok(())
    }

    fn up(&mut self, name: &str) -> Result<usize, String> {
        let program = self.world.process(name);
        match self.world.processes[program].state() {
            State::Running => {}
            State::Starting => self.become_running(program),
            state => return Err(format!("it is {}; start it first", state.name())),
        }
        Ok(program)
    }

    pub(super) fn start(&mut self, name: &str, now: Instant) {
        let program = self.world.process(name);
        if !self.is_up(program) {
            self.start_again(program, now);
        }
    }

    pub(super) fn stop(&mut self, name: &str) {
        let program = self.world.process(name);
        if self.is_up(program) {
            self.starting.retain(|&(_, starting)| starting != program);
            self.world.stopped(program, 0);
        }
    }

    fn is_up(&self, program: usize) -> bool {
        matches!(self.world.processes[program].state(), State::Running | State::Starting)
    }

    fn start_again(&mut self, program: usize, now: Instant) {
        self.world.starting(program, 0);
        self.starting.push((now + STARTSECS, program));
    }

    fn become_running(&mut self, program: usize) {
        self.starting.retain(|&(_, starting)| starting != program);
        self.world.running(program);
    }

    pub(super) fn log(&mut self, name: &str, channel: &str, text: &str) {
        let program = self.world.process(name);
        self.world.logs(program, channel, text);
    }

    pub(super) fn communicate(&mut self, name: &str, text: &str) {
        let program = self.world.process(name);
        self.world.communicates(program, text);
    }

    /// When the next program will be RUNNING.
    pub(super) fn due(&self) -> Option<Instant> {
        self.starting.iter().map(|(at, _)| *at).min()
    }

    /// What has happened by now.
    pub(super) fn events(&mut self, now: Instant) -> impl Iterator<Item = (String, Payload)> {
        let due: Vec<usize> =
            self.starting.iter().filter(|(at, _)| *at <= now).map(|&(_, program)| program).collect();
        due.into_iter().for_each(|program| self.become_running(program));
        std::mem::take(&mut self.world.events).into_iter().map(|record| (record.eventname, record.payload))
    }

    /// A line for each.
    pub(super) fn table(&self) -> String {
        self.world.processes.iter().map(|process| row(&process.name(), process.state(), "")).collect()
    }
}

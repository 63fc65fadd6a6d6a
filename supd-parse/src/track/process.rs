//! The life of one process, as far as its events tell. It never reads a clock: moments are milliseconds since the epoch.
//!
//! ```text
//! STARTING --> RUNNING --uptime--> EXITED, STOPPED, FATAL, UNKNOWN (an end) --STARTING, BACKOFF…--> RUNNING: restarted
//! ```

use std::collections::VecDeque;

use supd_core::State;

use super::added::Millis;

/// More restarts of one process in the window are counted as so many.
pub(super) const MAX_RESTARTS: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For how long a restart counts.
    pub(super) window: i64,
    /// A process flaps that is restarted so often…
    pub(super) flaps: usize,
    /// … in such a time.
    pub(super) flap: i64,
}

/// What a record tells of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) state: State,
    /// The state that it was in before.
    pub(super) from: Option<State>,
    pub(super) expected: Option<bool>,
    pub(super) pid: Option<u64>,
    /// When; the last moment that is known where the record does not say.
    pub(super) at: Option<i64>,
}

/// What follows from a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) uptime: Option<Millis>,
    pub(super) downtime: Option<Millis>,
    pub(super) restarted: Option<Restart>,
    /// It flaps from here on.
    pub(super) flaps: Option<Flapping>,
    /// It flapped, and has been stopped.
    pub(super) stopped: Option<Flapping>,
}

/// A process that had ended is RUNNING again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restart {
    pub(super) end: End,
    /// Of the run before.
    pub(super) uptime: Option<Millis>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The last state before it was started again; unknown where no event told.
    pub(super) state: Option<State>,
    pub(super) expected: Option<bool>,
    /// Since when it was not there.
    pub(super) since: Option<i64>,
}

/// A row of restarts that has not come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flapping {
    /// When the first restart was that counted.
    pub(super) since: i64,
    /// How many there have been.
    pub(super) count: u64,
}

/// A process.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) state: Option<State>,
    pid: Option<u64>,
    /// Since when it has been RUNNING.
    pub(super) running: Option<i64>,
    /// Its first start was seen, and it has not been RUNNING: however it ends, it was not there before.
    never_ran: bool,
    end: Option<End>,
    /// Of its last run.
    uptime: Option<Millis>,
    /// When it was restarted.
    restarts: VecDeque<i64>,
    /// How many of them are not from before somebody stopped it.
    in_a_row: usize,
    pub(super) flapping: Option<Flapping>,
}

impl Process {
    /// Another supervisord has it now: how it ended under the one before was not seen.
    pub(super) fn begin_anew(&mut self) {
        let restarts = std::mem::take(&mut self.restarts);
        *self = Self { restarts, in_a_row: self.in_a_row, flapping: self.flapping, ..Self::default() };
    }

    /// Takes a change.
    pub(super) fn apply(&mut self, change: &Change, limits: &Limits) -> Effect {
        let mut effect = Effect::default();
        let before = self.state.replace(change.state);
        match change.state {
            State::Running => {
                self.run(before, change, limits, &mut effect);
                return effect;
            }
            State::Starting => self.start(before, change),
            State::Backoff if before == Some(State::Running) => self.end = Some(End::default()),
            State::Stopping | State::Exited | State::Stopped | State::Unknown | State::Fatal
                if before == Some(State::Running) =>
            {
                effect.uptime = Millis::between(self.running, change.at);
                self.uptime = effect.uptime;
            }
            _ => {}
        }
        self.running = None;
        if matches!(change.state, State::Exited | State::Stopped | State::Fatal | State::Unknown) {
            self.end(before, change);
        }
        if change.state == State::Stopped {
            self.in_a_row = 0;
            effect.stopped = self.flapping.take();
        }
        effect
    }

    fn start(&mut self, before: Option<State>, change: &Change) {
        match before {
            // Its end was not seen, but there must have been one.
            Some(State::Running) => {
                self.uptime = None;
                self.end = Some(End { state: change.from, ..End::default() });
            }
            None if matches!(change.from, Some(State::Exited | State::Fatal)) => {
                self.end = Some(End { state: change.from, ..End::default() });
            }
            // supervisord has every process STOPPED before its first start.
            None => self.never_ran = change.from == Some(State::Stopped),
            _ => {}
        }
    }

    fn end(&mut self, before: Option<State>, change: &Change) {
        let is_exit = change.state == State::Exited;
        if is_exit {
            self.never_ran = false;
            if before != Some(State::Running) {
                // It must have been RUNNING, which was not seen.
                (self.end, self.uptime) = (None, None);
            }
        }
        if !self.never_ran {
            let end = self.end.get_or_insert(End { since: change.at, ..End::default() });
            end.state = Some(change.state);
            end.expected = change.expected.filter(|_| is_exit);
        }
    }

    fn run(&mut self, before: Option<State>, change: &Change, limits: &Limits, effect: &mut Effect) {
        let pid = self.pid;
        self.pid = change.pid.or(pid);
        if before == Some(State::Running) {
            if pid.is_none() || pid == self.pid {
                return;
            }
            (self.end, self.uptime) = (Some(End::default()), None);
        }
        self.never_ran = false;
        self.running = change.at;
        let Some(end) = self.end.take() else { return };
        effect.downtime = Millis::between(end.since, change.at);
        effect.restarted = Some(Restart { end, uptime: self.uptime.take() });
        self.count(end, change.at, limits);
        effect.flaps = change.at.and_then(|at| self.begin_to_flap(at, limits));
    }

    fn count(&mut self, end: End, at: Option<i64>, limits: &Limits) {
        self.forget(at, limits);
        if self.restarts.len() == MAX_RESTARTS {
            self.restarts.pop_front();
        }
        self.restarts.push_back(at.unwrap_or_default());
        // Whoever restarts it by hand does not make it flap.
        self.in_a_row = if end.state == Some(State::Stopped) { 0 } else { self.in_a_row + 1 };
        if let Some(flapping) = &mut self.flapping {
            flapping.count += 1;
        }
    }

    fn begin_to_flap(&mut self, at: i64, limits: &Limits) -> Option<Flapping> {
        if self.flapping.is_some() || self.in_a_row < limits.flaps {
            return None;
        }
        let since = *self.restarts.get(self.restarts.len().checked_sub(limits.flaps)?)?;
        if since <= at.saturating_sub(limits.flap) {
            return None;
        }
        self.flapping = Some(Flapping { since, count: limits.flaps as u64 });
        self.flapping
    }

    /// How many restarts there were in the window.
    pub(super) fn restarts(&mut self, at: Option<i64>, limits: &Limits) -> u64 {
        self.forget(at, limits);
        let begin = at.map_or(i64::MIN, |at| at.saturating_sub(limits.window));
        self.restarts.iter().filter(|restart| **restart > begin).count() as u64
    }

    fn forget(&mut self, at: Option<i64>, limits: &Limits) {
        let Some(begin) = at.map(|at| at.saturating_sub(limits.window.max(limits.flap))) else { return };
        while self.restarts.front().is_some_and(|restart| *restart <= begin) {
            self.restarts.pop_front();
        }
    }

    /// When it will have been RUNNING for so long that it flaps no more.
    pub(super) fn calm(&self, limits: &Limits) -> Option<i64> {
        self.flapping?;
        self.running.map(|running| running.saturating_add(limits.flap))
    }
}

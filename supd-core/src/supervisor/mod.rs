//! supervisord's side of the protocol, without processes, pipes or a clock: which event goes to which listener, and
//! what becomes of both.
//!
//! The caller does what [`Supervisor::next`] says (start, write, signal, close), tells what came of it, and says what
//! time it is. As in supervisord's own loop, all that the listeners wrote is taken in first
//! ([`Supervisor::output`]), then [`Supervisor::turn`] moves things on.

mod delivery;
mod dispatcher;
mod pool;
mod profile;
mod report;
mod subprocess;

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::time::Instant;

pub use dispatcher::{Dispatcher, ListenerState, Reaction};
pub use pool::PoolConfig;
pub use profile::Profile;
pub use report::Report;
pub use subprocess::{Autorestart, Change, ProcessConfig};

use crate::event::Payload;
use crate::kind::State;
use crate::wire::LenUnit;
use pool::{Noted, Pool};
use subprocess::{Act, Subprocess};

/// A listener process, by the order in which they were configured.
pub type Id = usize;

/// What the caller is to do, or to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Start this process, then call [`Supervisor::spawned`] or [`Supervisor::spawn_failed`].
    Spawn(Id),
    /// Write an event to this process's standard input; [`Supervisor::deaf`] when that has been closed.
    Write(Id, Vec<u8>),
    /// Signal this process, or its whole group.
    Kill {
        /// Whom.
        process: Id,
        /// The signal's number.
        signal: i32,
        /// Whether the group is meant.
        as_group: bool,
    },
    /// Close our ends of this process's pipes: it has been reaped.
    Close(Id),
    /// Something worth knowing.
    Report(Report),
}

/// What all pools of one supervisord have in common.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// Which supervisord this is.
    pub profile: Profile,
    /// Its `identifier`.
    pub identifier: String,
    /// What `len` counts, where it is not the profile's.
    pub len: Option<LenUnit>,
    /// Whether the listeners' own changes of state are events too.
    pub announce: bool,
    /// Groups of programs, with their priorities, of which only that they are added is told.
    pub groups: Vec<(i64, String)>,
}

#[derive(Debug)]
struct Member {
    /// As [`Supervisor::name`] gives it.
    name: String,
    process: Subprocess,
    pool: usize,
    dispatcher: Dispatcher,
    in_hand: Option<Rc<Noted>>,
    /// Whether its standard input is known to be closed.
    deaf: bool,
}

/// A supervisord with its pools of listeners.
#[derive(Debug)]
pub struct Supervisor {
    config: SupervisorConfig,
    pools: Vec<Pool>,
    /// Each pool's next number; in Go, the processes of one section share it.
    poolserials: Vec<u64>,
    sections: Vec<usize>,
    members: Vec<Member>,
    serial: u64,
    steps: VecDeque<Step>,
    /// The time of the turn that is being made, the pools whose part in it is to come, and the one that sends events.
    now: Option<Instant>,
    moving: VecDeque<usize>,
    dispatching: Option<usize>,
    holding: bool,
    /// Whether nothing is started any more.
    retired: bool,
    /// The pools that are still to be stopped, last first.
    stopping: Option<Vec<usize>>,
}

impl Supervisor {
    /// A supervisord that has started nothing yet. Each section comes with its processes.
    pub fn new(config: SupervisorConfig, sections: Vec<(PoolConfig, Vec<ProcessConfig>)>) -> Self {
        let first = config.profile.first_serial();
        let mut supervisor = Self {
            serial: first,
            poolserials: vec![first; sections.len()],
            pools: Vec::new(),
            sections: Vec::new(),
            members: Vec::new(),
            steps: VecDeque::new(),
            now: None,
            moving: VecDeque::new(),
            dispatching: None,
            holding: false,
            retired: false,
            stopping: None,
            config,
        };
        for (section, (pool, processes)) in sections.into_iter().enumerate() {
            // In Go every process is a pool of its own.
            let apart = supervisor.config.profile == Profile::Go;
            for (number, process) in processes.into_iter().enumerate() {
                if number == 0 || apart {
                    supervisor.add_pool(pool.clone(), section);
                }
                let (group, name) = (&pool.name, &process.name);
                supervisor.members.push(Member {
                    name: if group == name { name.clone() } else { format!("{group}:{name}") },
                    process: Subprocess::new(process),
                    pool: supervisor.pools.len() - 1,
                    dispatcher: Dispatcher::new(supervisor.config.profile),
                    in_hand: None,
                    deaf: false,
                });
            }
        }
        supervisor
    }

    fn add_pool(&mut self, config: PoolConfig, section: usize) {
        self.pools.push(Pool::new(config, self.config.profile, self.pools.len()));
        self.sections.push(section);
    }

    /// Moves things on: pool by pool, what is due happens, and events go to members that are READY.
    pub fn turn(&mut self, now: Instant) {
        self.stop_next(now);
        self.now = Some(now);
        self.moving = self.by_priority().into();
    }

    /// The next pool's part of a turn, up to the events that it sends; whether there was one.
    fn move_on(&mut self) -> bool {
        let (Some(pool), Some(now)) = (self.moving.pop_front(), self.now) else { return false };
        for id in 0..self.members.len() {
            if self.members[id].pool == pool {
                let acts = self.members[id].process.transition(now, self.retired);
                self.perform(id, acts);
            }
        }
        self.dispatching = Some(pool);
        true
    }

    /// From now on no event is sent.
    pub fn hold_events(&mut self) {
        self.holding = true;
    }

    fn by_priority(&self) -> Vec<usize> {
        let mut pools: Vec<usize> = (0..self.pools.len()).collect();
        pools.sort_by_key(|&pool| self.pools[pool].config.priority);
        pools
    }

    /// When [`Self::turn`] will next change something by itself; a moment in the past when that is now.
    pub fn due(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.process.due(self.retired)).min()
    }

    /// What is to be done next; `None` when nothing is until something happens.
    #[expect(
        clippy::should_implement_trait,
        reason = "None means 'not now', an iterator's means 'never again'"
    )]
    pub fn next(&mut self) -> Option<Step> {
        while self.steps.is_empty() {
            // One event at a time, so that a write that fails is known before the next member is tried.
            let goes_on = match self.dispatching {
                Some(pool) if !self.holding => self.dispatch(pool) || self.move_on(),
                _ => self.move_on(),
            };
            if !goes_on && self.steps.is_empty() {
                return None;
            }
        }
        self.steps.pop_front()
    }

    /// A process that was to be started runs.
    pub fn spawned(&mut self, id: Id, pid: u32, now: Instant) {
        let member = &mut self.members[id];
        member.process.spawned(pid, now);
        member.dispatcher = Dispatcher::new(self.config.profile);
        member.deaf = false;
    }

    /// A process that was to be started could not be.
    pub fn spawn_failed(&mut self, id: Id, now: Instant) {
        let acts = self.members[id].process.spawn_failed(now);
        self.perform(id, acts);
    }

    /// A process has been reaped, and all its output taken in. A signal has no exit status.
    pub fn exited(&mut self, id: Id, status: Option<i32>, now: Instant) {
        let acts = self.members[id].process.exited(status, now);
        self.perform(id, acts);
        self.steps.push_back(Step::Close(id));
        if let Some(event) = &self.members[id].in_hand {
            let (process, serial) = (self.name(id).to_owned(), event.event.header.serial);
            self.report(Report::Rejected { process, serial, result: None });
        }
        self.reject(id);
    }

    fn perform(&mut self, id: Id, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Spawn => self.steps.push_back(Step::Spawn(id)),
                Act::Kill { signal, as_group } => {
                    self.steps.push_back(Step::Kill { process: id, signal, as_group })
                }
                Act::Change(change) => {
                    let process = self.name(id).to_owned();
                    if self.config.announce {
                        let payload = change.payload(self.processname(id), self.pool(id));
                        self.notify(&change.eventname(), payload);
                    }
                    self.report(Report::Process { process, change });
                }
            }
        }
    }

    /// Starts a process that is stopped, as `supervisorctl start` does; a supervisord that shuts down refuses to.
    pub fn start(&mut self, id: Id, now: Instant) {
        if self.retired {
            return;
        }
        let acts = self.members[id].process.start(now);
        self.perform(id, acts);
    }

    /// Stops a process, as `supervisorctl stop` does.
    pub fn stop(&mut self, id: Id, now: Instant) {
        let acts = self.members[id].process.stop(now);
        self.perform(id, acts);
    }

    /// From now on nothing is started: what ends stays ended.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Stops everything, the pools of the highest priority first; nothing is started any more.
    pub fn shut_down(&mut self, now: Instant) {
        if self.stopping.is_none() {
            self.retired = true;
            self.stopping = Some(self.by_priority());
            if self.config.announce {
                self.notify("SUPERVISOR_STATE_CHANGE_STOPPING", Payload::default());
            }
            self.stop_next(now);
        }
    }

    fn stop_next(&mut self, now: Instant) {
        let is_down = |member: &Member| member.process.is_down();
        while let Some(&pool) = self.stopping.as_ref().and_then(|pools| pools.last()) {
            let ids: Vec<Id> = (0..self.members.len()).filter(|&id| self.members[id].pool == pool).collect();
            if ids.iter().all(|&id| is_down(&self.members[id])) {
                self.stopping.as_mut().and_then(Vec::pop);
                continue;
            }
            // As many as there are: those of the lowest priority last, and by name from the last.
            let mut ids = ids;
            ids.sort_by_key(|&id| self.members[id].process.config.priority);
            for id in ids.into_iter().rev() {
                let acts = self.members[id].process.shut_down(now);
                self.perform(id, acts);
            }
            return;
        }
    }

    /// Whether nothing runs, and nothing will be started by itself.
    pub fn is_down(&self) -> bool {
        self.members.iter().all(|member| member.process.is_down_for_good(self.retired))
    }

    /// How many events wait in buffers, those that were sent and not answered aside.
    pub fn waiting(&self) -> usize {
        self.pools.iter().map(Pool::waiting).sum()
    }

    /// How many events wait or are in hand; one that is in several places counts once.
    pub fn unanswered(&self) -> usize {
        let waiting = self.pools.iter().flat_map(Pool::serials);
        let in_hand = self.members.iter().filter_map(|member| member.in_hand.as_ref());
        waiting.chain(in_hand.map(|event| event.event.header.serial)).collect::<HashSet<_>>().len()
    }

    /// How many events were sent and not answered.
    pub fn in_hand(&self) -> usize {
        self.members.iter().filter(|member| member.in_hand.is_some()).count()
    }

    /// Whether every pool could take another event without dropping one.
    pub fn has_room(&self) -> bool {
        self.pools.iter().all(Pool::has_room)
    }

    /// Whether a listener could be sent an event right now.
    pub fn is_ready(&self, id: Id) -> bool {
        let member = &self.members[id];
        member.process.state() == State::Running
            && member.dispatcher.state() == ListenerState::Ready
            && !member.deaf
    }

    /// Whether this process will be sent nothing more by itself: it is down for good, or broke the protocol.
    pub fn is_lost(&self, id: Id) -> bool {
        let Member { process, dispatcher, .. } = &self.members[id];
        process.is_down_for_good(self.retired) || dispatcher.state() == ListenerState::Unknown
    }

    /// Whether this process has closed its standard input, and so will be sent nothing before it is started again.
    pub fn is_deaf(&self, id: Id) -> bool {
        self.members[id].deaf
    }

    /// All processes.
    pub fn ids(&self) -> std::ops::Range<Id> {
        0..self.members.len()
    }

    /// The processes that supervisorctl would take this for: `group:name`, `name` where it is the only one, or all of
    /// `group` or `group:*`.
    pub fn find(&self, name: &str) -> Vec<Id> {
        let exact: Vec<Id> = self.ids().filter(|&id| self.name(id) == name).collect();
        let called: Vec<Id> = self.ids().filter(|&id| self.processname(id) == name).collect();
        let group = name.strip_suffix(":*").unwrap_or(name);
        match (&exact[..], &called[..]) {
            ([_, ..], _) => exact,
            (_, [_]) => called,
            _ => self.ids().filter(|&id| self.pool(id) == group).collect(),
        }
    }

    /// What supervisorctl calls a process: `group:name`, or the name alone where both are the same.
    pub fn name(&self, id: Id) -> &str {
        &self.members[id].name
    }

    /// A process's name within its group.
    pub fn processname(&self, id: Id) -> &str {
        &self.members[id].process.config.name
    }

    /// The name of a process's pool.
    pub fn pool(&self, id: Id) -> &str {
        &self.pools[self.members[id].pool].config.name
    }

    /// A process's state.
    pub fn state(&self, id: Id) -> State {
        self.members[id].process.state()
    }

    /// What supervisord expects of a listener.
    pub fn listener_state(&self, id: Id) -> ListenerState {
        self.members[id].dispatcher.state()
    }

    /// A process's number, 0 while it has none.
    pub fn pid(&self, id: Id) -> u32 {
        self.members[id].process.pid()
    }
}

#[cfg(test)]
mod tests;

//! Which event goes to which listener: into the buffers of the pools that subscribe to it, out to the first member that
//! is READY, and back when it is rejected.

use std::rc::Rc;

use super::dispatcher::{ListenerState, Reaction};
use super::pool::Noted;
use super::{Id, Member, Profile, Report, Step, Supervisor};
use crate::event::{Event, Payload};
use crate::kind::Kind;
use crate::wire::{Header, LenUnit};

impl Supervisor {
    /// supervisord has started: its groups are added, one after the other, each heard by the pools that are there by
    /// then; and it is running.
    pub fn begin(&mut self) {
        let pools = self.pools.iter().map(|pool| (pool.config.priority, pool.config.name.clone(), 1));
        let programs = self.config.groups.iter().map(|(priority, name)| (*priority, name.clone(), 0));
        let mut groups: Vec<(i64, String, usize)> = pools.chain(programs).collect();
        groups.sort();
        let mut there = 0;
        for (_, name, pools) in groups {
            there += pools;
            self.notify_first(
                there,
                "PROCESS_GROUP_ADDED",
                Payload { groupname: Some(name), ..Payload::default() },
            );
        }
        self.notify("SUPERVISOR_STATE_CHANGE_RUNNING", Payload::default());
    }

    /// An event happens. One that nobody subscribes to takes no number, except in Go.
    pub fn notify(&mut self, eventname: &str, payload: Payload) {
        self.notify_first(self.pools.len(), eventname, payload);
    }

    fn notify_first(&mut self, pools: usize, eventname: &str, payload: Payload) {
        let header = Header {
            ver: "3.0".to_owned(),
            server: self.config.identifier.clone(),
            serial: self.serial,
            eventname: eventname.to_owned(),
            ..Header::default()
        };
        if self.hand_out(pools, Event { header, payload }, false, None) || self.config.profile == Profile::Go
        {
            self.serial = self.serial.saturating_add(1);
        }
    }

    /// An event that happened elsewhere keeps its serial, with `as_recorded` all of its header, and its unit of `len`
    /// where that is known. Whether any pool subscribes to it.
    pub fn replay(&mut self, mut event: Event, as_recorded: bool, unit: Option<LenUnit>) -> bool {
        if !as_recorded {
            event.header.server.clone_from(&self.config.identifier);
        }
        self.serial = self.serial.max(event.header.serial.saturating_add(1));
        self.hand_out(self.pools.len(), event, as_recorded, unit)
    }

    fn hand_out(&mut self, pools: usize, event: Event, as_recorded: bool, unit: Option<LenUnit>) -> bool {
        let Some(event) = self.config.profile.adapt(event) else { return false };
        let event = Noted::new(event, as_recorded, unit);
        let mut taken = false;
        for pool in 0..pools {
            for _ in 0..self.pools[pool].subscriptions(&event.event.header.eventname) {
                self.accept(pool, event.clone(), false);
                taken = true;
            }
        }
        taken
    }

    fn accept(&mut self, pool: usize, event: Rc<Noted>, at_head: bool) {
        let busy =
            self.members.iter().filter(|member| member.pool == pool && member.in_hand.is_some()).count();
        let poolserial = &mut self.poolserials[self.sections[pool]];
        if let Some(dropped) = self.pools[pool].accept(event, at_head, busy, poolserial) {
            let pool = self.pools[pool].config.name.clone();
            let Header { serial, eventname, .. } = dropped.event.header.clone();
            self.report(Report::Dropped { pool, serial, eventname });
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        self.steps.push_back(Step::Report(report));
    }

    /// Takes what a listener wrote to its standard output, however it was cut.
    pub fn output(&mut self, id: Id, bytes: &[u8]) {
        let process = self.name(id).to_owned();
        let mut from = self.members[id].dispatcher.state();
        for reaction in self.members[id].dispatcher.feed(bytes) {
            let event = self.members[id].in_hand.clone();
            let serial = event.map_or(0, |event| event.event.header.serial);
            let process = process.clone();
            let to = reaction.leads_to(self.config.profile);
            match reaction {
                Reaction::Ready => {}
                Reaction::Accepted => {
                    self.members[id].in_hand = None;
                    self.report(Report::Accepted { process, serial });
                }
                Reaction::Rejected(result) | Reaction::NoResult(result) => {
                    self.report(Report::Rejected { process, serial, result: Some(result) });
                }
                Reaction::Unknown(output) => {
                    self.report(Report::Poisoned { process: process.clone(), output });
                    if self.members[id].in_hand.is_some() {
                        self.report(Report::Rejected { process, serial, result: None });
                    }
                }
            }
            self.listener_became(id, from, to);
            self.reject(id);
            from = to;
        }
    }

    fn listener_became(&mut self, id: Id, from: ListenerState, to: ListenerState) {
        let process = self.name(id).to_owned();
        self.report(Report::Listener { process, from, to });
    }

    /// The event that a listener has in hand goes back to the head of its pool, and into every pool that has a process
    /// of the same priority: supervisord compares processes by that alone.
    pub(super) fn reject(&mut self, id: Id) {
        let Some(event) = self.members[id].in_hand.take() else { return };
        let priority = self.members[id].process.config.priority;
        for pool in 0..self.pools.len() {
            let is_alike =
                |member: &Member| member.pool == pool && member.process.config.priority == priority;
            let takes = match self.config.profile {
                Profile::Go => pool == self.members[id].pool,
                Profile::Python3 | Profile::Python2 => self.members.iter().any(is_alike),
            };
            if takes {
                self.accept(pool, event.clone(), true);
            }
        }
    }

    /// Sends a pool's oldest event to the first member that is READY; whether there are both.
    pub(super) fn dispatch(&mut self, pool: usize) -> bool {
        let found = self.ids().find(|&id| self.members[id].pool == pool && self.is_ready(id));
        let (Some(id), Some((event, poolserial))) = (found, found.and_then(|_| self.pools[pool].take()))
        else {
            self.dispatching = None;
            return false;
        };
        let wire = self.encode(&event, pool, poolserial);
        let Header { serial, eventname, .. } = event.event.header.clone();
        let member = &mut self.members[id];
        member.dispatcher.sent();
        member.in_hand = Some(event);
        self.steps.push_back(Step::Write(id, wire));
        let process = self.name(id).to_owned();
        self.report(Report::Sent { process, serial, eventname });
        true
    }

    fn encode(&self, noted: &Noted, pool: usize, poolserial: u64) -> Vec<u8> {
        let kind = Kind::of(&noted.event.header.eventname);
        let unit = self.config.len.or(noted.unit).unwrap_or_else(|| self.config.profile.len_unit(kind));
        if noted.as_recorded {
            return noted.event.encode(unit);
        }
        let mut event = noted.event.clone();
        event.header.pool.clone_from(&self.pools[pool].config.name);
        event.header.poolserial = poolserial;
        event.encode(unit)
    }

    /// A write found the listener's standard input closed. supervisord leaves it READY, and tries the next member.
    pub fn deaf(&mut self, id: Id) {
        let member = &mut self.members[id];
        member.deaf = true;
        // What the report of the write would say is not so.
        let is_it = |step: &Step| matches!(step, Step::Report(Report::Sent { process, .. }) if *process == member.name);
        self.steps.retain(|step| !is_it(step));
        member.dispatcher.unsent();
        if let Some(event) = member.in_hand.take() {
            self.pools[member.pool].put_back(event);
        }
    }
}

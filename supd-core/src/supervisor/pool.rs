//! A pool of listeners: which events it hears, and the buffer in which they wait for a member that is READY.
//!
//! The same steps as EventListenerPool in supervisor's process.py: an event that is subscribed to twice is buffered
//! twice, a full buffer drops its oldest, and a rejected event goes back to the head. The supervisord in Go drops the
//! newest, and takes no event twice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::profile::Profile;
use crate::event::Event;
use crate::kind::EventPattern;
use crate::wire::LenUnit;

/// A listener section of a configuration, by supervisor's names.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// The section's name.
    pub name: String,
    /// What it subscribes to.
    pub events: Vec<EventPattern>,
    /// How many events wait at most.
    pub buffer_size: usize,
    /// Groups of higher priority are started later and stopped earlier.
    pub priority: i64,
}

/// An event with what supervisord has noted on it.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) event: Event,
    /// Whether its header goes out as it is.
    pub(super) as_recorded: bool,
    /// What its length counted where it was recorded.
    pub(super) unit: Option<LenUnit>,
    /// Its number in each pool that has taken it.
    poolserials: RefCell<Vec<(usize, u64)>>,
}

impl Noted {
    pub(super) fn new(event: Event, as_recorded: bool, unit: Option<LenUnit>) -> Rc<Self> {
        Rc::new(Self { event, as_recorded, unit, poolserials: RefCell::default() })
    }

    fn poolserial(&self, pool: usize) -> Option<u64> {
        self.poolserials.borrow().iter().find(|(known, _)| *known == pool).map(|(_, poolserial)| *poolserial)
    }
}

/// One pool's buffer.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) config: PoolConfig,
    profile: Profile,
    index: usize,
    buffer: VecDeque<Rc<Noted>>,
}

impl Pool {
    pub(super) fn new(config: PoolConfig, profile: Profile, index: usize) -> Self {
        Self { config, profile, index, buffer: VecDeque::new() }
    }

    /// How often an event of this name is taken.
    pub(super) fn subscriptions(&self, eventname: &str) -> usize {
        let times = self.config.events.iter().filter(|pattern| pattern.covers(eventname)).count();
        if self.profile == Profile::Go { times.min(1) } else { times }
    }

    /// Whether another event would drop none.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() < self.config.buffer_size
    }

    pub(super) fn serials(&self) -> impl Iterator<Item = u64> {
        self.buffer.iter().map(|event| event.event.header.serial)
    }

    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Takes an event, new or, at the head, again. `busy` members hold events that, in Go, still count.
    /// Gives the event that was dropped for it.
    pub(super) fn accept(
        &mut self,
        event: Rc<Noted>,
        at_head: bool,
        busy: usize,
        poolserial: &mut u64,
    ) -> Option<Rc<Noted>> {
        if event.poolserial(self.index).is_none() {
            event.poolserials.borrow_mut().push((self.index, *poolserial));
            *poolserial = poolserial.saturating_add(1);
        }
        if self.profile == Profile::Go {
            if at_head {
                self.buffer.push_front(event);
            } else if self.buffer.len() + busy <= self.config.buffer_size {
                self.buffer.push_back(event);
            } else {
                return Some(event);
            }
            return None;
        }
        let dropped = if self.has_room() { None } else { self.buffer.pop_front() };
        if at_head {
            self.buffer.push_front(event);
        } else {
            self.buffer.push_back(event);
        }
        dropped
    }

    /// The oldest event, and its number in this pool.
    pub(super) fn take(&mut self) -> Option<(Rc<Noted>, u64)> {
        let event = self.buffer.pop_front()?;
        let poolserial = event.poolserial(self.index).unwrap_or_default();
        Some((event, poolserial))
    }

    /// Puts back what [`Self::take`] gave.
    pub(super) fn put_back(&mut self, event: Rc<Noted>) {
        self.buffer.push_front(event);
    }
}

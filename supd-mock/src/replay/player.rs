//! Plays events into listeners: each at its time, until all are answered or the listeners are of no more use.

use std::time::{Duration, Instant};

use super::judge::Judge;
use super::progress::Progress;
use super::{End, Replay, Speed};
use crate::daemon::Daemon;
use crate::events::{Events, Next, Planned};

pub(super) struct Player<'a> {
    args: &'a Replay,
    daemon: &'a mut Daemon,
    judge: Judge,
    /// When a listener could first be sent an event: from then on events happen.
    opened: Option<Instant>,
}

/// What can be done for now.
enum Feed {
    /// An event happened; there may be another.
    Fed,
    /// The next one is due then.
    At(Instant),
    /// Listeners must do something first.
    Held,
    /// Whoever writes the events must.
    NotYet,
    /// There are no more.
    End,
}

impl<'a> Player<'a> {
    pub(super) fn new(args: &'a Replay, daemon: &'a mut Daemon, progress: Progress) -> Self {
        let ends_listeners = daemon.faults.end_listeners();
        let several = daemon.supervisor.ids().len() > 1;
        let judge = Judge::new(args.timeout, ends_listeners, several, progress);
        Self { args, daemon, judge, opened: None }
    }

    /// Plays until all events are answered or the listeners are of no more use.
    pub(super) fn play(&mut self, events: &mut Events) -> anyhow::Result<()> {
        self.settle()?;
        loop {
            let feed = self.feed(events)?;
            let answered = self.daemon.supervisor.waiting() + self.daemon.supervisor.in_hand() == 0;
            if matches!(feed, Feed::End) && answered {
                return Ok(());
            }
            self.judge.check(&self.daemon.supervisor);
            if self.judge.hopeless || !self.judge.is_anyone_left(&self.daemon.supervisor) {
                return self.give_up(events);
            }
            let (until, awaited) = match feed {
                Feed::Fed => {
                    self.settle()?;
                    continue;
                }
                Feed::At(due) => (Some(due), None),
                Feed::NotYet => (None, events.fd()),
                Feed::Held | Feed::End => (None, None),
            };
            let until = [until, self.judge.deadline(&self.daemon.supervisor)].into_iter().flatten().min();
            for happening in self.daemon.turn(until, awaited)? {
                self.judge.take_in(happening)?;
            }
        }
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        for happening in self.daemon.settle()? {
            self.judge.take_in(happening)?;
        }
        Ok(())
    }

    /// Lets the next event happen, if it is time.
    fn feed(&mut self, events: &mut Events) -> anyhow::Result<Feed> {
        if self.opened.is_none() && self.any_is_ready() {
            let now = Instant::now();
            self.opened = Some(now);
            self.judge.opened(now);
        }
        let due = match events.peek()? {
            Next::Event(planned) => self.due(planned),
            Next::NotYet => return Ok(Feed::NotYet),
            Next::End => return Ok(Feed::End),
        };
        if !self.may_feed() {
            return Ok(Feed::Held);
        }
        if due > Instant::now() {
            return Ok(Feed::At(due));
        }
        let Some(Planned { mut event, unit, .. }) = events.take() else { return Ok(Feed::End) };
        let listeners = &self.args.listeners;
        let unit = unit.filter(|_| listeners.keeps_units());
        if let Some(name) = listeners.name() {
            name.clone_into(&mut event.header.pool);
        }
        if !self.daemon.supervisor.replay(event, listeners.keeps_headers(), unit) {
            self.judge.unheard();
        }
        Ok(Feed::Fed)
    }

    fn due(&self, planned: &Planned) -> Instant {
        let start = self.opened.unwrap_or_else(Instant::now);
        let after = self.args.speed.after(planned.at);
        // What is due in the next million years is due then at the latest.
        start.checked_add(after).unwrap_or(start + Duration::from_secs(1 << 45))
    }

    /// Whether an event may happen now. With a buffer of a given size it may overflow as supervisord's does, but not at
    /// a speed of our own choosing.
    fn may_feed(&self) -> bool {
        let supervisor = &self.daemon.supervisor;
        match (self.args.listeners.has_buffer(), self.args.speed) {
            (false, _) => supervisor.waiting() == 0 && self.any_is_ready(),
            (true, Speed::Max) => self.opened.is_some() && supervisor.has_room(),
            (true, Speed::Times(_)) => self.opened.is_some(),
        }
    }

    fn any_is_ready(&self) -> bool {
        let supervisor = &self.daemon.supervisor;
        supervisor.ids().any(|id| supervisor.is_ready(id))
    }

    fn give_up(&mut self, events: &mut Events) -> anyhow::Result<()> {
        self.daemon.supervisor.hold_events();
        let mut lost = self.daemon.supervisor.unanswered() as u64;
        while let Next::Event(_) = events.peek()? {
            events.take();
            lost += 1;
        }
        self.judge.give_up(lost)
    }

    /// Ends the listeners, then waits for everything to end, with signals if need be.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        let by_sigterm = self.args.end() == End::Term;
        self.judge.expect_the_end(by_sigterm);
        if by_sigterm {
            self.daemon.supervisor.shut_down(Instant::now());
            self.settle()?;
        } else {
            self.daemon.hang_up();
        }
        let judge = &mut self.judge;
        self.daemon.wait_for_all(self.args.stop_timeout, |happening| judge.take_in(happening))
    }

    /// Says what came of it; the exit status.
    pub(super) fn summarise(&self, malformed: u64) -> u8 {
        self.judge.summarise(malformed)
    }
}

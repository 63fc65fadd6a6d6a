//! Plays events into listeners: each at its time, until all are answered or the listeners are of no more use.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use supd_core::children;
use supd_core::cli;
use supd_core::kind::State;
use supd_core::supervisor::{Id, ListenerState, Report};

use super::progress::Progress;
use super::tally::{InHand, Tally};
use super::{End, Replay, Speed};
use crate::daemon::{Daemon, Happening};
use crate::events::{Events, Next, Planned};
use crate::fault::Faults;

/// supervisord would go on for ever.
const MAX_DELIVERIES: u32 = 10;

pub(super) struct Player<'a> {
    args: &'a Replay,
    daemon: &'a mut Daemon,
    progress: Progress,
    tally: Tally,
    /// How often each event was sent that has not been accepted.
    deliveries: HashMap<u64, u32>,
    started: Instant,
    ready_after: Option<Duration>,
    /// When a listener could first be sent an event: from then on events happen.
    opened: Option<Instant>,
    /// By process: when what is expected of it changed last.
    since: HashMap<String, Instant>,
    /// Listeners that ended by themselves: too early, unless that was the last event.
    early_ends: Vec<(Id, children::End)>,
    /// How often listeners ended since one of them last accepted an event.
    fruitless_ends: u32,
    /// Whether listeners end for our sake.
    ends_listeners: bool,
    /// Whether a listener did something that it must not do.
    at_fault: bool,
    /// Whether there is no point in going on.
    hopeless: bool,
    /// Whether listeners may end, since we asked them to.
    ending: bool,
    signalled: bool,
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
        Self {
            args,
            daemon,
            progress,
            tally: Tally::default(),
            deliveries: HashMap::new(),
            started: Instant::now(),
            ready_after: None,
            opened: None,
            since: HashMap::new(),
            early_ends: Vec::new(),
            fruitless_ends: 0,
            ends_listeners: Faults::new(&args.fault).end_listeners(),
            at_fault: false,
            hopeless: false,
            ending: false,
            signalled: false,
        }
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
            for (id, end) in std::mem::take(&mut self.early_ends) {
                self.fault(id, &format!("{end} before all events were played"));
            }
            self.check_time();
            if self.hopeless || !self.is_anyone_left() {
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
            let until = [until, self.deadline()].into_iter().flatten().min();
            for happening in self.daemon.turn(until, awaited)? {
                self.take_in(happening)?;
            }
        }
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        for happening in self.daemon.settle()? {
            self.take_in(happening)?;
        }
        Ok(())
    }

    /// Lets the next event happen, if it is time.
    fn feed(&mut self, events: &mut Events) -> anyhow::Result<Feed> {
        if self.opened.is_none() && self.any_is_ready() {
            self.opened = Some(Instant::now());
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
        let Some(Planned { event, unit, .. }) = events.take() else { return Ok(Feed::End) };
        let unit = unit.filter(|_| self.args.listeners.keeps_units());
        self.daemon.supervisor.replay(event, self.args.listeners.keeps_headers(), unit);
        Ok(Feed::Fed)
    }

    fn due(&self, planned: &Planned) -> Instant {
        let start = self.opened.unwrap_or(self.started);
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

    /// Whether any listener may yet take an event. One whose input we have closed ends, and is started again.
    fn is_anyone_left(&self) -> bool {
        let supervisor = &self.daemon.supervisor;
        supervisor.ids().any(|id| !supervisor.is_lost(id) && (self.ends_listeners || !supervisor.is_deaf(id)))
    }

    /// Which processes must do something in time, and until when.
    fn awaited(&self) -> impl Iterator<Item = (Id, Instant)> {
        let supervisor = &self.daemon.supervisor;
        supervisor.ids().filter_map(|id| {
            let up = matches!(supervisor.state(id), State::Starting | State::Running);
            let state = supervisor.listener_state(id);
            let must =
                matches!(state, ListenerState::Acknowledged | ListenerState::Busy) || supervisor.is_deaf(id);
            let since = self.since.get(supervisor.name(id)).filter(|_| up && must)?;
            Some((id, *since + self.args.timeout))
        })
    }

    fn deadline(&self) -> Option<Instant> {
        self.awaited().map(|(_, until)| until).min()
    }

    fn check_time(&mut self) {
        let now = Instant::now();
        let late: Vec<Id> = self.awaited().filter(|(_, until)| *until <= now).map(|(id, _)| id).collect();
        for id in late {
            let what = match self.daemon.supervisor.listener_state(id) {
                ListenerState::Busy => "did not answer an event",
                ListenerState::Ready => "did not end, though its input is closed,",
                _ => "did not write READY",
            };
            self.fault(id, &format!("{what} within {:?}", self.args.timeout));
            self.hopeless = true;
        }
    }

    fn take_in(&mut self, happening: Happening) -> anyhow::Result<()> {
        match happening {
            Happening::Report(report) => self.take_in_report(report)?,
            Happening::Ended(id, end) => self.ended(id, end),
            Happening::Early(id) => {
                let fault =
                    "answered an event before it had read the whole of it: supervisord itself would crash";
                self.fault(id, fault);
                self.hopeless = true;
            }
            Happening::Deaf(id) => {
                if !self.ending && !self.ends_listeners {
                    self.fault(id, "closed its standard input");
                }
            }
        }
        Ok(())
    }

    fn take_in_report(&mut self, report: Report) -> anyhow::Result<()> {
        match report {
            Report::Process { process, change } => {
                if change.to == State::Starting {
                    self.tally.started();
                    self.since.insert(process, Instant::now());
                }
            }
            Report::Listener { process, to, .. } => {
                if to == ListenerState::Ready {
                    self.ready_after.get_or_insert(self.started.elapsed());
                }
                self.since.insert(process, Instant::now());
            }
            Report::Sent { process, serial, eventname } => {
                *self.deliveries.entry(serial).or_default() += 1;
                let sent = Instant::now();
                self.since.insert(process.clone(), sent);
                self.tally.in_hand.insert(process, InHand { serial, eventname, sent });
            }
            Report::Accepted { process, serial } => {
                self.deliveries.remove(&serial);
                self.fruitless_ends = 0;
                self.tally.accepted += 1;
                self.tally.answered(&process, "OK")?;
                self.progress.step();
            }
            Report::Rejected { process, serial, result } => self.rejected(&process, serial, result)?,
            Report::Poisoned { process, output } => {
                let shown = output[..output.len().min(200)].escape_ascii();
                let instead = if self.tally.in_hand.contains_key(&process) { "a result" } else { "READY" };
                self.tally.answered(&process, "UNKNOWN")?;
                self.fault_of(
                    &process,
                    &format!(
                        "wrote '{shown}' instead of {instead}: supervisord would never send it an event again"
                    ),
                );
            }
            Report::Dropped { pool, serial } => {
                self.tally.dropped(&pool, serial)?;
                self.progress.step();
            }
        }
        Ok(())
    }

    fn rejected(&mut self, process: &str, serial: u64, result: Option<Vec<u8>>) -> anyhow::Result<()> {
        // Without a result the listener ended, or broke the protocol, which is said by itself.
        match result {
            Some(result) => {
                self.tally.rejected += 1;
                self.tally.answered(process, &String::from_utf8_lossy(&result))?;
            }
            None => self.tally.answered(process, "none")?,
        }
        if self.deliveries.get(&serial).is_some_and(|&times| times >= MAX_DELIVERIES) && !self.hopeless {
            self.fault_of(process, &format!("rejected event {serial} {MAX_DELIVERIES} times"));
            self.hopeless = true;
        }
        Ok(())
    }

    fn ended(&mut self, id: Id, end: children::End) {
        let name = self.daemon.supervisor.name(id).to_owned();
        self.tally.ended(&name, end);
        let is_well = end.status() == Some(0) || (self.signalled && end.signal().is_some());
        if self.ending {
            self.at_fault |= !is_well;
        } else if self.ends_listeners {
            log::debug!("{name} {end}");
        } else {
            self.early_ends.push((id, end));
        }
        self.fruitless_ends += 1;
        self.hopeless |= self.fruitless_ends > MAX_DELIVERIES;
    }

    fn give_up(&mut self, events: &mut Events) -> anyhow::Result<()> {
        let busy: Vec<String> = self.tally.in_hand.keys().cloned().collect();
        for process in busy {
            self.tally.lost += 1;
            self.tally.answered(&process, "none")?;
        }
        self.tally.lost += self.daemon.supervisor.waiting() as u64;
        while let Next::Event(_) = events.peek()? {
            events.take();
            self.tally.lost += 1;
        }
        Ok(())
    }

    /// Ends the listeners, then waits for everything to end, with signals if need be.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        self.progress.finish();
        self.ending = true;
        self.at_fault |= self.early_ends.iter().any(|(_, end)| end.status() != Some(0));
        match self.args.end() {
            End::Eof => self.daemon.hang_up(),
            End::Term => {
                self.signalled = true;
                self.daemon.supervisor.shut_down(Instant::now());
                self.settle()?;
            }
        }
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let Some(signal) = signal {
                let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
                log::warn!("the listener did not end within {:?}; sending {name}", self.args.stop_timeout);
                self.daemon.signal_all(signal);
                self.signalled = true;
            }
            let until = Instant::now() + self.args.stop_timeout;
            while Instant::now() < until {
                if self.daemon.is_gone() {
                    return Ok(());
                }
                for happening in self.daemon.turn(Some(until), None)? {
                    self.take_in(happening)?;
                }
            }
        }
        Ok(())
    }

    fn fault(&mut self, id: Id, fault: &str) {
        let name = self.daemon.supervisor.name(id).to_owned();
        self.fault_of(&name, fault);
    }

    fn fault_of(&mut self, process: &str, fault: &str) {
        match self.daemon.supervisor.ids().len() {
            1 => log::error!("the listener {fault}"),
            _ => log::error!("the listener {process} {fault}"),
        }
        self.at_fault = true;
    }

    /// Says what came of it; the exit status.
    pub(super) fn summarise(&self, malformed: u64) -> u8 {
        log::info!("{}", self.tally.summary(self.ready_after));
        let well = self.tally.lost == 0 && malformed == 0 && !self.at_fault;
        if well { cli::DONE } else { cli::FAILED }
    }
}

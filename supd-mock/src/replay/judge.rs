//! What is made of the listeners: what they answered, when, and what they must not do.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use supd_core::children::End;
use supd_core::cli;
use supd_core::kind::State;
use supd_core::supervisor::{Id, ListenerState, Report, Supervisor};

use super::progress::Progress;
use super::tally::{InHand, Tally};
use crate::daemon::Happening;

/// supervisord would go on for ever.
const MAX_DELIVERIES: u32 = 10;

pub(super) struct Judge {
    /// How long a listener may take to be READY, and for each event.
    timeout: Duration,
    /// Whether listeners end for our sake.
    ends_listeners: bool,
    /// Whether there is more than one listener, so that it must be said which is meant.
    several: bool,
    progress: Progress,
    tally: Tally,
    /// How often each event was sent in each pool that has not accepted it.
    deliveries: HashMap<(String, u64), u32>,
    started: Instant,
    ready_after: Option<Duration>,
    /// By process: when what is expected of it changed last.
    since: HashMap<String, Instant>,
    /// Listeners that ended by themselves: too early, unless that was the last event.
    early_ends: Vec<(String, End)>,
    /// How often listeners ended since one of them last accepted an event.
    fruitless_ends: u32,
    /// Whether a listener did something that it must not do.
    at_fault: bool,
    /// Whether there is no point in going on.
    pub(super) hopeless: bool,
    /// Whether listeners may end, since we asked them to.
    ending: bool,
    /// Whether SIGTERM is how they are asked to.
    may_be_signalled: bool,
}

impl Judge {
    pub(super) fn new(timeout: Duration, ends_listeners: bool, several: bool, progress: Progress) -> Self {
        Self {
            timeout,
            ends_listeners,
            several,
            progress,
            tally: Tally::default(),
            deliveries: HashMap::new(),
            started: Instant::now(),
            ready_after: None,
            since: HashMap::new(),
            early_ends: Vec::new(),
            fruitless_ends: 0,
            at_fault: false,
            hopeless: false,
            ending: false,
            may_be_signalled: false,
        }
    }

    /// Whether any listener may yet take an event. One whose input we have closed ends, and is started again.
    pub(super) fn is_anyone_left(&self, supervisor: &Supervisor) -> bool {
        supervisor.ids().any(|id| !supervisor.is_lost(id) && (self.ends_listeners || !supervisor.is_deaf(id)))
    }

    /// Which processes must do something in time, and until when.
    fn awaited(&self, supervisor: &Supervisor) -> impl Iterator<Item = (Id, Instant)> {
        supervisor.ids().filter_map(|id| {
            let up = matches!(supervisor.state(id), State::Starting | State::Running);
            let state = supervisor.listener_state(id);
            let must =
                matches!(state, ListenerState::Acknowledged | ListenerState::Busy) || supervisor.is_deaf(id);
            let since = self.since.get(supervisor.name(id)).filter(|_| up && must)?;
            Some((id, *since + self.timeout))
        })
    }

    /// When somebody's time is up.
    pub(super) fn deadline(&self, supervisor: &Supervisor) -> Option<Instant> {
        self.awaited(supervisor).map(|(_, until)| until).min()
    }

    /// Blames whoever has ended, or has let its time pass.
    pub(super) fn check(&mut self, supervisor: &Supervisor) {
        for (process, end) in std::mem::take(&mut self.early_ends) {
            self.fault(&process, &format!("{end} before all events were played"));
        }
        let now = Instant::now();
        let late: Vec<Id> =
            self.awaited(supervisor).filter(|(_, until)| *until <= now).map(|(id, _)| id).collect();
        for id in late {
            let what = match supervisor.listener_state(id) {
                ListenerState::Busy => match self.tally.in_hand.get(supervisor.name(id)) {
                    Some(InHand { serial, eventname, .. }) => {
                        format!("did not answer event {serial} ({eventname})")
                    }
                    None => "did not answer an event".to_owned(),
                },
                ListenerState::Ready => "did not end, though its input is closed,".to_owned(),
                _ => "did not write READY".to_owned(),
            };
            self.fault(supervisor.name(id), &format!("{what} within {}", cli::span(self.timeout)));
            self.hopeless = true;
        }
    }

    /// Takes in what happened.
    pub(super) fn take_in(&mut self, happening: Happening) -> anyhow::Result<()> {
        match happening {
            Happening::Report(report) => self.take_in_report(report)?,
            Happening::Ended(process, end) => self.ended(process, end),
            Happening::Early(process) => {
                let fault =
                    "answered an event before it had read the whole of it: supervisord itself would crash";
                self.fault(&process, fault);
                self.hopeless = true;
            }
            Happening::Deaf(process) => {
                if !self.ending && !self.ends_listeners {
                    self.fault(&process, "closed its standard input");
                }
            }
        }
        Ok(())
    }

    fn take_in_report(&mut self, report: Report) -> anyhow::Result<()> {
        match report {
            // It has been given up: what it is still sent does not count.
            Report::Sent { .. }
            | Report::Accepted { .. }
            | Report::Rejected { .. }
            | Report::Dropped { .. }
                if self.hopeless => {}
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
                *self.deliveries.entry((pool_of(&process), serial)).or_default() += 1;
                let sent = Instant::now();
                self.since.insert(process.clone(), sent);
                self.tally.in_hand.insert(process, InHand { serial, eventname, sent });
            }
            Report::Accepted { process, serial } => {
                self.deliveries.remove(&(pool_of(&process), serial));
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
                self.fault(
                    &process,
                    &format!(
                        "wrote '{shown}' instead of {instead}: supervisord would never send it an event again"
                    ),
                );
            }
            Report::Dropped { pool, serial, eventname } => {
                self.tally.dropped(&pool, serial, &eventname)?;
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
        if self.deliveries.get(&(pool_of(process), serial)).is_some_and(|&times| times >= MAX_DELIVERIES)
            && !self.hopeless
        {
            self.fault(process, &format!("did not accept event {serial} in {MAX_DELIVERIES} attempts"));
            self.hopeless = true;
        }
        Ok(())
    }

    fn ended(&mut self, process: String, end: End) {
        self.tally.ended(&process, end);
        if self.ending {
            // Who was asked to by SIGTERM may end by it; nobody should need more.
            let is_asked = self.may_be_signalled && end.signal() == Some(Signal::TERM.as_raw());
            // What we killed at the last event may be reaped only now.
            let is_ours = self.ends_listeners && end.signal() == Some(Signal::KILL.as_raw());
            if end.status() != Some(0) && !is_asked && !is_ours {
                self.at_fault = true;
                if !self.may_be_signalled && end.status().is_some() {
                    log::warn!(
                        "'--end term' ends a listener as supervisord does; this one takes the end of its input for an error"
                    );
                }
            }
        } else if self.ends_listeners {
            log::debug!("{process} {end}");
        } else {
            self.early_ends.push((process, end));
        }
        self.fruitless_ends += 1;
        self.hopeless |= self.fruitless_ends > MAX_DELIVERIES;
    }

    fn fault(&mut self, process: &str, fault: &str) {
        if self.several {
            log::error!("the listener {process} {fault}");
        } else {
            log::error!("the listener {fault}");
        }
        self.at_fault = true;
    }

    /// From now on listeners may end, and must end well.
    pub(super) fn expect_the_end(&mut self, by_sigterm: bool) {
        self.progress.finish();
        self.ending = true;
        self.may_be_signalled = by_sigterm;
        self.at_fault |= self.early_ends.iter().any(|(_, end)| end.status() != Some(0));
    }

    /// Nothing more will be answered: so many events are lost.
    pub(super) fn give_up(&mut self, lost: u64) -> anyhow::Result<()> {
        self.hopeless = true;
        self.tally.lost += lost;
        let busy: Vec<String> = self.tally.in_hand.keys().cloned().collect();
        busy.iter().try_for_each(|process| self.tally.answered(process, "none"))
    }

    /// From now on events can happen.
    pub(super) fn opened(&self, at: Instant) {
        self.progress.opened(at);
    }

    /// An event happened that no listener subscribes to.
    pub(super) fn unheard(&mut self) {
        self.tally.unheard += 1;
        self.progress.step();
    }

    /// Says what came of it; the exit status.
    pub(super) fn summarise(&self, malformed: u64) -> u8 {
        self.progress.finish();
        log::info!("{}", self.tally.summary(self.ready_after));
        if self.tally.answers() == 0 && self.tally.lost == 0 {
            log::error!("no event was one that a listener subscribes to");
            return cli::FAILED;
        }
        let well = self.tally.lost == 0 && malformed == 0 && !self.at_fault;
        if well { cli::DONE } else { cli::FAILED }
    }
}

/// The group in what supervisorctl calls a process.
fn pool_of(process: &str) -> String {
    process.rsplit_once(':').map_or(process, |(group, _)| group).to_owned()
}

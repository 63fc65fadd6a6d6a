//! What a case expects of a listener, and what it means when something else comes.

use std::fmt::Write as _;
use std::time::Duration;

use supd_core::supervisor::{ListenerState, Reaction};

use super::case::{Verdict, failure};
use super::consequence;
use super::session::Session;
use super::transcript::shown;
use crate::proc;

/// How long after its standard output a process may take to end.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// For whatever took too long.
pub(crate) const PATIENCE_CAN_BE_HAD: &str = " (--timeout allows more)";

impl Session<'_> {
    /// Waits for READY.
    pub(crate) fn ready(&mut self) -> Verdict {
        match self.reaction()? {
            Some(Reaction::Ready) => Ok(()),
            reaction => self.fail(reaction, "READY"),
        }
    }

    /// Waits for the event that was sent last to be accepted.
    pub(crate) fn accepted(&mut self) -> Verdict {
        match self.reaction()? {
            Some(Reaction::Accepted) if self.outgoing.is_empty() => Ok(()),
            Some(Reaction::Accepted | Reaction::Rejected(_)) if !self.outgoing.is_empty() => {
                let left = self.outgoing.len();
                let what = format!("it answered while {left} bytes of the event were not even in its pipe");
                Err(failure(what, consequence::UNREAD))
            }
            reaction => self.fail(reaction, "an answer"),
        }
    }

    /// One event from beginning to end: sent, accepted, and READY for the next.
    pub(crate) fn handle(&mut self, event: &[u8]) -> Verdict {
        self.send(event)?;
        self.accepted()?;
        self.ready()
    }

    /// The same, and another event after it, to show that the listener is still in step: what it has left of the first
    /// one it would take for a header, and answer at once.
    pub(crate) fn handle_and_stay_in_step(&mut self, event: &[u8]) -> Verdict {
        self.handle(event)?;
        self.quiet(Duration::from_millis(20))?;
        let next = self.tick();
        self.handle(&next)
    }

    /// Nothing may be written for so long, while it is READY. That it ends meanwhile is another matter.
    pub(crate) fn quiet(&mut self, duration: Duration) -> Verdict {
        match self.reaction_within(duration)? {
            None => Ok(()),
            Some(Reaction::Unknown(bytes)) => {
                let wrote = format!("it wrote '{}' while it was READY", shown(&bytes, 60));
                Err(failure(wrote, consequence::UNKNOWN))
            }
            reaction => self.fail(reaction, "nothing"),
        }
    }

    /// Waits until what has come since the last event satisfies, until no more can come, or until time is up.
    pub(crate) fn gather(&mut self, satisfies: impl Fn(&[u8]) -> bool) -> anyhow::Result<Vec<u8>> {
        self.indulge(|session, patience| {
            let until = session.now() + patience;
            loop {
                if satisfies(session.transcript.received()) || session.is_gone()? {
                    return Ok(Some(()));
                }
                if session.now() >= until {
                    return Ok(None);
                }
                session.turn(until)?;
            }
        })?;
        Ok(self.transcript.received().to_vec())
    }

    /// Waits until supervisord has understood something of the answer, and then a moment for the rest of it.
    pub(crate) fn gather_answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let answer = self.reaction()?;
        if !matches!(answer, None | Some(Reaction::Ready)) {
            let until = self.now() + Duration::from_millis(100);
            while self.now() < until && self.dispatcher.state() != ListenerState::Ready && !self.is_gone()? {
                self.turn(until)?;
            }
        }
        Ok(self.transcript.received().to_vec())
    }

    /// What the listener's silence, its end, or its words mean where something else was due.
    pub(crate) fn fail(&mut self, reaction: Option<Reaction>, due: &str) -> Verdict {
        let (happened, consequence) = match reaction {
            Some(Reaction::Unknown(bytes)) => {
                (format!("it wrote '{}' instead of {due}", shown(&bytes, 60)), consequence::UNKNOWN)
            }
            Some(Reaction::Rejected(body) | Reaction::NoResult(body)) => {
                (format!("it rejected the event with '{}'", shown(&body, 60)), consequence::REJECTED)
            }
            Some(Reaction::Ready | Reaction::Accepted) => {
                (format!("it did something else than {due}"), consequence::UNKNOWN)
            }
            None => return Err(self.silence(due)?),
        };
        Err(failure(happened, consequence))
    }

    fn silence(&mut self, due: &str) -> anyhow::Result<anyhow::Error> {
        let state = self.dispatcher.state();
        // A process that ends closes its pipes first.
        let until = self.now() + LAST_BREATH;
        while (self.process.stdout.is_none() || self.is_deaf)
            && !self.family.has_ended()
            && self.now() < until
        {
            self.turn(until)?;
        }
        if let Some(end) = self.family.end() {
            let consequence =
                if state == ListenerState::Busy { consequence::DIED } else { consequence::ENDED };
            return Ok(failure(format!("it {end}"), consequence));
        }
        if self.is_deaf {
            return Ok(failure("it closed its standard input", consequence::DEAF));
        }
        if self.process.stdout.is_none() {
            return Ok(failure("it closed its standard output", consequence::MUTE));
        }
        let consequence =
            if state == ListenerState::Busy { consequence::NO_ANSWER } else { consequence::NOT_READY };
        Ok(failure(self.wanting(due), consequence))
    }

    /// What is known when the time is up: the listener may be slow, or wait for something that does not come.
    fn wanting(&self, due: &str) -> String {
        let mut what = format!("within {:?} there was not {due}", self.patience());
        // A String cannot fail.
        let _ = match self.transcript.received() {
            [] => Ok(()),
            received => write!(what, ", only '{}'", shown(received, 60)),
        };
        let _ = match self.outgoing.len() as u64 + self.unread() {
            0 => Ok(()),
            unread => write!(what, "; {unread} bytes of the event are not read yet"),
        };
        what += match proc::are_running(&proc::descendants()) {
            true => "; a process of it is running",
            false => "; no process of it is running",
        };
        what + PATIENCE_CAN_BE_HAD
    }

    /// What supervisord understands next; `None` when nothing comes in time.
    fn reaction(&mut self) -> anyhow::Result<Option<Reaction>> {
        self.indulge(Self::reaction_within)
    }

    fn reaction_within(&mut self, duration: Duration) -> anyhow::Result<Option<Reaction>> {
        let until = self.now() + duration;
        loop {
            if let Some(reaction) = self.reactions.pop_front() {
                return Ok(Some(reaction));
            }
            if self.now() >= until || self.is_gone()? {
                return Ok(self.reactions.pop_front());
            }
            self.turn(until)?;
        }
    }
}

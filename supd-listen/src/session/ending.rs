//! How the conversation ends: what is still waited for, and what is still handed on.

use std::time::{Duration, Instant};

use super::{End, REST, Session};
use crate::outbox::Flow;
use crate::store::Store;

impl Session {
    /// After SIGTERM, how long to wait for what is still to come: an event that is already on its way is still taken,
    /// because unread it would leak into other pools; a new one is not asked for. At the end of input, how long whoever
    /// reads the records may take for the last.
    pub(super) fn patience(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let soon = |at| deadline.min(at + REST);
        if self.in_hand.is_some() {
            let fails = self.outbox.retry_at().or(self.store.as_ref().and_then(Store::retry_at)).is_some();
            // A full disk is not waited for, least of all when supervisord has gone.
            return Some(if fails { self.sigterm_at.map_or_else(Instant::now, soon) } else { deadline });
        }
        if self.listener.is_mid_event() { self.sigterm_at.map(soon) } else { self.sigterm_at }
    }

    /// That time has passed.
    pub(super) fn give_up(&self) -> End {
        if self.in_hand.is_some() {
            let what = if self.store.is_some() { "the spool" } else { self.outbox.sink().name() };
            log::error!(
                "write to {what}: it did not take the last event in time; supervisord will send it again"
            );
            return End::NotAnswered;
        }
        if self.listener.is_mid_event() {
            log::warn!("read an event: it did not come whole within {REST:?} of SIGTERM");
        }
        End::Sigterm
    }

    /// What is in the store and not handed on yet is, as far as that goes at once; the rest waits there for a successor.
    /// False when nobody takes it.
    pub(super) fn bring_home(&mut self) -> anyhow::Result<bool> {
        if self.store.is_none() {
            return Ok(true);
        }
        let until = self.start_draining().min(Instant::now() + REST);
        loop {
            let now = Instant::now();
            let flow = self.forward(now)?;
            if flow == Flow::Through
                && let Some(store) = &mut self.store
            {
                store.mark(self.outbox.lines());
                if self.outbox.is_empty() {
                    return Ok(true);
                }
            }
            if flow == Flow::Gone || (now < until && self.wait(false, Some(until))?.sink_closed) {
                self.pipeline_ended();
                return Ok(false);
            }
            if now >= until {
                return Ok(true);
            }
        }
    }

    /// Waits for a reader that is slow to take the end of a line whose beginning it has: without it, it could only call it
    /// malformed. False when nobody takes it.
    pub(super) fn finish_line(&mut self) -> anyhow::Result<bool> {
        let deadline = self.start_draining();
        while self.outbox.is_mid_line() && Instant::now() < deadline {
            let sink_closed = self.wait(false, Some(deadline))?.sink_closed;
            if sink_closed || self.outbox.flush(Instant::now())? == Flow::Gone {
                self.pipeline_ended();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes sure that what was handed on last has been taken out of the pipe: a stage that died with records unread
    /// should not look like one that finished.
    pub(super) fn end_of_input(&mut self) -> anyhow::Result<End> {
        let deadline = self.start_draining();
        while self.outbox.sink().holds_unread() && Instant::now() < deadline {
            // Nothing tells when a pipe has become empty, so it is looked at often, and only here.
            let soon = Instant::now() + Duration::from_millis(2);
            if self.wait(false, Some(soon))?.sink_closed {
                return Ok(self.pipeline_ended());
            }
        }
        Ok(End::Input)
    }
}

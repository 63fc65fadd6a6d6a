//! The loop that is measured: an event to each member that is READY, the first by name, until all have been accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use supd_core::stdio;

use super::member::{Fault, InHand, Member};
use super::numbered::Numbered;

/// A listener that rejects this often would keep supervisord busy for ever.
const MAX_REJECTIONS: u64 = 100;

/// What came of the events.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Nanoseconds from writing an event to its result, for those that were accepted.
    pub(crate) latency: Histogram<u64>,
    pub(crate) rejections: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_max(Duration::from_secs(3600).as_nanos() as u64, 3);
        Self { latency: latency.expect("an hour is more than a nanosecond"), rejections: 0 }
    }
}

/// Events that are still to be accepted.
pub(crate) struct Course<'a> {
    events: Numbered,
    next: u64,
    count: u64,
    /// Those that were rejected; they go before new ones.
    again: Vec<u64>,
    tally: Tally,
    /// For whoever watches from another thread.
    accepted: &'a AtomicU64,
}

impl<'a> Course<'a> {
    pub(crate) fn new(events: Numbered, count: u64, accepted: &'a AtomicU64) -> Self {
        Self { events, next: 0, count, again: Vec::new(), tally: Tally::default(), accepted }
    }

    /// Pushes the events through as fast as the members, which are all READY, answer.
    pub(crate) fn push(mut self, members: &mut [Member]) -> Result<Tally, Fault> {
        match members {
            [member] => self.push_through_one(member)?,
            _ => self.push_through_several(members)?,
        }
        Ok(self.tally)
    }

    /// One write and one read an event, both of which wait: nothing costs less.
    fn push_through_one(&mut self, member: &mut Member) -> Result<(), Fault> {
        let mut since = Instant::now();
        while let Some(number) = self.take() {
            member.send(self.events.bytes(number))?;
            loop {
                let heard = member.hear()?;
                let now = Instant::now();
                if let Some(accepted) = heard.result {
                    self.note(number, accepted, now - since)?;
                }
                // The end of one event is the beginning of the next.
                since = now;
                if heard.ready || self.is_over() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn push_through_several(&mut self, members: &mut [Member]) -> Result<(), Fault> {
        while !self.is_over() {
            for member in members.iter_mut().filter(|member| member.is_ready()) {
                let Some(number) = self.take() else { break };
                member.in_hand = Some(InHand { number, sent: Instant::now() });
                member.send(self.events.bytes(number))?;
            }
            let wrote = poll(members, None)?;
            for (member, _) in members.iter_mut().zip(wrote).filter(|(_, wrote)| *wrote) {
                let heard = member.hear()?;
                if let Some(accepted) = heard.result {
                    let InHand { number, sent } = member.in_hand.take().expect("a result is an event's");
                    self.note(number, accepted, sent.elapsed())?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<u64> {
        let new = (self.next < self.count).then_some(self.next);
        self.again.pop().or_else(|| {
            self.next += u64::from(new.is_some());
            new
        })
    }

    fn is_over(&self) -> bool {
        self.tally.latency.len() == self.count
    }

    fn note(&mut self, number: u64, accepted: bool, latency: Duration) -> Result<(), Fault> {
        if accepted {
            self.tally.latency.saturating_record(latency.as_nanos() as u64);
            self.accepted.store(self.tally.latency.len(), Ordering::Relaxed);
            return Ok(());
        }
        self.again.push(number);
        self.tally.rejections += 1;
        if self.tally.rejections < MAX_REJECTIONS { Ok(()) } else { Err(Fault::Rejections) }
    }
}

/// Waits until members have written something; which ones.
pub(crate) fn poll(members: &[Member], until: Option<Instant>) -> Result<Vec<bool>, Fault> {
    let mut fds: Vec<_> = members.iter().map(|member| PollFd::new(member, PollFlags::IN)).collect();
    stdio::poll(&mut fds, until)
        .map_err(|error| Fault::System(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
}

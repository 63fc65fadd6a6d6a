//! The way of a record through supd-parse:
//!
//! ```text
//! track ─▶ select ─▶ problems ─▶ jq ─▶ limit ─▶ format
//! ```

use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use supd_core::Kind;
use supd_core::fields::Fields as _;

use crate::format::Format;
use crate::format::ndjson::Ndjson;
use crate::item::Item;
use crate::jq::Jq;
use crate::limit::Limit;
use crate::problems::Problems;
use crate::select::Select;
use crate::track::{Tracker, WarmUp};

/// A filter failed, and asked for nothing to be read after that.
#[derive(Debug)]
pub(crate) struct Halted(pub(crate) String);

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Halted {}

/// What is to be done with each record, and what is remembered for that.
pub(crate) struct Chain {
    pub(crate) track: Option<Tracker>,
    /// What tells the tracker of the time before the first record, until that comes.
    pub(crate) warm_up: Option<WarmUp>,
    pub(crate) select: Select,
    pub(crate) problems: Option<Problems>,
    /// Whether TICK events pass, whatever else is asked for.
    pub(crate) ticks: bool,
    pub(crate) jq: Option<Jq>,
    pub(crate) limit: Limit,
    pub(crate) format: Box<dyn Format>,
}

impl Chain {
    /// Takes a record, and appends what is to be written because of it. Breaks off when nothing more is wanted.
    ///
    /// # Errors
    /// What a filter could not do with it: the next record may be another matter, unless it is [`Halted`].
    pub(crate) fn take(&mut self, mut item: Item<'_>, out: &mut Vec<u8>) -> anyhow::Result<ControlFlow<()>> {
        self.warm_up(&item);
        // Marks are for the consumers of a spool, who must see them whatever is filtered.
        if item.kind() == Kind::Mark {
            return self.take_passed(item, out);
        }
        let Some(tracker) = &mut self.track else { return self.give(item, out) };
        let told = tracker.take(&mut item);
        self.give_all(told.with(item), out)
    }

    /// What is told by one record: where a filter fails at one part of it, the others are given all the same.
    fn give_all<'i>(
        &mut self,
        items: impl Iterator<Item = Item<'i>>,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let mut failed = None;
        for item in items {
            match self.give(item, out) {
                Ok(ControlFlow::Continue(())) => {}
                Err(error) if !error.is::<Halted>() => drop(failed.get_or_insert(error)),
                last => return last,
            }
        }
        failed.map_or(Ok(ControlFlow::Continue(())), Err)
    }

    fn give(&mut self, item: Item<'_>, out: &mut Vec<u8>) -> anyhow::Result<ControlFlow<()>> {
        if !self.is_pulse(item.kind()) && !self.select.passes(&item) {
            return Ok(ControlFlow::Continue(()));
        }
        self.take_passed(item, out)
    }

    /// What comes behind `select`: takes a record that has passed it, or [`Self::into_front`] of another such chain.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn take_passed(
        &mut self,
        mut item: Item<'_>,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let kind = item.kind();
        if kind == Kind::Mark {
            self.limit.mark(&item, &mut *self.format, out);
            return Ok(ControlFlow::Continue(()));
        }
        // Behind `select`, so that it remembers only problems that are passed on.
        let is_pulse = self.is_pulse(kind);
        if !is_pulse && !self.problems.as_mut().is_none_or(|problems| problems.passes(&mut item)) {
            return Ok(ControlFlow::Continue(()));
        }
        let mut give = |item: &Item<'_>| self.limit.give(item, &mut *self.format, out);
        match &mut self.jq {
            Some(jq) if !is_pulse => jq.each(&item, give),
            _ => Ok(give(&item)),
        }
    }

    /// At the first record that has a number, lets everybody who remembers see what came before it.
    fn warm_up(&mut self, item: &Item<'_>) {
        if self.warm_up.is_none() {
            return;
        }
        let Some(seq) = item.get("seq").and_then(|seq| seq.number()) else { return };
        let Some((warm_up, mut tracker)) = self.warm_up.take().zip(self.track.take()) else { return };
        // A mark says that everything up to its number has come.
        let before = if item.kind() == Kind::Mark { seq.saturating_add(1) } else { seq };
        let seen = warm_up.each_before(before, |mut item| {
            let told = tracker.take(&mut item);
            for mut item in told.with(item).filter(|item| self.select.passes(item)) {
                // Nothing passes; they only remember.
                let _ = self.problems.as_mut().map(|problems| problems.passes(&mut item));
            }
            Ok(())
        });
        self.track = Some(tracker);
        if let Err(error) = seen {
            log::warn!("{error:#}; --track knows nothing of the time before seq {seq}");
        }
    }

    fn is_pulse(&self, kind: Kind) -> bool {
        self.ticks && kind == Kind::Tick
    }

    /// Whether each record is dealt with for its own sake, whatever comes before or after it. Then several chains can do
    /// the work side by side, and what they write belongs one after another. Whoever adds something that remembers
    /// names it here.
    pub(crate) fn is_stateless(&self) -> bool {
        self.track.is_none() && self.problems.is_none() && self.limit.is_none() && self.format.is_stateless()
    }

    /// Whether [`Self::into_front`] leaves less to do for those behind it: nothing that remembers stands before it, and
    /// it does not let everything pass.
    pub(crate) fn divides(&self) -> bool {
        // A jq filter that fails behind something that remembers could not say at which line.
        let has_front = self.jq.is_none() && (self.problems.is_some() || !self.select.is_empty());
        self.track.is_none() && (self.is_stateless() || has_front)
    }

    /// The front part of the chain, up to the first stage that remembers something, so that several can go side by side.
    /// What it writes are the lines that pass, for [`Self::take_passed`] of one chain, in order; or, where nothing
    /// remembers, what the whole chain writes.
    pub(crate) fn into_front(self) -> Self {
        if self.is_stateless() {
            return self;
        }
        let problems = self.problems.map(|_| Problems::only_candidates());
        Self { problems, limit: Limit::None, format: Box::new(Ndjson::default()), ..self }
    }

    /// What comes before the first record.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        self.format.begin(out);
    }

    /// The input is silent: nothing that could be written is held back. Breaks off when nothing more is wanted.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn idle(&mut self, out: &mut Vec<u8>) -> anyhow::Result<ControlFlow<()>> {
        let told = self.track.as_mut().map(|tracker| tracker.idle(Instant::now())).unwrap_or_default();
        let flow = self.give_all(told.into_iter().map(Item::from), out);
        self.format.idle(out);
        flow
    }

    /// When [`Self::idle`] is to be called again, if the input stays silent until then: something is due that no record
    /// announces. Being called must move it.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.track.as_ref()?.next_due()
    }

    /// What was there has been read, and more will come: what was kept for the end is written.
    pub(crate) fn caught_up(&mut self, out: &mut Vec<u8>) {
        self.limit.end(&mut *self.format, out);
    }

    /// What comes after the last record.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.limit.end(&mut *self.format, out);
        self.format.end(out);
    }
}

//! The way of a record through supd-parse:
//!
//! ```text
//! select ─▶ problems ─▶ limit ─▶ format
//! ```

use std::ops::ControlFlow;
use std::time::Instant;

use supd_core::Kind;
use supd_core::fields::Fields as _;

use crate::format::Format;
use crate::item::Item;
use crate::limit::Limit;
use crate::problems::Problems;
use crate::select::Select;

/// What is to be done with each record, and what is remembered for that.
pub(crate) struct Chain {
    pub(crate) select: Select,
    pub(crate) problems: Option<Problems>,
    /// Whether TICK events pass, whatever else is asked for.
    pub(crate) ticks: bool,
    pub(crate) limit: Limit,
    pub(crate) format: Box<dyn Format>,
}

impl Chain {
    /// Takes a record, and appends what is to be written because of it. Breaks off when nothing more is wanted.
    ///
    /// # Errors
    /// What a filter could not do with it.
    pub(crate) fn take(&mut self, mut item: Item<'_>, out: &mut Vec<u8>) -> anyhow::Result<ControlFlow<()>> {
        match item.kind() {
            // They are for the consumers of a spool, who must see them whatever is filtered.
            Kind::Mark => {
                self.format.write(&item, out);
                return Ok(ControlFlow::Continue(()));
            }
            Kind::Tick if self.ticks => {}
            _ if !self.passes(&mut item) => return Ok(ControlFlow::Continue(())),
            _ => {}
        }
        Ok(self.limit.give(&item, &mut *self.format, out))
    }

    fn passes(&mut self, item: &mut Item<'_>) -> bool {
        self.select.passes(item)
            // Last, so that it remembers only problems that are passed on.
            && self.problems.as_mut().is_none_or(|problems| problems.passes(item))
    }

    /// What comes before the first record.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        self.format.begin(out);
    }

    /// The input is silent: nothing that could be written is held back.
    pub(crate) fn idle(&mut self, out: &mut Vec<u8>) {
        self.format.idle(out);
    }

    /// When [`Self::idle`] is to be called again, if the input stays silent until then: something is due that no record
    /// announces. Being called must move it.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        None
    }

    /// What comes after the last record.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.limit.end(&mut *self.format, out);
        self.format.end(out);
    }
}

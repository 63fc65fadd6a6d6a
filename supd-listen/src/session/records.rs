//! Records on their way into the store or the outbox, those of our own among them.

use std::time::Instant;

use jiff::Timestamp;
use supd_core::Record;
use supd_core::spool::log::Lost;

use super::Session;
use crate::own;
use crate::store::Put;

impl Session {
    /// A record of our own, which goes the way of all others.
    pub(super) fn own(&mut self, mut record: Record) -> Record {
        self.origin.sign(&mut record, Timestamp::now());
        (record.pool, record.server) = self.pool.clone();
        record
    }

    pub(super) fn declare_gaps(&mut self, now: Instant) {
        // Meanwhile nothing can come that would fill one.
        if self.in_hand.is_some() {
            return;
        }
        while let Some(gap) = self.gaps.as_mut().and_then(|gaps| gaps.due(now)) {
            log::warn!(
                "supervisord dropped {} events of pool '{}'; see its buffer_size",
                gap.missing(),
                self.pool.0.as_deref().unwrap_or_default()
            );
            let record = self.own(own::gap(gap));
            self.records.push_back(record);
        }
    }

    /// A record goes where it belongs at once, unless others wait for that.
    pub(super) fn accept(&mut self, mut record: Record, now: Instant) {
        if !self.records.is_empty() {
            return self.records.push_back(record);
        }
        match self.put(&mut record, now) {
            Put::Done => {}
            Put::Later => self.records.push_back(record),
            Put::Lost(gone) => {
                self.put_back(record, gone);
                self.put_away(now);
            }
        }
    }

    pub(super) fn put_away(&mut self, now: Instant) {
        while let Some(mut record) = self.records.pop_front() {
            match self.put(&mut record, now) {
                Put::Done => {}
                Put::Later => return self.records.push_front(record),
                Put::Lost(gone) => self.put_back(record, gone),
            }
        }
    }

    fn put(&mut self, record: &mut Record, now: Instant) -> Put {
        let Some(store) = &mut self.store else {
            record.write_line(self.outbox.lines());
            return Put::Done;
        };
        store.put(record, self.outbox.lines(), now)
    }

    /// What was lost to make room for a record is told before it.
    fn put_back(&mut self, record: Record, gone: Lost) {
        log::warn!(
            "the spool is full: removed {} records that were not confirmed; see --spool-max",
            gone.count()
        );
        let told = self.own(own::lost(gone, "spool-max"));
        self.records.push_front(record);
        self.records.push_front(told);
    }
}

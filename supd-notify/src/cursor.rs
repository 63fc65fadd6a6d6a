//! Our place in a spool: waited for while an earlier process has it, read, and moved on.

use std::path::Path;
use std::time::{Duration, Instant};

use supd_core::spool::{self, Asked, Consumer, ConsumerName};
use supd_core::words::counted;
use supd_core::{Kind, Record};

use crate::confirmations::Confirmations;
use crate::queue::{Ahead, Queue};
use crate::state::State;

/// How often we ask whether an earlier process has ended.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// An earlier process that drains takes its time; one that takes longer is named.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// The consumer of a spool that we are.
pub(crate) struct Cursor {
    consumer: Consumer,
    confirmations: Confirmations,
    /// How many records were dealt with before our time, since this was last said, and the last of them.
    skipped: (u64, u64),
    is_failing: bool,
    has_told_of_unnumbered: bool,
}

impl Cursor {
    /// Becomes this consumer, once no earlier process is; `None` when that takes longer than the queue gives us.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn open(
        spool: &Path,
        name: &ConsumerName,
        from_start: bool,
        queue: &Queue,
    ) -> anyhow::Result<Option<Self>> {
        let Some(consumer) = wait(spool, name, queue)? else { return Ok(None) };
        let position = consumer.position();
        let begin = if position.is_some() || from_start { 0 } else { beside_others(spool)? };
        let now = Instant::now();
        let mut cursor = Self {
            consumer,
            confirmations: Confirmations::new(position, begin, now),
            skipped: (0, 0),
            is_failing: false,
            has_told_of_unnumbered: false,
        };
        // At once, so that supd-listen keeps for a new consumer what it has not seen.
        cursor.write(now);
        Ok(Some(cursor))
    }

    /// Whether this number was dealt with before our time.
    pub(crate) fn covers(&self, seq: Option<u64>) -> bool {
        seq.is_some_and(|seq| self.confirmations.was_dealt_with(seq))
    }

    /// Whether a record with this number is to be passed over, because it was dealt with before our time.
    pub(crate) fn skips(&mut self, record: &Record) -> bool {
        let seq = record.seq;
        if let Some(seq) = seq.filter(|seq| self.confirmations.was_dealt_with(*seq)) {
            self.confirmations.pass(seq);
            self.skipped = (self.skipped.0 + 1, seq);
            return true;
        }
        self.tell_of_skipped();
        // That a process is stable is told by time, not by an event that has a number.
        let should_have_one = record.kind() != Kind::Stable;
        if seq.is_none() && should_have_one && !std::mem::replace(&mut self.has_told_of_unnumbered, true) {
            log::warn!(
                "a record has no 'seq', so it cannot be confirmed, and may be delivered again after a restart; keep \
                 'seq' in the filter before us, and give supd-listen the same spool"
            );
        }
        false
    }

    fn tell_of_skipped(&mut self) {
        let (skipped, last) = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            let records = counted(skipped, "record");
            log::debug!("skipped {records} up to seq {last}, dealt with before our time");
        }
    }

    /// Goes on where an earlier program was, unless the cursor was moved back since, to have records again.
    pub(crate) fn resume(&mut self, state: &State) {
        if self.confirmations.handled() >= state.cursor {
            self.confirmations.resume(state.highest, state.waiting.iter().copied());
        }
    }

    /// Notes what a successor has to know, also of what came after what is `ahead`. When nothing waits and nothing is open,
    /// the cursor says all.
    pub(crate) fn describe(&self, state: &mut State, ahead: Option<Ahead>) {
        let ahead = ahead.unwrap_or_default();
        let mut waiting = self.confirmations.waiting();
        waiting.extend(ahead.letters.into_iter().filter(|seq| !self.covers(Some(*seq))));
        if !waiting.is_empty() || state.dispatcher.has_troubles() {
            state.cursor = self.confirmations.handled();
            state.highest = self.confirmations.highest().max(ahead.highest);
            state.waiting = waiting.into_iter().collect();
        }
    }

    /// A record with this number has come, and waits.
    pub(crate) fn hold(&mut self, seq: u64, passes: u64) {
        self.confirmations.hold(seq, passes);
    }

    /// It has been dealt with.
    pub(crate) fn release(&mut self, seq: u64) {
        self.confirmations.release(seq);
    }

    /// Nothing else up to this number will come.
    pub(crate) fn pass(&mut self, seq: u64) {
        self.confirmations.pass(seq);
    }

    /// When there is something to write.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.confirmations.due()
    }

    /// Writes what there is to write. That it cannot be written is no reason not to deliver: the worst that can come of
    /// it is that something is delivered twice.
    pub(crate) fn write(&mut self, now: Instant) {
        let Some(seq) = self.confirmations.unwritten() else { return };
        match self.consumer.set_position(seq) {
            Ok(()) => {
                self.confirmations.wrote(seq, now);
                self.is_failing = false;
            }
            Err(error) => {
                self.confirmations.failed(now);
                if !std::mem::replace(&mut self.is_failing, true) {
                    log::warn!("{error:#}; until it can be, a restart delivers again what was delivered");
                }
            }
        }
    }

    /// Writes what is left to write.
    pub(crate) fn close(mut self) {
        self.tell_of_skipped();
        self.write(Instant::now());
    }
}

/// Writes down where those of these consumers begin that are new, all at the same place and before any of them delivers:
/// whoever looked later would find that the others had got further.
///
/// # Errors
/// The system's, with the name.
pub(crate) fn introduce(spool: &Path, names: &[ConsumerName], from_start: bool) -> anyhow::Result<()> {
    let mut new = Vec::new();
    for name in names {
        match Consumer::ask(spool, name)? {
            Asked::Ours(consumer) if consumer.position().is_none() => new.push(consumer),
            // An earlier process is this consumer, and has written it down.
            Asked::Ours(_) | Asked::Held(_) => {}
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let begin = if from_start { 0 } else { beside_others(spool)? };
    for mut consumer in new {
        // That it cannot be written is said when it is the consumer's turn.
        let _ = consumer.set_position(begin);
    }
    Ok(())
}

/// Where a new consumer begins: where the furthest of the others is or, in a pipeline that supd-listen runs, was when it
/// started that.
fn beside_others(spool: &Path) -> anyhow::Result<u64> {
    let is_ours = std::env::var_os(spool::VARIABLE).is_some_and(|path| path == spool.as_os_str());
    let told =
        std::env::var(spool::START_VARIABLE).ok().filter(|_| is_ours).and_then(|text| text.parse().ok());
    match told {
        Some(number) => Ok(number),
        None => Ok(spool::cursors(spool)?.into_values().max().unwrap_or(0)),
    }
}

/// Waits until we are this consumer; `None` when it takes longer than the queue gives us.
fn wait(spool: &Path, name: &ConsumerName, queue: &Queue) -> anyhow::Result<Option<Consumer>> {
    let shown = format!("is consumer '{}' of spool '{}'", name.as_str(), spool.display());
    match wait_for(|| Consumer::ask(spool, name), &shown, queue, None)? {
        Ok(consumer) => Ok(Some(consumer)),
        Err(holder) => {
            log::warn!("{holder} still {shown}; what it leaves stays there for the next start");
            Ok(None)
        }
    }
}

/// Waits until something is ours that one process has at a time, for as long as the queue gives us, or for so long at
/// most; else who has it.
///
/// # Errors
/// The system's, with the name.
pub(crate) fn wait_for<T>(
    ask: impl Fn() -> anyhow::Result<Asked<T>>,
    shown: &str,
    queue: &Queue,
    patience: Option<Duration>,
) -> anyhow::Result<Result<T, String>> {
    let started = Instant::now();
    let mut has_said = false;
    loop {
        let holder = match ask()? {
            Asked::Ours(ours) => return Ok(Ok(ours)),
            Asked::Held(pid) => pid.map_or("another process".to_owned(), |pid| format!("process {pid}")),
        };
        if started.elapsed() >= SAY_AFTER && !std::mem::replace(&mut has_said, true) {
            log::info!("waiting for the end of {holder}, which {shown}");
        }
        let has_time = patience.is_none_or(|patience| started.elapsed() < patience);
        if !has_time || !queue.pause(ASK_AGAIN, started) {
            return Ok(Err(holder));
        }
    }
}

//! Delivery policy: in order, again after a pause that grows, and never without a trace.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use supd_core::describe;
use supd_core::stdio;

use crate::channel::{Channel, Failure};
use crate::cursor::Cursor;
use crate::dead_letter::DeadLetter;
use crate::queue::{Entry, Letter, Next, Queue};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A server may ask for more patience, but not for so much that it comes to silence.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// Takes letters to a channel.
pub(crate) struct Courier {
    channel: Box<dyn Channel>,
    dead_letter: Option<DeadLetter>,
    timeout: Duration,
    retry_for: Duration,
    /// Our place in the spool that the letters come from, if they do.
    cursor: Option<Cursor>,
    /// Why the last attempt did not succeed, if it did not.
    failing: Option<String>,
}

/// What became of a letter.
enum Outcome {
    Delivered,
    /// Another attempt would not succeed, or there have been enough.
    Failed(String),
    /// There is no time for another attempt.
    OutOfTime(String),
}

impl Courier {
    pub(crate) fn new(
        channel: Box<dyn Channel>,
        dead_letter: Option<DeadLetter>,
        timeout: Duration,
        retry_for: Duration,
        cursor: Option<Cursor>,
    ) -> Self {
        Self { channel, dead_letter, timeout, retry_for, cursor, failing: None }
    }

    /// Delivers what is queued until no more comes; how many letters could not be delivered. Those that a spool keeps
    /// for another time do not count.
    pub(crate) fn deliver_all(mut self, queue: &Queue) -> u64 {
        let mut failed = 0;
        loop {
            match queue.pop(self.cursor.as_ref().and_then(Cursor::due)) {
                Next::Entry(Entry::Letter(letter)) if self.skips(&letter) => {}
                Next::Entry(Entry::Letter(letter)) => match self.deliver(&letter, queue) {
                    Outcome::Delivered => {
                        log::debug!("delivered to {}: {}", self.channel.name(), title(&letter));
                        self.confirm(letter.record.seq);
                    }
                    Outcome::OutOfTime(reason) if let Some(cursor) = &self.cursor => {
                        let waiting = queue.count(|letter| !cursor.covers(letter.record.seq));
                        self.leave(1 + waiting, &reason);
                        break;
                    }
                    Outcome::Failed(reason) | Outcome::OutOfTime(reason) => {
                        failed += 1;
                        self.bury(&letter, &reason);
                        self.confirm(letter.record.seq);
                    }
                },
                Next::Entry(Entry::Passed(seq)) => self.confirm(Some(seq)),
                Next::Nothing => {}
                Next::End => break,
            }
            if let Some(cursor) = &mut self.cursor {
                cursor.write_when_due(Instant::now());
            }
        }
        if let Some(cursor) = self.cursor {
            cursor.close();
        }
        failed
    }

    fn skips(&mut self, letter: &Letter) -> bool {
        self.cursor.as_mut().is_some_and(|cursor| cursor.skips(letter.record.seq))
    }

    fn confirm(&mut self, seq: Option<u64>) {
        if let (Some(cursor), Some(seq)) = (&mut self.cursor, seq) {
            cursor.confirm(seq);
        }
    }

    /// Tries until it succeeds or there is no more point in it.
    fn deliver(&mut self, letter: &Letter, queue: &Queue) -> Outcome {
        let started = Instant::now();
        let mut pauses = pauses();
        loop {
            let deadline = queue.deadline(self.failing.is_some());
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                let reason = self.failing.clone();
                return Outcome::OutOfTime(reason.unwrap_or_else(|| "it was time to stop".to_owned()));
            }
            // An attempt of a channel that works gets all its time: cut short, it might have arrived all the same.
            let timeout =
                left.filter(|_| self.failing.is_some()).map_or(self.timeout, |left| left.min(self.timeout));
            let (reason, retry_after) = match self.channel.deliver(letter, timeout) {
                Ok(()) => {
                    if self.failing.take().is_some() {
                        log::info!("deliver to {}: it works again", self.channel.name());
                    }
                    return Outcome::Delivered;
                }
                // The channel works: it said no.
                Err(Failure::Permanent { reason }) => {
                    self.failing = None;
                    return Outcome::Failed(reason);
                }
                Err(Failure::Temporary { reason, retry_after }) => (reason, retry_after.unwrap_or_default()),
            };
            self.failing = Some(reason.clone());
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE).max(retry_after.min(LONGEST_WISH));
            if started.elapsed() + pause >= self.retry_for {
                return Outcome::Failed(reason);
            }
            log::warn!("deliver to {}: {reason}; next attempt in {pause:.1?}", self.channel.name());
            if let Some(cursor) = &mut self.cursor {
                cursor.write(Instant::now());
            }
            if !queue.pause(pause) {
                return Outcome::OutOfTime(reason);
            }
        }
    }

    /// Tells of letters that stay in the spool.
    fn leave(&self, letters: usize, reason: &str) {
        let stay = if letters == 1 { "record stays" } else { "records stay" };
        let name = self.channel.name();
        log::warn!("deliver to {name}: {reason}; {letters} {stay} in the spool for the next start");
    }

    /// Puts a letter where it can be found: the dead letter file, or where messages go.
    fn bury(&self, letter: &Letter, reason: &str) {
        let serial = letter.record.serial.map_or(String::new(), |serial| format!(" (serial {serial})"));
        log::error!("deliver to {}: {reason}; gave up '{}'{serial}", self.channel.name(), title(letter));
        let buried = self.dead_letter.as_ref().map(|dead_letter| dead_letter.write(&letter.line));
        let why_here = match buried {
            Some(Ok(())) => return,
            Some(Err(error)) => format!("{error:#}"),
            None => "there is no --dead-letter".to_owned(),
        };
        log::error!("{why_here}; so here is the record: {}", String::from_utf8_lossy(&letter.line));
    }
}

fn title(letter: &Letter) -> String {
    format!("{} {}", describe::subject(&letter.record), describe::what(&letter.record))
}

/// One second, then twice as long each time, with as much again at random at most, up to five minutes.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
        .map(|pause| pause.min(LONGEST_PAUSE))
}

/// Prints what would be sent.
pub(crate) fn preview(queue: &Queue, channel: &dyn Channel) -> anyhow::Result<u64> {
    let mut failed = 0;
    loop {
        match queue.pop(None) {
            Next::Entry(Entry::Letter(letter)) => match channel.preview(&letter) {
                Ok(text) => stdio::print(format!("{text}\n").as_bytes())?,
                Err(failure) => {
                    log::error!("deliver to {}: {failure}", channel.name());
                    failed += 1;
                }
            },
            Next::Entry(Entry::Passed(_)) | Next::Nothing => {}
            Next::End => return Ok(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_up_to_five_minutes() {
        let pauses: Vec<Duration> = pauses().take(40).collect();
        for (attempt, pause) in pauses.iter().enumerate() {
            let base = FIRST_PAUSE.saturating_mul(1 << attempt.min(20)).min(LONGEST_PAUSE);
            assert!(*pause >= base && *pause <= (base * 2).min(LONGEST_PAUSE), "{attempt}: {pause:?}");
        }
    }
}

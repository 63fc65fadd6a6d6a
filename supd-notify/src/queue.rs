//! Records on their way from standard input to the channel. Input is read on while a delivery waits, up to a bound:
//! then the pipe fills, and supervisord's own buffer is what waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use supd_core::input::{Source, Watch};
use supd_core::reader::{From, Item, Reader};
use supd_core::{Kind, Record};

const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 32 << 20;

/// A record to deliver, and the bytes it came as.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) record: Record,
    /// Without its newline.
    pub(crate) line: Vec<u8>,
}

/// A bounded queue with an end.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    letters: VecDeque<Letter>,
    bytes: usize,
    /// Set when no more records will come: until when what is left may be tried.
    deadline: Option<Instant>,
}

impl Queue {
    /// The next letter, waiting for one; `None` when no more will come.
    pub(crate) fn pop(&self) -> Option<Letter> {
        let mut state = self.lock();
        loop {
            if let Some(letter) = state.letters.pop_front() {
                state.bytes -= letter.line.len();
                self.changed.notify_all();
                return Some(letter);
            }
            if state.deadline.is_some() {
                return None;
            }
            state = self.changed.wait(state).expect(UNPOISONED);
        }
    }

    /// How much of this time is left before the deadline, if there is one by now.
    pub(crate) fn within(&self, time: Duration) -> Duration {
        let deadline = self.lock().deadline;
        deadline.map_or(time, |deadline| {
            time.min(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Waits for as long as this, or to the deadline; false when that has come.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let end = state.deadline.map_or(until, |deadline| deadline.min(until));
            if now >= end {
                return state.deadline.is_none_or(|deadline| now < deadline);
            }
            state = self.changed.wait_timeout(state, end - now).expect(UNPOISONED).0;
        }
    }

    fn push(&self, letter: Letter) {
        let mut state = self.lock();
        while state.letters.len() >= MAX_RECORDS || state.bytes >= MAX_BYTES {
            state = self.changed.wait(state).expect(UNPOISONED);
        }
        state.bytes += letter.line.len();
        state.letters.push_back(letter);
        self.changed.notify_all();
    }

    fn close(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "no thread panics while it holds the queue";

/// Reads standard input to its end and queues what is to be delivered; how many lines were malformed.
pub(crate) fn fill(queue: &Queue, mut watch: Watch, drain_timeout: Duration) -> anyhow::Result<u64> {
    let result = read_all(queue, &mut watch);
    queue.close(watch.deadline().unwrap_or_else(|| Instant::now() + drain_timeout));
    result
}

fn read_all(queue: &Queue, watch: &mut Watch) -> anyhow::Result<u64> {
    let mut source = Source::open(None)?;
    let mut reader = Reader::new(From::Ndjson, source.name());
    loop {
        let bytes = source.read(watch, &mut || Ok(()))?;
        let ended = bytes.is_empty();
        if ended {
            reader.finish();
        } else {
            reader.feed(bytes);
        }
        reader.each(|Item { record, line, .. }| {
            if is_for_people(&record) {
                queue.push(Letter {
                    record,
                    line: line.unwrap_or_default().to_vec(),
                });
            }
            Ok(())
        })?;
        if ended {
            return Ok(reader.malformed());
        }
    }
}

/// Marks are the spool's; the end of a problem is to close what was reported, which needs no message of its own.
fn is_for_people(record: &Record) -> bool {
    record.kind() != Kind::Mark && !record.extra.contains_key("resolves")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_at_the_deadline() {
        let queue = Queue::default();
        assert!(queue.pause(Duration::ZERO));
        queue.close(Instant::now());
        assert!(!queue.pause(Duration::from_secs(3600)));
        assert_eq!(queue.within(Duration::from_secs(3600)), Duration::ZERO);
        assert!(queue.pop().is_none());
    }

    #[test]
    fn marks_and_ends_of_problems_are_not_for_people() {
        let record = |text: &str| Record::from_line(text.as_bytes()).unwrap();
        assert!(!is_for_people(&record(r#"{"seq":1,"eventname":"SUPD_MARK"}"#)));
        assert!(!is_for_people(&record(
            r#"{"eventname":"PROCESS_STATE_RUNNING","resolves":7}"#
        )));
        assert!(is_for_people(&record(r#"{"eventname":"PROCESS_STATE_RUNNING"}"#)));
    }
}

//! The ways to the targets. What is not for a target passes it as a bare number, so that each confirms everything in its
//! order.

use std::cell::Cell;
use std::sync::Arc;

use supd_core::Kind;
use supd_core::words::counted;

use crate::dead_letter::{DeadLetter, bury};
use crate::parcel::Letter;
use crate::queue::Queue;
use crate::rules::Rules;
use crate::tally::Tally;
use crate::target::Target;

/// The ways to all targets.
pub(crate) struct Router {
    ways: Vec<Way>,
    rules: Rules,
    has_told_of_waiting: Cell<bool>,
}

/// The way to one.
struct Way {
    name: String,
    queue: Arc<Queue>,
    /// Where letters go for which there is no room.
    dead_letter: Option<Arc<DeadLetter>>,
    tally: Arc<Tally>,
    /// How many there were since there was last room.
    overflown: Cell<u64>,
}

impl Router {
    pub(crate) fn new(targets: &[Target], rules: Rules) -> Self {
        let way = |target: &Target| Way {
            name: target.name.clone(),
            queue: Arc::clone(&target.queue),
            dead_letter: target.dead_letter.clone(),
            tally: Arc::clone(&target.tally),
            overflown: Cell::new(0),
        };
        Self { ways: targets.iter().map(way).collect(), rules, has_told_of_waiting: Cell::new(false) }
    }

    /// Queues a record for whom it is for; the others learn that its number has passed.
    pub(crate) fn route(&self, letter: Letter) {
        let mut is_for = vec![false; self.ways.len()];
        if letter.record.kind() != Kind::Mark {
            self.rules.targets_of(&letter.record).into_iter().for_each(|target| is_for[target] = true);
        }
        let letter = Arc::new(letter);
        for (way, is_for) in self.ways.iter().zip(is_for) {
            if is_for {
                self.send(way, &letter);
            } else {
                way.pass(&letter);
            }
        }
    }

    fn send(&self, way: &Way, letter: &Arc<Letter>) {
        if self.ways.len() == 1 {
            way.queue.push(Arc::clone(letter));
        } else if way.queue.offer(Arc::clone(letter)) {
            way.tell_of_room();
        } else if way.dead_letter.is_some() {
            way.overflow(letter);
        } else {
            if !self.has_told_of_waiting.replace(true) {
                log::warn!(
                    "deliver to {}: its queue is full, and the other targets wait for it; with --dead-letter FILE, or \
                     dead_letter in the configuration, they would not",
                    way.name
                );
            }
            way.queue.push(Arc::clone(letter));
        }
    }
}

impl Way {
    fn pass(&self, letter: &Letter) {
        letter.passes().into_iter().for_each(|seq| self.queue.pass(seq));
    }

    /// The dead letters have room for what does not fit.
    fn overflow(&self, letter: &Letter) {
        if self.overflown.get() == 0 {
            log::error!("deliver to {}: the queue is full; what comes now is given up", self.name);
        }
        self.overflown.set(self.overflown.get() + 1);
        bury(letter, &self.name, "the queue is full", self.dead_letter.as_deref(), &self.tally);
        self.pass(letter);
    }

    fn tell_of_room(&self) {
        let overflown = self.overflown.take();
        if overflown > 0 {
            let records = counted(overflown, "record");
            log::warn!("deliver to {}: the queue has room again; gave up {records}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use supd_core::Record;

    use super::*;
    use crate::channel::Audience;
    use crate::policy::Options;
    use crate::queue::{Entry, Next};
    use crate::rules::{Rule, Selector};

    fn target(name: &str) -> Target {
        Target {
            name: name.to_owned(),
            channel: Box::new(crate::channel::log::Log::default()),
            policy: Options::default().policy(Audience::Programs),
            queue: Arc::new(Queue::new(Duration::ZERO)),
            dead_letter: None,
            place: None,
            state: None,
            tally: Arc::default(),
        }
    }

    /// What is in a target's queue, by the numbers: `letter 1`, `passed 2`.
    fn queued(target: &Target) -> Vec<String> {
        let next = || match target.queue.pop(Some(Instant::now())) {
            Next::Entry(Entry::Letter(letter)) => Some(format!("letter {}", letter.record.seq.unwrap())),
            Next::Entry(Entry::Passed(seq)) => Some(format!("passed {seq}")),
            Next::Nothing | Next::End => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn what_is_not_for_a_target_passes_it_and_the_end_of_a_problem_comes_to_who_was_told_of_it() {
        let targets = [target("pager"), target("ops")];
        let selector = Selector {
            events: vec![supd_core::EventPattern::parse("fatal").unwrap()],
            ..Selector::default()
        };
        let rules = vec![Rule { selector, targets: vec![0], goes_on: false }];
        let router = Router::new(&targets, Rules { rules, default: vec![1] });
        for line in [
            r#"{"seq":1,"eventname":"PROCESS_STATE_FATAL"}"#,
            r#"{"seq":2,"eventname":"PROCESS_STATE_EXITED"}"#,
            r#"{"eventname":"PROCESS_STATE_FATAL","seq":3}"#,
            r#"{"seq":4,"eventname":"PROCESS_STATE_RUNNING","resolves":9}"#,
            r#"{"seq":5,"eventname":"SUPD_MARK"}"#,
        ] {
            router.route(Letter::new(Record::from_line(line.as_bytes()).unwrap(), line.into()));
        }
        assert_eq!(queued(&targets[0]), ["letter 1", "passed 2", "letter 3", "letter 4", "passed 5"]);
        assert_eq!(queued(&targets[1]), ["passed 1", "letter 2", "passed 3", "letter 4", "passed 5"]);
    }
}

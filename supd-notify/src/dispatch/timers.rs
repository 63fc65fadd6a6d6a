//! When to look at what. There is one time for each thing, however much there is to look at it for: a stream that never
//! calms down must not leave a timer behind for every record.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// Things, each with the time at which to look at it next.
#[derive(Debug)]
pub(super) struct Timers<T> {
    times: HashMap<T, Instant>,
    queue: BTreeSet<(Instant, T)>,
}

impl<T: Clone + Eq + Hash + Ord> Timers<T> {
    pub(super) fn new() -> Self {
        Self { times: HashMap::new(), queue: BTreeSet::new() }
    }

    /// Has it looked at by then; an earlier time that was set before stands, and whoever looks sets the next.
    pub(super) fn set(&mut self, thing: T, at: Instant) {
        if let Some(earlier) = self.times.get_mut(&thing) {
            if *earlier <= at {
                return;
            }
            let later = std::mem::replace(earlier, at);
            self.queue.remove(&(later, thing.clone()));
        } else {
            self.times.insert(thing.clone(), at);
        }
        self.queue.insert((at, thing));
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// What is to be looked at by now, and has no time any more.
    pub(super) fn take(&mut self, now: Instant) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        let (_, thing) = self.queue.pop_first()?;
        self.times.remove(&thing);
        Some(thing)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thing_has_one_time_and_that_is_the_earliest() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new();
        for (thing, seconds) in [("a", 5), ("b", 4), ("a", 3), ("a", 7)] {
            timers.set(thing, now + seconds * second);
        }
        assert_eq!((timers.len(), timers.next()), (2, Some(now + 3 * second)));
        assert_eq!(timers.take(now), None);
        let taken: Vec<&str> = std::iter::from_fn(|| timers.take(now + 9 * second)).collect();
        assert_eq!((taken, timers.len(), timers.next()), (vec!["a", "b"], 0, None));
    }
}

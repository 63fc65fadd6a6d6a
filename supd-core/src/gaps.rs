//! Events that supervisord dropped: numbers of the pool that never come.
//!
//! A number that has not come is no gap yet: supervisord puts a rejected event, or one that leaked out of another pool,
//! before those that wait, so that numbers come out of order. One that has not come long after a later one will not come.

use std::time::{Duration, Instant};

/// How long a number may come after a later one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one may come after a new listener's first event, at least: what waits for that listener comes at once then.
/// The first may take its time, since supervisord sends nothing before startsecs.
const GRACE: Duration = Duration::from_secs(1);

/// Poolserials that never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The one before the first of them.
    pub after: u64,
    /// The one after the last of them.
    pub before: u64,
}

impl Gap {
    /// How many.
    pub fn missing(self) -> u64 {
        self.before - self.after - 1
    }
}

/// Watches the poolserials of one pool, in the order in which its events come.
#[derive(Debug, Default)]
pub struct Gaps {
    /// The largest so far.
    highest: Option<u64>,
    /// Those below it that have not come, in order.
    holes: Vec<Hole>,
    /// What an earlier supervisord with the same pool left open; no number of this one fills it.
    closed: Vec<Gap>,
    /// Whether what is known comes from an earlier listener.
    restored: bool,
    /// Before that, none of the holes is one for good.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Hole {
    gap: Gap,
    /// When it is one for good, if that is not too early for a new listener.
    due: Instant,
}

impl Gaps {
    /// An event of this number had come at this time, to an earlier listener.
    pub fn restore(&mut self, poolserial: u64, then: Instant) {
        self.restored = false;
        self.saw(poolserial, then);
        self.restored = true;
    }

    /// A new listener begins, and all that earlier ones saw has been restored.
    pub fn resume(&mut self, now: Instant) {
        self.not_before = Some(now + PATIENCE);
    }

    /// A gap that an earlier listener declared.
    pub fn restore_gap(&mut self, gap: Gap) {
        self.holes.retain(|hole| hole.gap.after < gap.after || hole.gap.before > gap.before);
    }

    /// An event of this number has come, for the first time.
    pub fn saw(&mut self, poolserial: u64, now: Instant) {
        let restored = std::mem::take(&mut self.restored);
        if restored && let Some(not_before) = &mut self.not_before {
            *not_before = (now + GRACE).min(*not_before);
        }
        let Some(highest) = self.highest else {
            self.highest = Some(poolserial);
            return;
        };
        if poolserial > highest {
            if poolserial > highest + 1 {
                let gap = Gap { after: highest, before: poolserial };
                self.holes.push(Hole { gap, due: now + PATIENCE });
            }
            self.highest = Some(poolserial);
        } else if !self.fill(poolserial) && restored {
            // After `reload` a pool begins to count anew.
            self.closed.extend(self.holes.drain(..).map(|hole| hole.gap));
            self.highest = Some(poolserial);
        }
    }

    /// Whether this number was in a hole; it is no longer.
    fn fill(&mut self, poolserial: u64) -> bool {
        let at = self.holes.partition_point(|hole| hole.gap.before <= poolserial);
        let Some(hole) = self.holes.get(at).filter(|hole| hole.gap.after < poolserial) else { return false };
        let (gap, due) = (hole.gap, hole.due);
        let parts = [Gap { before: poolserial, ..gap }, Gap { after: poolserial, ..gap }];
        let parts = parts.into_iter().filter(|part| part.missing() > 0);
        self.holes.splice(at..=at, parts.map(|gap| Hole { gap, due }));
        true
    }

    /// So long nothing could come, because we did not ask for it.
    pub fn was_held_up(&mut self, time: Duration) {
        self.holes
            .iter_mut()
            .map(|hole| &mut hole.due)
            .chain(&mut self.not_before)
            .for_each(|due| *due += time);
    }

    /// When the next one will be a gap for good.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.closed.is_empty() { self.holes.iter().map(|hole| self.end_of(hole)).min() } else { Some(now) }
    }

    /// One that is a gap for good.
    pub fn due(&mut self, now: Instant) -> Option<Gap> {
        if !self.closed.is_empty() {
            return Some(self.closed.remove(0));
        }
        let at = self.holes.iter().position(|hole| self.end_of(hole) <= now)?;
        Some(self.holes.remove(at).gap)
    }

    /// When it is one for good.
    fn end_of(&self, hole: &Hole) -> Instant {
        self.not_before.map_or(hole.due, |not_before| hole.due.max(not_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u64]) -> (Gaps, Instant) {
        let (mut gaps, now) = (Gaps::default(), Instant::now());
        numbers.iter().for_each(|&number| gaps.saw(number, now));
        (gaps, now)
    }

    fn declared(gaps: &mut Gaps, now: Instant) -> Vec<(u64, u64, u64)> {
        std::iter::from_fn(|| gaps.due(now).map(|gap| (gap.missing(), gap.after, gap.before))).collect()
    }

    #[test]
    fn a_hole_is_a_gap_once_it_has_not_been_filled_for_ten_seconds() {
        let (mut gaps, now) = seen(&[5, 6, 9, 7, 12]);
        assert_eq!(gaps.deadline(now), Some(now + PATIENCE));
        assert_eq!(gaps.due(now + PATIENCE / 2), None);
        assert_eq!(declared(&mut gaps, now + PATIENCE), [(1, 7, 9), (2, 9, 12)]);
        assert_eq!(gaps.deadline(now), None);
    }

    #[test]
    fn numbers_that_come_late_leave_no_gap() {
        let (mut gaps, now) = seen(&[3, 8, 5, 4, 7, 6, 9]);
        assert_eq!(declared(&mut gaps, now + 2 * PATIENCE), []);
        // Below the first one nothing is known.
        let (mut gaps, now) = seen(&[8, 3, 4, 9]);
        assert_eq!(declared(&mut gaps, now + 2 * PATIENCE), []);
    }

    #[test]
    fn time_in_which_nothing_could_come_does_not_count() {
        let (mut gaps, now) = seen(&[1, 3]);
        gaps.was_held_up(PATIENCE);
        assert_eq!(gaps.due(now + PATIENCE), None);
        assert_eq!(declared(&mut gaps, now + 2 * PATIENCE), [(1, 1, 3)]);
    }

    #[test]
    fn a_restart_of_the_listener_hides_no_gap() {
        let (mut gaps, now) = (Gaps::default(), Instant::now());
        [1, 2, 4, 8].into_iter().for_each(|number| gaps.restore(number, now));
        gaps.restore_gap(Gap { after: 2, before: 4 });
        gaps.saw(6, now);
        gaps.saw(11, now);
        assert_eq!(declared(&mut gaps, now + PATIENCE), [(1, 4, 6), (1, 6, 8), (2, 8, 11)]);
    }

    #[test]
    fn a_listener_that_never_lives_for_ten_seconds_declares_gaps_all_the_same() {
        let (mut gaps, now) = (Gaps::default(), Instant::now());
        [1, 3].into_iter().for_each(|number| gaps.restore(number, now));
        gaps.restore(7, now + PATIENCE / 2);
        gaps.resume(now + PATIENCE);
        gaps.saw(8, now + PATIENCE);
        assert_eq!(gaps.due(now + PATIENCE), None, "what waits may still come");
        assert_eq!(declared(&mut gaps, now + PATIENCE + GRACE), [(1, 1, 3)]);
        assert_eq!(declared(&mut gaps, now + PATIENCE * 3 / 2), [(3, 3, 7)]);
    }

    #[test]
    fn what_waits_for_a_new_listener_may_wait_until_supervisord_takes_it_for_running() {
        let resumed = || {
            let (mut gaps, now) = (Gaps::default(), Instant::now());
            [1, 4].into_iter().for_each(|number| gaps.restore(number, now));
            gaps.resume(now + 2 * PATIENCE);
            (gaps, now + 2 * PATIENCE)
        };
        let (mut gaps, now) = resumed();
        let first = now + PATIENCE / 2;
        assert_eq!((gaps.due(first), gaps.deadline(first)), (None, Some(now + PATIENCE)));
        gaps.saw(2, first);
        assert_eq!((gaps.due(first), gaps.deadline(first)), (None, Some(first + GRACE)));
        gaps.saw(3, first + GRACE / 2);
        assert_eq!(declared(&mut gaps, first + GRACE), []);
        // If nothing comes at all, the gap is told of all the same.
        let (mut gaps, now) = resumed();
        assert_eq!(declared(&mut gaps, now + PATIENCE), [(2, 1, 4)]);
    }

    #[test]
    fn a_reload_begins_anew_and_what_was_open_before_it_is_a_gap() {
        let (mut gaps, now) = (Gaps::default(), Instant::now());
        [50, 51, 53].into_iter().for_each(|number| gaps.restore(number, now));
        gaps.saw(0, now);
        gaps.saw(1, now);
        assert_eq!(declared(&mut gaps, now), [(1, 51, 53)]);
        assert_eq!(declared(&mut gaps, now + PATIENCE), []);
        // The first one after it may have leaked, and be larger than those that wait.
        gaps.saw(0, now);
        assert_eq!(declared(&mut gaps, now + PATIENCE), []);
    }
}

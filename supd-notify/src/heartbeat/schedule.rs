//! When to ping; it never reads a clock.
//!
//! `our clock, from the start on --the first TICK event--> supervisord's clock`

use std::time::{Duration, Instant};

/// When to ping.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// When the next ping is due.
    next: Instant,
    clock: Clock,
    withheld: bool,
}

/// Whose time it is.
#[derive(Debug, PartialEq, Eq)]
enum Clock {
    Ours,
    Supervisords { ticked: bool },
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Ping {
        /// After pings were withheld.
        resumed: bool,
    },
    /// It would be time, but things are not well.
    Withhold {
        /// Not for the first time.
        said: bool,
    },
}

impl Schedule {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, next: now, clock: Clock::Ours, withheld: false }
    }

    /// supervisord says what time it is, and from now on nobody else.
    pub(super) fn tick(&mut self) {
        self.clock = Clock::Supervisords { ticked: true };
    }

    /// When to look again; never, without another TICK.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        (self.clock == Clock::Ours).then_some(self.next)
    }

    /// What to do, when the worst of the targets has been failing for so long.
    pub(super) fn due(&mut self, now: Instant, failing: Option<Duration>) -> Verdict {
        let is_due = match &mut self.clock {
            Clock::Ours => now >= self.next,
            // Ticks come a little early or late: that of the minute must not miss its minute.
            Clock::Supervisords { ticked } => std::mem::take(ticked) && now + self.interval / 10 >= self.next,
        };
        if !is_due {
            return Verdict::Wait;
        }
        // From when it was due, so that one that comes late does not make the next one late; but after a long silence
        // there is nothing to catch up with.
        self.next = (self.next + self.interval).max(now + self.interval / 2);
        if failing.is_some_and(|time| time > self.interval) {
            return Verdict::Withhold { said: std::mem::replace(&mut self.withheld, true) };
        }
        Verdict::Ping { resumed: std::mem::take(&mut self.withheld) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const PING: Verdict = Verdict::Ping { resumed: false };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// At which of these seconds a TICK makes a ping.
    fn pings(schedule: &mut Schedule, start: Instant, ticks: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let pings = ticks.into_iter().filter(|tick| {
            schedule.tick();
            schedule.due(start + seconds(*tick), None) == PING
        });
        pings.collect()
    }

    #[test]
    fn our_clock_pings_at_the_start_and_each_interval() {
        let start = Instant::now();
        let mut schedule = Schedule::new(MINUTE, start);
        assert_eq!(schedule.due(start, None), PING);
        assert_eq!(schedule.wakes_at(), Some(start + MINUTE));
        assert_eq!(schedule.due(start + seconds(59.0), None), Verdict::Wait);
        // Late, but the next one is not.
        assert_eq!(schedule.due(start + seconds(63.0), None), PING);
        assert_eq!(schedule.wakes_at(), Some(start + 2 * MINUTE));
    }

    #[test]
    fn from_the_first_tick_on_nothing_but_ticks_makes_pings() {
        let start = Instant::now();
        let mut schedule = Schedule::new(MINUTE, start);
        assert_eq!(schedule.due(start, None), PING);
        assert_eq!(pings(&mut schedule, start, [60.0]), [60.0]);
        assert_eq!(schedule.wakes_at(), None);
        assert_eq!(schedule.due(start + 10 * MINUTE, None), Verdict::Wait);
        assert_eq!(pings(&mut schedule, start, [660.0]), [660.0]);
    }

    #[test]
    fn each_tick_of_the_minute_makes_a_ping_however_unpunctual() {
        let start = Instant::now();
        let ticks = [0.9, 60.0, 121.5, 180.1, 239.9, 305.0, 360.0, 419.0];
        assert_eq!(pings(&mut Schedule::new(MINUTE, start), start, ticks), ticks);
    }

    #[test]
    fn of_ticks_that_come_more_often_only_those_make_a_ping_that_are_due() {
        let start = Instant::now();
        let ticks = (0..60).map(|tick| f64::from(tick) * 5.0);
        assert_eq!(
            pings(&mut Schedule::new(MINUTE, start), start, ticks),
            [0.0, 55.0, 115.0, 175.0, 235.0, 295.0]
        );
        let hour = (0..720).map(|tick| f64::from(tick) * 5.0);
        assert_eq!(pings(&mut Schedule::new(MINUTE, start), start, hour).len(), 61);
    }

    #[test]
    fn after_a_silence_there_is_nothing_to_catch_up_with() {
        let start = Instant::now();
        let mut schedule = Schedule::new(MINUTE, start);
        assert_eq!(
            pings(&mut schedule, start, [0.0, 600.0, 605.0, 610.0, 630.0, 635.0]),
            [0.0, 600.0, 630.0]
        );
    }

    #[test]
    fn a_target_that_fails_for_longer_than_the_interval_withholds_pings_until_it_works_again() {
        let start = Instant::now();
        let mut schedule = Schedule::new(MINUTE, start);
        assert_eq!(schedule.due(start, Some(seconds(5.0))), PING, "it may be over soon");
        assert_eq!(schedule.due(start + MINUTE, Some(seconds(65.0))), Verdict::Withhold { said: false });
        assert_eq!(schedule.due(start + 2 * MINUTE, Some(seconds(125.0))), Verdict::Withhold { said: true });
        assert_eq!(schedule.due(start + 3 * MINUTE, None), Verdict::Ping { resumed: true });
        assert_eq!(schedule.due(start + 4 * MINUTE, None), PING);
    }
}

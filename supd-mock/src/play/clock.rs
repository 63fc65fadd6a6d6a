//! supervisord's clock: a TICK whenever a period of 5, 60 or 3600 seconds rolls over.

use std::time::Duration;

use jiff::Timestamp;
use supd_core::Payload;

const PERIODS: [i64; 3] = [5, 60, 3600];

/// When each period struck last, in seconds since the epoch.
pub(super) struct Clock([i64; 3]);

impl Clock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self(PERIODS.map(|period| rounded(now, period)))
    }

    /// The ticks that are due.
    pub(super) fn strike(&mut self, now: Timestamp) -> Vec<(String, Payload)> {
        let mut ticks = Vec::new();
        for (last, period) in self.0.iter_mut().zip(PERIODS) {
            let this = rounded(now, period);
            if this != *last {
                *last = this;
                ticks.push(tick(now, period));
            }
        }
        ticks
    }

    /// How long until the next one.
    pub(super) fn pause(now: Timestamp) -> Duration {
        let passed = now.as_millisecond().rem_euclid(5000);
        Duration::from_millis(5000 - passed.unsigned_abs())
    }
}

/// One tick of this period.
pub(super) fn tick(now: Timestamp, period: i64) -> (String, Payload) {
    let when = Some(rounded(now, period).unsigned_abs());
    (format!("TICK_{period}"), Payload { when, ..Payload::default() })
}

fn rounded(now: Timestamp, period: i64) -> i64 {
    now.as_second() - now.as_second().rem_euclid(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_strikes_once_when_it_rolls_over() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let mut clock = Clock::new(at("2026-01-05T08:00:57Z"));
        assert_eq!(clock.strike(at("2026-01-05T08:00:59Z")), []);
        let names = |ticks: Vec<(String, Payload)>| -> Vec<String> {
            ticks.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(clock.strike(at("2026-01-05T08:01:00Z"))), ["TICK_5", "TICK_60"]);
        assert_eq!(clock.strike(at("2026-01-05T08:01:01Z")), []);
        assert_eq!(Clock::pause(at("2026-01-05T08:01:01.500Z")), Duration::from_millis(3500));
    }
}

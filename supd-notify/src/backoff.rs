//! How long to wait before another attempt.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// The most that each pause may be: one second, then twice as long each time, up to five minutes.
pub(crate) fn ceilings() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .without_max_times()
        .build()
        .map(|pause| pause.min(LONGEST))
}

/// Full jitter: anything up to the ceiling, so that those who failed together do not come back together.
pub(crate) fn jitter(ceiling: Duration) -> Duration {
    ceiling.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_any_part_of_that() {
        let ceilings: Vec<Duration> = ceilings().take(40).collect();
        for (attempt, ceiling) in ceilings.iter().enumerate() {
            assert_eq!(*ceiling, FIRST.saturating_mul(1 << attempt.min(20)).min(LONGEST), "{attempt}");
        }
        let pauses: Vec<Duration> = (0..1000).map(|_| jitter(LONGEST)).collect();
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses.iter().any(|pause| *pause < LONGEST / 10));
        assert!(pauses.iter().any(|pause| *pause > LONGEST / 10 * 9));
    }
}

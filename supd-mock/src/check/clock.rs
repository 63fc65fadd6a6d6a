//! Time as a listener has it: while the machine stands still (a virtual machine without a processor, a judge that is not
//! scheduled), the listener could do nothing either, so that time does not count.

use std::time::{Duration, Instant};

/// The clock is looked at so often, or more: nobody waits longer without looking.
pub(crate) const STEP: Duration = Duration::from_millis(100);
/// Who comes back as late as this from waiting for a step was kept from it.
const LATE: Duration = Duration::from_millis(200);

/// Runs from the start of a case.
#[derive(Debug)]
pub(crate) struct Clock {
    looked: Instant,
    time: Duration,
    stood_still: bool,
}

impl Clock {
    pub(crate) fn start(now: Instant) -> Self {
        Self { looked: now, time: Duration::ZERO, stood_still: false }
    }

    /// The time since the start; of a gap between two looks that is too long, one step counts.
    pub(crate) fn look(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        let is_late = passed > LATE;
        self.stood_still |= is_late;
        self.time += if is_late { STEP } else { passed };
        self.time
    }

    /// Whether the machine has ever stood still.
    pub(crate) fn stood_still(&self) -> bool {
        self.stood_still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_stall_one_step_counts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut clock = Clock::start(start);
        assert_eq!(clock.look(at(150)), Duration::from_millis(150));
        assert!(!clock.stood_still());
        assert_eq!(clock.look(at(3000)), Duration::from_millis(250));
        assert_eq!(clock.look(at(3100)), Duration::from_millis(350));
        assert!(clock.stood_still());
    }
}

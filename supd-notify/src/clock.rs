//! The time, as those need it who do not read a clock themselves.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One moment on two clocks: one that never jumps, and the one on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Now {
    /// The moment of the call.
    pub(crate) fn read() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }

    /// When the clock on the wall will show this, if nobody sets it; now, when it has passed.
    pub(crate) fn at(self, wall: Timestamp) -> Instant {
        self.instant + Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default()
    }

    /// The moment at which the clock on the wall showed this; the earliest there is, when it is too long ago.
    pub(crate) fn past(self, wall: Timestamp) -> Instant {
        let ago = Duration::try_from(self.wall.duration_since(wall)).unwrap_or_default();
        self.instant.checked_sub(ago).unwrap_or(self.instant)
    }

    /// What the clock on the wall showed then.
    pub(crate) fn wall_at(self, instant: Instant) -> Timestamp {
        let ago = self.instant.saturating_duration_since(instant);
        let ahead = instant.saturating_duration_since(self.instant);
        self.wall.saturating_sub(ago).and_then(|wall| wall.saturating_add(ahead)).unwrap_or(self.wall)
    }
}

#[cfg(test)]
impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self { instant: self.instant + time, wall: self.wall + time }
    }
}

//! How many messages there may be in a span of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The messages of the last such span.
#[derive(Debug)]
pub(super) struct Window {
    /// At most so many in any span of this length; `None` for any number.
    limit: Option<(usize, Duration)>,
    sent: VecDeque<Instant>,
}

impl Window {
    pub(super) fn new(limit: Option<(usize, Duration)>) -> Self {
        Self { limit, sent: VecDeque::new() }
    }

    /// How many more there may be now.
    pub(super) fn left(&mut self, now: Instant) -> usize {
        let Some((count, span)) = self.limit else { return usize::MAX };
        while self.sent.front().is_some_and(|sent| *sent + span <= now) {
            self.sent.pop_front();
        }
        count.saturating_sub(self.sent.len())
    }

    /// When there may be one more, which is not now.
    pub(super) fn frees(&self) -> Option<Instant> {
        let (_, span) = self.limit?;
        self.sent.front().map(|sent| *sent + span)
    }

    /// There is one more.
    pub(super) fn count(&mut self, now: Instant) {
        if self.limit.is_some() {
            self.sent.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_of_the_length_holds_more() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut window = Window::new(Some((2, 10 * second)));
        window.count(start);
        window.count(start + 4 * second);
        assert_eq!((window.left(start + 9 * second), window.frees()), (0, Some(start + 10 * second)));
        assert_eq!(window.left(start + 10 * second), 1);
        window.count(start + 10 * second);
        assert_eq!((window.left(start + 13 * second), window.frees()), (0, Some(start + 14 * second)));
        assert_eq!(Window::new(None).left(start), usize::MAX);
    }
}

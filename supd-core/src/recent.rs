//! The last events seen, to know a redelivered one again.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

/// How far back an event is remembered. supervisord keeps `buffer_size` events (10 by default) for redelivery, and
/// leaks no older ones.
pub const REMEMBERED: usize = 4096;

/// Remembers the serial and the name of the last 4,096 events of one supervisord.
#[derive(Debug, Default)]
pub struct Recent {
    /// A hash of each, the oldest first.
    events: VecDeque<u64>,
    highest: Option<u64>,
    hasher: RandomState,
}

impl Recent {
    /// Remembers an event; false when it was remembered already.
    pub fn insert(&mut self, serial: u64, eventname: &str) -> bool {
        let event = self.hasher.hash_one((serial, eventname));
        // Serials grow, so that nearly every event is newer than all others and need not be looked for.
        if self.highest >= Some(serial) && self.events.contains(&event) {
            return false;
        }
        self.highest = self.highest.max(Some(serial));
        if self.events.len() == REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back(event);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_again_until_4096_others_came() {
        let mut recent = Recent::default();
        assert!(recent.insert(1, "TICK_5"));
        assert!(!recent.insert(1, "TICK_5"));
        assert!(recent.insert(1, "TICK_60"));
        (2..=4096).for_each(|serial| assert!(recent.insert(serial, "TICK_5")));
        assert!(recent.insert(1, "TICK_5"), "it was the oldest of 4,097");
    }
}

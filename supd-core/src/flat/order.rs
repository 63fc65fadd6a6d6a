//! The order in which our programs write the keys of a record, and the keys as they stand in a line then.

use super::cursor::Shape;
use crate::record::KEYS;

/// Holds a line to the order of the keys.
#[derive(Default)]
pub(super) struct Order {
    /// Keys before this one have been, or will not be.
    pub(super) next: usize,
    pub(super) has_name: bool,
}

impl Order {
    /// Whether a member may stand here; `None` when it, or the whole line, is not for us.
    pub(super) fn admit(&mut self, place: usize, value: &[u8], shape: Shape) -> Option<()> {
        if place < self.next {
            return None;
        }
        // Another program's keys come last, in any number.
        self.next = if place == OTHER { OTHER } else { place + 1 };
        match place {
            EVENTNAME => self.has_name = matches!(shape, Shape::Plain | Shape::Escaped),
            // What has a meaning of its own, or none, is not for us.
            DATA if value.is_empty() => return None,
            HEADER | DATA_B64 | TRUNCATED => return None,
            _ => {}
        }
        Some(())
    }
}

/// The place of a key among [`KEYS`].
const fn place(key: &str) -> usize {
    let mut place = 0;
    while place < KEYS.len() {
        if spelled(KEYS[place]).bits == spelled(key).bits {
            return place;
        }
        place += 1;
    }
    panic!("this is no key");
}

pub(super) const EVENTNAME: usize = place("eventname");
const HEADER: usize = place("header");
const DATA: usize = place("data");
const DATA_B64: usize = place("data_b64");
const TRUNCATED: usize = place("truncated");
/// The place of all keys that are not ours: behind those that are.
pub(super) const OTHER: usize = KEYS.len();

/// The first key of ours from this place on that a line goes on with, and how long it is there.
pub(super) fn key_ahead(line: &[u8], from: usize) -> Option<(usize, usize)> {
    let ahead = u128::from_le_bytes(*line.first_chunk()?);
    let place = (from..KEYS.len()).find(|&place| ahead & SPELLED[place].mask == SPELLED[place].bits)?;
    Some((place, SPELLED[place].length))
}

/// The place of a key.
pub(super) fn place_of(key: &[u8]) -> usize {
    KEYS.iter().position(|known| known.as_bytes() == key).unwrap_or(OTHER)
}

/// A key as it stands in a line, with its quotes and its colon. All of ours fit into one number, so that a line is
/// compared with them in a step each.
#[derive(Clone, Copy)]
struct Spelled {
    bits: u128,
    mask: u128,
    length: usize,
}

const SPELLED: [Spelled; KEYS.len()] = {
    let mut all = [spelled(""); KEYS.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = spelled(KEYS[place]);
        place += 1;
    }
    all
};

const fn spelled(key: &str) -> Spelled {
    let (mut bytes, mut mask) = ([0; 16], [0; 16]);
    let length = key.len() + 3;
    let mut at = 0;
    while at < length {
        bytes[at] = match at {
            0 => b'"',
            _ if at <= key.len() => key.as_bytes()[at - 1],
            _ if at == key.len() + 1 => b'"',
            _ => b':',
        };
        mask[at] = 0xFF;
        at += 1;
    }
    Spelled { bits: u128::from_le_bytes(bytes), mask: u128::from_le_bytes(mask), length }
}

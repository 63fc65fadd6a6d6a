//! `--since` and `--until`: a span of the records' own times.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use supd_core::fields::Fields as _;

use crate::item::Item;

/// A span of time, its beginning included and its end not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    since: Option<Bound>,
    until: Option<Bound>,
}

/// A moment to compare with.
#[derive(Debug, Clone)]
struct Bound {
    moment: Timestamp,
    /// The same as our programs write a time, rounded up: such times can be compared as text.
    text: Option<String>,
}

impl Window {
    pub(crate) fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since: since.map(Bound::new), until: until.map(Bound::new) }
    }

    /// Whether it holds all times, and what has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether the record's time is in it; a record without a time is not, unless all times are.
    pub(crate) fn holds(&self, item: &Item<'_>) -> bool {
        if self.is_empty() {
            return true;
        }
        let Some(ts) = item.text("ts") else { return false };
        let is_plain = is_plain(ts.as_bytes());
        let is_before = |bound: &Bound| match &bound.text {
            Some(text) if is_plain => Some(*ts < **text),
            _ => ts.parse::<Timestamp>().ok().map(|moment| moment < bound.moment),
        };
        self.since.as_ref().is_none_or(|since| is_before(since) == Some(false))
            && self.until.as_ref().is_none_or(|until| is_before(until) == Some(true))
    }
}

impl Bound {
    fn new(moment: Timestamp) -> Self {
        // Of times in whole milliseconds the same ones are before a moment and before the next whole millisecond.
        let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
        let text = moment.round(up).ok().map(|moment| format!("{moment:.3}"));
        Self { moment, text: text.filter(|text| text.len() == PLAIN.len()) }
    }
}

/// How our programs write a time, and the last one of each unit that every month, day, hour and minute has.
const PLAIN: &[u8; 24] = b"9999-12-28T23:59:59.999Z";

/// Whether text is a time as our programs write it. The last days of months, which not all have, are left to the parser.
fn is_plain(text: &[u8]) -> bool {
    let at = |place: usize| (text[place] - b'0') * 10 + text[place + 1] - b'0';
    let is_shaped = |(byte, shape): (&u8, &u8)| {
        if shape.is_ascii_digit() { byte.is_ascii_digit() } else { byte == shape }
    };
    text.len() == PLAIN.len()
        && text.iter().zip(PLAIN).all(is_shaped)
        && (1..=12).contains(&at(5))
        && (1..=28).contains(&at(8))
        && at(11) < 24
        && at(14) < 60
        && at(17) < 60
}

#[cfg(test)]
mod tests {
    use supd_core::flat::Scanner;

    use super::*;

    fn holds(since: Option<&str>, until: Option<&str>, ts: &str) -> bool {
        let moment = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let line = format!(r#"{{{ts}"eventname":"X"}}"#);
        Window::new(moment(since), moment(until))
            .holds(&Item::read(&mut Scanner::default(), line.as_bytes()).unwrap())
    }

    #[test]
    fn its_beginning_is_in_it_and_its_end_is_not_however_times_are_written() {
        let noon = Some("2026-01-05T12:00:00Z");
        for (ts, is_after) in [
            ("2026-01-05T11:59:59.999Z", false),
            ("2026-01-05T12:00:00.000Z", true),
            ("2026-01-05T12:00:00Z", true),
            ("2026-01-05T11:59:59.9999Z", false),
            ("2026-01-05T12:30:00.000+01:00", false),
            ("2026-01-05T11:30:00.000-01:00", true),
            ("2026-01-31T00:00:00.000Z", true),
            ("2025-12-31T00:00:00.000Z", false),
        ] {
            let ts = format!(r#""ts":"{ts}","#);
            assert_eq!((holds(noon, None, &ts), holds(None, noon, &ts)), (is_after, !is_after), "{ts}");
        }
    }

    #[test]
    fn a_bound_between_two_milliseconds_parts_them() {
        let between = Some("2026-01-05T12:00:00.0005Z");
        let (before, after) = (r#""ts":"2026-01-05T12:00:00.000Z","#, r#""ts":"2026-01-05T12:00:00.001Z","#);
        assert!(!holds(between, None, before) && holds(between, None, after));
        assert!(holds(None, between, before) && !holds(None, between, after));
    }

    #[test]
    fn what_has_no_time_is_in_no_span() {
        let noon = Some("2026-01-05T12:00:00Z");
        for ts in ["", r#""ts":5,"#, r#""ts":"noon","#, r#""ts":"2026-13-05T12:00:00.000Z","#] {
            assert!(!holds(noon, None, ts) && !holds(None, noon, ts), "{ts}");
            assert!(holds(None, None, ts));
        }
    }
}

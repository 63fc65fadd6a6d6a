//! Quiet hours, and moments as people write them: in the machine's local time.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize as _, Deserializer};
use supd_core::moment::{Day, Moment};

/// A span of each day, by the clock on the wall: from 22:00 to 07:00 of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Quiet {
    from: Time,
    to: Time,
}

impl Quiet {
    /// When the quiet hours that contain this moment end; `None` when none does.
    pub(crate) fn end(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_zoned(zone.clone());
        let time = local.time();
        let over_midnight = self.from > self.to;
        let is_quiet = if over_midnight {
            time >= self.from || time < self.to
        } else {
            time >= self.from && time < self.to
        };
        if !is_quiet {
            return None;
        }
        let ends_tomorrow = over_midnight && time >= self.from;
        let day = if ends_tomorrow { local.date().checked_add(1.day()).ok()? } else { local.date() };
        // A time that a change of the clock skips is taken to be the one after it.
        day.to_datetime(self.to).to_zoned(zone.clone()).ok().map(|end| end.timestamp())
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

impl FromStr for Quiet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a span of the day such as 22:00-07:00".to_owned();
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| text.trim().parse::<Time>().map_err(|_| wrong());
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(wrong()) } else { Ok(Self { from, to }) }
    }
}

impl TryFrom<String> for Quiet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Parses a moment: RFC 3339, or a local date and time. What counts from now would move at every restart.
///
/// # Errors
/// A one-line message.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(moment @ (Moment::At(_) | Moment::Local(Day::Date(_), _))) => {
            moment.resolve(Timestamp::now(), &TimeZone::system())
        }
        _ => Err("neither 2026-01-05T08:00:00Z nor, in local time, '2026-01-05 08:00'".into()),
    }
}

/// The same in a configuration.
pub(crate) fn moment_in_configuration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    moment(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(hours: &str, now: &str) -> Option<String> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let quiet: Quiet = hours.parse().unwrap();
        quiet.end(now.parse().unwrap(), &zone).map(|end| end.to_string())
    }

    #[test]
    fn a_night_ends_in_the_morning_of_the_machine() {
        let night = "22:00-07:00";
        assert_eq!(end(night, "2026-01-05T20:59:59Z"), None);
        assert_eq!(end(night, "2026-01-05T21:00:00Z").as_deref(), Some("2026-01-06T06:00:00Z"));
        assert_eq!(end(night, "2026-01-06T05:59:59Z").as_deref(), Some("2026-01-06T06:00:00Z"));
        assert_eq!(end(night, "2026-01-06T06:00:00Z"), None);
    }

    #[test]
    fn a_lunch_ends_on_the_same_day() {
        assert_eq!(end("12:00-13:30", "2026-01-05T11:10:00Z").as_deref(), Some("2026-01-05T12:30:00Z"));
        assert_eq!(end("12:00-13:30", "2026-01-05T13:10:00Z"), None);
    }

    #[test]
    fn what_is_no_span_of_a_day_is_refused() {
        for wrong in ["22:00", "22:00-22:00", "25:00-07:00", "-"] {
            wrong.parse::<Quiet>().unwrap_err();
        }
        assert_eq!(moment("2026-01-05T08:00:00Z"), Ok("2026-01-05T08:00:00Z".parse().unwrap()));
        moment("2026-01-05 08:00").unwrap();
        for wrong in ["8 o'clock", "2h", "today 8:00", "14:00"] {
            moment(wrong).unwrap_err();
        }
    }
}

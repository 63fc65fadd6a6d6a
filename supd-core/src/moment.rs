//! Moments as people write them: `2h ago`, `yesterday 14:00`, `2026-01-05 08:00`, RFC 3339. What time it is, and where,
//! the caller says.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::cli;

const EXPECTED: &str = "neither a time such as 2026-01-05T08:00:00Z, '2026-01-05 08:00', 'yesterday 14:00' or 14:00, \
                        nor a span of time such as 2h or '2h ago'";

/// A moment that may depend on the clock and on the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The same everywhere.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
    /// By the clock on the wall.
    Local(Day, Time),
}

/// A day by the calendar on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// The day that is now.
    Today,
    /// The one before it.
    Yesterday,
    /// One that stays the same.
    Date(Date),
}

impl Moment {
    /// The moment itself, as of now and by the clocks of a zone. A time that a change of the clock skips is the one that
    /// it would have been, later by what was skipped; of a time that comes twice the first is meant.
    ///
    /// # Errors
    /// A one-line message: it is before or after all time.
    pub fn resolve(self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
        let resolved = match self {
            Self::At(moment) => Ok(moment),
            Self::Ago(span) => now.checked_sub(span),
            Self::Local(day, time) => day.date(now, zone).and_then(|date| {
                date.to_datetime(time).to_zoned(zone.clone()).map(|moment| moment.timestamp())
            }),
        };
        resolved.map_err(|error| error.to_string())
    }
}

impl Day {
    fn date(self, now: Timestamp, zone: &TimeZone) -> Result<Date, jiff::Error> {
        let today = now.to_zoned(zone.clone()).date();
        match self {
            Self::Today => Ok(today),
            Self::Yesterday => today.checked_sub(1.day()),
            Self::Date(date) => Ok(date),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::Ago(Duration::ZERO));
        }
        let at = || text.parse().ok().map(Self::At);
        at().or_else(|| local(text)).or_else(|| ago(text)).ok_or_else(|| EXPECTED.to_owned())
    }
}

fn ago(text: &str) -> Option<Moment> {
    cli::duration(text.strip_suffix("ago").unwrap_or(text)).ok().map(Moment::Ago)
}

fn local(text: &str) -> Option<Moment> {
    if let Some(time) = time(text) {
        return Some(Moment::Local(Day::Today, time));
    }
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_start();
    let clock = || if rest.is_empty() { Some(Time::midnight()) } else { time(rest) };
    let day = match first.to_ascii_lowercase().as_str() {
        "today" => Day::Today,
        "yesterday" => Day::Yesterday,
        _ if rest.is_empty() => {
            let (date, clock) = text.split_once(['T', 't']).unwrap_or((text, ""));
            let moment: DateTime = text.parse().ok().filter(|_| is_date(date) && is_clock(clock))?;
            return Some(Moment::Local(Day::Date(moment.date()), moment.time()));
        }
        _ => Day::Date(first.parse().ok().filter(|_| is_date(first))?),
    };
    Some(Moment::Local(day, clock()?))
}

/// `14:00`, `8:30`, `08:30:15`.
fn time(text: &str) -> Option<Time> {
    if !is_clock(text) {
        return None;
    }
    // A number alone could be anything, and what is longer has a date before it.
    match text.find(':')? {
        1 => format!("0{text}").parse().ok(),
        2 => text.parse().ok(),
        _ => None,
    }
}

/// Whether there is nothing but a day.
fn is_date(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Whether there is nothing but a time of the day: an offset or a zone would be passed over, and another moment meant.
fn is_clock(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As of a Tuesday in winter, 15:30 by the clocks of a zone that changes them as central Europe does.
    fn resolved(text: &str) -> String {
        in_winter(text, "2026-01-06T14:30:00Z")
    }

    fn in_winter(text: &str, now: &str) -> String {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let moment: Moment = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        moment.resolve(now.parse().unwrap(), &zone).unwrap().to_string()
    }

    #[test]
    fn a_moment_is_said_in_many_ways() {
        for (text, moment) in [
            ("2026-01-05T08:00:00Z", "2026-01-05T08:00:00Z"),
            ("2026-01-05T08:00:00.250+01:00", "2026-01-05T07:00:00.25Z"),
            ("2h", "2026-01-06T12:30:00Z"),
            ("2h ago", "2026-01-06T12:30:00Z"),
            ("1h 30m ago", "2026-01-06T13:00:00Z"),
            ("1d", "2026-01-05T14:30:00Z"),
            (" now ", "2026-01-06T14:30:00Z"),
            ("today", "2026-01-05T23:00:00Z"),
            ("Today 8:30", "2026-01-06T07:30:00Z"),
            ("yesterday", "2026-01-04T23:00:00Z"),
            ("yesterday 14:00", "2026-01-05T13:00:00Z"),
            ("14:00", "2026-01-06T13:00:00Z"),
            ("8:30:15", "2026-01-06T07:30:15Z"),
            ("2026-01-05", "2026-01-04T23:00:00Z"),
            ("2026-01-05 08:00", "2026-01-05T07:00:00Z"),
            ("2026-01-05 8:00:30", "2026-01-05T07:00:30Z"),
            ("2026-01-05T08:00", "2026-01-05T07:00:00Z"),
            ("2026-07-05 08:00", "2026-07-05T06:00:00Z"),
        ] {
            assert_eq!(resolved(text), moment, "{text}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_is_later_and_one_that_comes_twice_is_the_first() {
        assert_eq!(resolved("2026-03-29 02:30"), "2026-03-29T01:30:00Z");
        assert_eq!(resolved("2026-10-25 02:30"), "2026-10-25T00:30:00Z");
        // A day that has 23 hours, seen from the next.
        let monday = "2026-03-30T10:00:00Z";
        assert_eq!(in_winter("yesterday", monday), "2026-03-28T23:00:00Z");
        assert_eq!(in_winter("today", monday), "2026-03-29T22:00:00Z");
        assert_eq!(in_winter("1d", monday), "2026-03-29T10:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_refused_with_what_would_be_one() {
        for wrong in [
            "",
            "8",
            "90",
            "soon",
            "-2h",
            "today 25:00",
            "2026-13-01",
            "yesterdayish",
            "ago",
            "14:00 x",
            "14:00+02:00",
            "14:00-02:00",
            "2026-01-05 8:00+02:00",
            "2026-01-05T08:00[Asia/Tokyo]",
            "2026-01-05[Asia/Tokyo]",
        ] {
            let error = wrong.parse::<Moment>().expect_err(wrong);
            assert!(error.contains("yesterday 14:00"), "{error}");
        }
        let before = Moment::Ago(Duration::from_secs(u64::MAX));
        before.resolve(Timestamp::UNIX_EPOCH, &TimeZone::UTC).unwrap_err();
    }
}

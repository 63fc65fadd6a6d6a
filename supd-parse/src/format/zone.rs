//! Time zones, and times as they are shown in one.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{self, TimeZone};
use supd_core::fields::Field;

/// Reads `--tz`: `local`, `UTC`, an offset such as +02:00, or a name of the zone database.
///
/// # Errors
/// A one-line message.
pub(crate) fn parse(text: &str) -> Result<TimeZone, String> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    match text {
        "local" => return local(),
        _ if ["utc", "z"].contains(&&*text.to_ascii_lowercase()) => return Ok(TimeZone::UTC),
        _ => {}
    }
    let is_offset = text.starts_with(['+', '-']);
    PARSER.parse_time_zone(text).map_err(|_| match () {
        () if is_offset => "not an offset such as +02:00 or -0530".to_owned(),
        () if tz::db().is_definitively_empty() => {
            "this machine has no time zone database (tzdata); UTC, local and offsets such as +02:00 do without"
                .to_owned()
        }
        () => "no time zone has this name; there are UTC, local, names such as Europe/Berlin, and offsets such \
               as +02:00"
            .to_owned(),
    })
}

/// The zone of this machine, or of the variable TZ.
fn local() -> Result<TimeZone, String> {
    match TimeZone::try_system() {
        Ok(zone) => Ok(zone),
        // As for any other program: a machine that has been told nothing has UTC.
        Err(_) if std::env::var_os("TZ").is_none() => Ok(TimeZone::UTC),
        Err(error) => Err(error.to_string()),
    }
}

/// How the time of a record (`ts`) is shown.
#[derive(Debug, Clone)]
pub(crate) enum Times {
    /// As it stands in the record.
    AsIs,
    /// For programs: `2026-01-05T09:00:00.250+01:00`.
    Rfc3339(TimeZone),
    /// For people: `2026-01-05 09:00:00.250`.
    Civil(TimeZone),
    /// Where there is little room: `01-05 09:00:00`.
    Short(TimeZone),
}

impl Times {
    /// The time of this value, or the value itself where it is no time.
    pub(crate) fn show<'a>(&self, field: Field<'a>) -> Field<'a> {
        let shown = match &field {
            Field::Text(text) => self.show_text(text),
            _ => None,
        };
        shown.map_or(field, |shown| Field::Text(shown.into()))
    }

    /// `None` where this is no time, or is to stay as it is.
    pub(crate) fn show_text(&self, text: &str) -> Option<String> {
        let (zone, form) = match self {
            Self::AsIs => return None,
            Self::Rfc3339(zone) => (zone, "%Y-%m-%dT%H:%M:%S%.3f%:z"),
            Self::Civil(zone) => (zone, "%Y-%m-%d %H:%M:%S%.3f"),
            Self::Short(zone) => (zone, "%m-%d %H:%M:%S"),
        };
        let time: Timestamp = text.parse().ok()?;
        Some(time.to_zoned(zone.clone()).strftime(form).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-07-05T12:00:00.250Z";

    #[test]
    fn a_zone_has_a_name_or_an_offset() {
        for (zone, shown) in [
            ("UTC", "2026-07-05T12:00:00.250+00:00"),
            ("utc", "2026-07-05T12:00:00.250+00:00"),
            ("+02:00", "2026-07-05T14:00:00.250+02:00"),
            ("-0530", "2026-07-05T06:30:00.250-05:30"),
            ("Europe/Berlin", "2026-07-05T14:00:00.250+02:00"),
            ("asia/tokyo", "2026-07-05T21:00:00.250+09:00"),
        ] {
            let times = Times::Rfc3339(parse(zone).unwrap());
            assert_eq!(times.show_text(NOON).unwrap(), shown, "{zone}");
        }
        parse("local").unwrap();
        assert!(parse("Europe/Belin").unwrap_err().contains("Europe/Berlin"));
        assert!(parse("+2:").unwrap_err().contains("offset"));
        parse("").unwrap_err();
    }

    #[test]
    fn what_is_no_time_stays_as_it_is() {
        let times = Times::Civil(TimeZone::UTC);
        assert_eq!(times.show(Field::Text(NOON.into())), Field::Text("2026-07-05 12:00:00.250".into()));
        assert_eq!(times.show(Field::Text("noon".into())), Field::Text("noon".into()));
        assert_eq!(times.show(Field::Number(7)), Field::Number(7));
        assert_eq!(Times::AsIs.show_text(NOON), None);
        assert_eq!(Times::Short(TimeZone::UTC).show_text(NOON).as_deref(), Some("07-05 12:00:00"));
    }
}

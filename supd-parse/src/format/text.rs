//! Lines for people: when, where, who, what; log text below, its terminal escapes made visible.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use supd_core::describe::{self, Sentence, Severity, printable};
use supd_core::{Kind, Record};

use super::Format;
use crate::item::Item;

pub(crate) struct Text {
    colour: bool,
    zone: TimeZone,
}

impl Text {
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour, zone: TimeZone::system() }
    }

    /// Local time to the millisecond; text that is no time as it stands; blank where a capture has none.
    fn time(&self, record: &Record) -> Option<String> {
        let text = record.ts.as_deref()?;
        let local =
            |ts: Timestamp| ts.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        Some(text.parse().map_or_else(|_| printable(text).into_owned(), local))
    }
}

impl Format for Text {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        let Some(record) = item.record().filter(|record| record.kind() != Kind::Mark) else { return };
        let record = &*record;
        let place = [self.time(record), record.host.as_deref().map(|host| printable(host).into_owned())];
        let mut line: String = place.into_iter().flatten().map(|part| part + "  ").collect();
        // The host has its own place.
        let sentence = Sentence::of(record).on(None);
        let (on, off) = if self.colour { colour(describe::severity(record)) } else { ("", "") };
        line += &format!("{on}{}{off}{}", printable(&sentence), printable(&describe::details(record)));
        // A Vec takes all.
        let _ = writeln!(out, "{line}");
        if let Some(text) = describe::text(record) {
            for text in text.lines() {
                let _ = writeln!(out, "    {}", printable(text));
            }
        }
    }
}

fn colour(severity: Severity) -> (&'static str, &'static str) {
    let on = match severity {
        Severity::Critical => "\x1b[1;31m",
        Severity::Error => "\x1b[31m",
        Severity::Warning => "\x1b[33m",
        Severity::Good => "\x1b[32m",
        Severity::Info => return ("", ""),
    };
    (on, "\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::super::formatted;
    use super::*;

    const CRASH: &str = r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#;

    fn utc(colour: bool) -> Text {
        Text { colour, zone: TimeZone::UTC }
    }

    #[test]
    fn a_crash_is_one_line_that_says_all() {
        assert_eq!(
            formatted(utc(false), &[CRASH]),
            "2026-01-05 08:00:00.250  db1  web:web_00 exited unexpectedly (was RUNNING, pid 7)\n"
        );
        assert!(formatted(utc(true), &[CRASH]).contains("\x1b[31mweb:web_00 exited unexpectedly\x1b[0m"));
    }

    #[test]
    fn log_text_cannot_act_on_the_terminal() {
        let log = r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":1,"channel":"stdout","data":"é\u001b]0;x\u0007\nmore\n"}"#;
        assert_eq!(
            formatted(utc(false), &[log]),
            "a wrote to stdout (pid 1)\n    é\\u001b]0;x\\u0007\n    more\n"
        );
    }

    #[test]
    fn a_digest_lists_what_it_is_about() {
        let digest = r#"{"host":"db1","eventname":"SUPD_DIGEST","count":7,"events":[
            {"host":"db1","processname":"a","what":"exited unexpectedly","count":4,"last_ts":"2026-01-05T08:00:00Z"},
            {"host":"db1","processname":"b","what":"exited too quickly","count":3}]}"#;
        assert_eq!(
            formatted(utc(false), &[digest]),
            "db1  7 events of 2 processes\n    a on db1: exited unexpectedly 4 times, 08:00:00 UTC\n    b on db1: exited too quickly 3 times\n"
        );
    }

    #[test]
    fn marks_are_not_for_people() {
        assert_eq!(formatted(utc(false), &[r#"{"seq":3,"eventname":"SUPD_MARK"}"#]), "");
    }
}

//! Lines for people: when, where, how bad, who, what; log text below, its terminal escapes made visible.

use supd_core::Record;
use supd_core::describe::{self, Sentence, Severity, printable};

use super::Format;
use super::gauge::Growing;
use super::paint::Paint;
use super::zone::Times;
use crate::item::Item;

/// The widest columns, in places. What is longer is not cut, but the rest of its line stands further right.
const HOST: usize = 20;
const SUBJECT: usize = 28;
const WHAT: usize = 28;

pub(crate) struct Text {
    paint: Paint,
    times: Times,
    /// The day that was shown last, where it has a line of its own.
    day: Option<String>,
    /// Whether it has.
    has_day_lines: bool,
    time: Growing,
    host: Growing,
    subject: Growing,
    what: Growing,
}

impl Text {
    /// Where somebody looks at it, the day is shown when it changes; elsewhere in each line, for grep to find.
    pub(crate) fn new(paint: Paint, times: Times, has_day_lines: bool) -> Self {
        Self {
            paint,
            times,
            day: None,
            has_day_lines,
            time: Growing::up_to(HOST * 2),
            host: Growing::up_to(HOST),
            subject: Growing::up_to(SUBJECT),
            what: Growing::up_to(WHAT),
        }
    }

    fn push_record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let paint = self.paint;
        let mut line = String::new();
        let time = self.time_of_day(record, out);
        self.time.put(&mut line, &time, &paint.subdued(&time));
        let host = printable(record.host.as_deref().unwrap_or_default()).into_owned();
        self.host.put(&mut line, &host, &paint.subdued(&host));
        let severity = describe::severity(record);
        line += &paint.severity(severity, &format!("{:5}", mark(severity)));
        line += "  ";
        self.push_sentence(record, severity, &mut line);
        push_line(&line, out);
        if let Some(text) = describe::text(record) {
            text.lines().for_each(|text| push_line(&format!("    {}", log_line(text)), out));
        }
    }

    fn push_sentence(&mut self, record: &Record, severity: Severity, line: &mut String) {
        let Sentence { subject, joint, what } = Sentence::of(record);
        let subject = printable(&subject).into_owned() + joint.trim_end();
        let what = printable(&what);
        // What is no process has a sentence of its own, which would push the others aside.
        if record.payload.processname.is_none() {
            return *line += &self.paint.severity(severity, &format!("{subject} {what}"));
        }
        self.subject.put(line, &subject, &self.paint.strong(&subject));
        let details = describe::details(record);
        let what = if details.is_empty() { what.trim_end() } else { &what };
        self.what.put(line, what, &self.paint.severity(severity, what));
        *line += &self.paint.subdued(printable(details.trim_start()).as_ref());
    }

    /// The time as it stands in the line, after a line for a new day. Text that is no time as it stands.
    fn time_of_day(&mut self, record: &Record, out: &mut Vec<u8>) -> String {
        let Some(ts) = record.ts.as_deref() else { return String::new() };
        let Some(time) = self.times.show_text(ts) else { return printable(ts).into_owned() };
        let Some((day, time_of_day)) = time.split_once(' ').filter(|_| self.has_day_lines) else {
            return time;
        };
        if self.day.as_deref() != Some(day) {
            push_line(&self.paint.subdued(&format!("── {day} ──")), out);
            self.day = Some(day.to_owned());
        }
        time_of_day.to_owned()
    }
}

impl Format for Text {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        match (item.record(), item.value()) {
            (Some(record), _) => self.push_record(&record, out),
            (None, Some(serde_json::Value::String(text))) => push_line(&printable(text), out),
            (None, value) => push_line(&printable(&value.map(ToString::to_string).unwrap_or_default()), out),
        }
    }
}

/// A word for who has no colours, and for grep.
fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRIT",
        Severity::Error => "ERROR",
        Severity::Warning => "WARN",
        Severity::Good => "ok",
        Severity::Info => "",
    }
}

/// A stack trace is indented by tabs.
fn log_line(text: &str) -> String {
    printable(&text.replace('\t', "    ")).into_owned()
}

pub(super) fn push_line(line: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(line.trim_end().as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::tests::formatted;
    use super::*;

    const CRASH: &str = r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#;
    const TICK: &str = r#"{"ts":"2026-01-06T08:00:00.250Z","host":"long-host","eventname":"TICK_5"}"#;

    fn text(colour: bool, has_day_lines: bool, lines: &[&str]) -> String {
        formatted(Text::new(Paint { on: colour }, Times::Civil(TimeZone::UTC), has_day_lines), lines)
    }

    #[test]
    fn a_crash_is_one_line_that_says_all() {
        assert_eq!(
            text(false, false, &[CRASH]),
            "2026-01-05 08:00:00.250  db1  ERROR  web:web_00  exited unexpectedly  (was RUNNING, pid 7)\n"
        );
        let coloured = text(true, false, &[CRASH]);
        assert!(coloured.contains("\x1b[31mexited unexpectedly\x1b[0m"), "{coloured:?}");
    }

    #[test]
    fn columns_grow_with_what_comes() {
        let other = CRASH.replace("web_00", "a").replace("db1", "漢字漢");
        assert_eq!(
            text(false, false, &[&other, TICK, CRASH]),
            "2026-01-05 08:00:00.250  漢字漢  ERROR  web:a  exited unexpectedly  (was RUNNING, pid 7)\n\
             2026-01-06 08:00:00.250  long-host         supervisor ticked\n\
             2026-01-05 08:00:00.250  db1        ERROR  web:web_00  exited unexpectedly  (was RUNNING, pid 7)\n"
        );
    }

    #[test]
    fn a_new_day_has_a_line_where_somebody_looks() {
        assert_eq!(
            text(false, true, &[TICK, TICK, CRASH]),
            "── 2026-01-06 ──\n\
             08:00:00.250  long-host         supervisor ticked\n\
             08:00:00.250  long-host         supervisor ticked\n\
             ── 2026-01-05 ──\n\
             08:00:00.250  db1        ERROR  web:web_00  exited unexpectedly  (was RUNNING, pid 7)\n"
        );
    }

    #[test]
    fn log_text_cannot_act_on_the_terminal() {
        let log = r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":1,"channel":"stdout","data":"é\u001b]0;x\u0007\n\tat more\r\n"}"#;
        assert_eq!(
            text(false, false, &[log]),
            "       a  wrote to stdout  (pid 1)\n    é\\u001b]0;x\\u0007\n        at more\n"
        );
    }

    #[test]
    fn a_digest_lists_what_it_is_about() {
        let digest = r#"{"host":"db1","eventname":"SUPD_DIGEST","count":7,"events":[
            {"host":"db1","processname":"a","what":"exited unexpectedly","count":4,"last_ts":"2026-01-05T08:00:00Z"},
            {"host":"db1","processname":"b","what":"exited too quickly","count":3}]}"#;
        assert_eq!(
            text(false, false, &[digest]),
            "db1         7 events of 2 processes\n    a on db1: exited unexpectedly 4 times, 08:00:00 UTC\n    b on db1: exited too quickly 3 times\n"
        );
    }

    #[test]
    fn another_value_is_its_text_or_json() {
        assert_eq!(
            text(false, false, &[r#""a\n\u001bb""#, "[1,\"\u{9b}\"]", "null"]),
            "a\\n\\u001bb\n[1,\"\\u009b\"]\nnull\n"
        );
    }
}

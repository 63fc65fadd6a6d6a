//! An event as a message to a person: what happened, and what one asks next. Plain text; a channel escapes it.

use jiff::Timestamp;
use jiff::fmt::strtime;
use supd_core::Record;
use supd_core::describe::{self, Severity};

/// The longest piece of log text that a message carries, in characters; chat services cut or refuse more.
const MAX_TEXT: usize = 2_500;

/// The longest half of a title, in characters.
const MAX_TITLE: usize = 200;

/// What to tell a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) severity: Severity,
    /// `web:web_00 on web1 exited unexpectedly`
    pub(crate) title: String,
    /// Facts by their label, in the order in which one asks for them.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Log or communication text, cut to a readable length.
    pub(crate) text: Option<String>,
}

impl Message {
    pub(crate) fn of(record: &Record) -> Self {
        let subject = describe::subject(record);
        let what = describe::what(record);
        let host = record.host.as_deref();
        let subject = shorten_title(subject);
        let what = shorten_title(what.into_owned());
        let title = match host {
            Some(host) => format!("{subject} on {host} {what}"),
            None => format!("{subject} {what}"),
        };
        let payload = &record.payload;
        let process = payload.processname.as_ref().map(|_| subject);
        let facts = [
            ("Host", host.map(str::to_owned)),
            ("Process", process),
            ("Was", payload.from_state.clone()),
            ("Pid", payload.pid.map(|pid| pid.to_string())),
            ("When", record.ts.as_deref().map(when)),
            // The default tells nothing.
            ("Supervisor", record.server.clone().filter(|server| server != "supervisor")),
        ];
        let text = payload.body.as_deref().map(|body| shorten(&String::from_utf8_lossy(body), MAX_TEXT));
        Self {
            severity: describe::severity(record),
            title,
            facts: facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect(),
            text: text.filter(|text| !text.is_empty()),
        }
    }
}

/// A name is a few words; what a remote client calls its communication may be anything.
fn shorten_title(text: String) -> String {
    if text.chars().count() <= MAX_TITLE {
        text
    } else {
        text.chars().take(MAX_TITLE).chain(['…']).collect()
    }
}

/// To the second, in UTC, which says so: whoever reads it may be anywhere.
fn when(ts: &str) -> String {
    let utc = |ts: Timestamp| strtime::format("%Y-%m-%d %H:%M:%S UTC", ts).ok();
    ts.parse().ok().and_then(utc).unwrap_or_else(|| ts.to_owned())
}

/// The last lines are the ones that tell why something died, so text is cut at its beginning, and says so.
fn shorten(text: &str, max: usize) -> String {
    let text = text.trim_end();
    let chars = text.chars().count();
    if chars <= max {
        return text.to_owned();
    }
    let end: String = text.chars().skip(chars - max).collect();
    format!("… ({} characters before)\n{end}", chars - max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> Message {
        Message::of(&Record::from_line(json.as_bytes()).unwrap())
    }

    #[test]
    fn a_crash_answers_what_where_and_when() {
        let crash = message(
            r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","server":"supervisor","eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#,
        );
        assert_eq!(crash.title, "web:web_00 on db1 exited unexpectedly");
        assert_eq!(crash.severity, Severity::Error);
        let facts: Vec<_> = crash.facts.iter().map(|(label, value)| format!("{label}={value}")).collect();
        assert_eq!(
            facts,
            ["Host=db1", "Process=web:web_00", "Was=RUNNING", "Pid=7", "When=2026-01-05 08:00:00 UTC"]
        );
    }

    #[test]
    fn long_text_keeps_its_end_and_is_cut_at_a_character() {
        assert_eq!(shorten("é漢😀x\n", 4), "é漢😀x");
        assert_eq!(shorten("é漢😀x", 2), "… (2 characters before)\n😀x");
    }
}

//! An event as a message to a person: what happened, and what one asks next. Plain text; a channel escapes it.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;
use serde_json::Value;
use supd_core::describe::{self, Sentence, Severity};
use supd_core::words::{self, shortened};
use supd_core::{Kind, Record, exit_status};

use crate::parcel::{Background, Parcel};

/// The longest piece of log text that a message carries, in characters; chat services cut or refuse more.
const MAX_TEXT: usize = 2_500;

/// The longest value of a fact, in characters.
const MAX_VALUE: usize = 300;

/// What to tell a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) severity: Severity,
    /// `web:web_00 on web1 exited unexpectedly`
    pub(crate) title: String,
    /// Facts by their label, in the order in which one asks for them.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Log or communication text, cut to a readable length, or what a digest lists.
    pub(crate) text: Option<String>,
}

impl Message {
    pub(crate) fn of(parcel: &Parcel) -> Self {
        let record = parcel.record();
        let sentence = Sentence::of(record).shortened();
        Self {
            severity: describe::severity(record),
            title: sentence.on(record.host.as_deref()),
            facts: facts(record, &sentence.subject, parcel.background()),
            text: text(record),
        }
    }
}

fn facts(record: &Record, subject: &str, background: Background) -> Vec<(&'static str, String)> {
    let payload = &record.payload;
    let extra = |key| record.extra.get(key);
    let text = |key| extra(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let owned = |key| text(key).map(str::to_owned);
    let number = |key| extra(key).and_then(Value::as_u64).map(|number| number.to_string());
    let time = |key| text(key).map(when);
    let count = match record.kind() {
        Kind::Digest => ("Events", number("count")),
        Kind::Recovered | Kind::Reminder => ("Problems", number("count")),
        Kind::Flapping | Kind::Stable => ("Restarts", number("count")),
        _ => ("Count", None),
    };
    // supervisor's description of what could not be spawned is the error.
    let description = owned("description").filter(|_| text("description") != text("spawnerr"));
    let lately = background.lately.map(|(count, span)| match count {
        1 => format!("once in {}", last(span)),
        _ => format!("{count} times in {}", last(span)),
    });
    let facts = [
        ("Host", record.host.clone()),
        ("Process", payload.processname.as_ref().map(|_| subject.to_owned())),
        ("Was", payload.from_state.clone()),
        ("Exit status", exit_status::of(record)),
        ("Spawn error", owned("spawnerr")),
        ("Description", description),
        ("Pid", payload.pid.map(|pid| pid.to_string())),
        count,
        ("First", time("first_ts")),
        ("Last", time("last_ts")),
        ("Since", time("since").or_else(|| background.since.map(|since| when(&since.to_string())))),
        // A digest is made when it is sent; what it tells is between its first and last event.
        ("When", record.ts.as_deref().filter(|_| extra("last_ts").is_none()).map(when)),
        ("Lately", lately),
        // The default tells nothing.
        ("Supervisor", record.server.clone().filter(|server| server != "supervisor")),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, shortened(value?, MAX_VALUE)))).collect()
}

/// How bad it is at a glance, as HTML and chats write colours.
pub(crate) fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "#8b0000",
        Severity::Error => "#d9302c",
        Severity::Warning => "#e8a317",
        Severity::Good => "#2eb67d",
        Severity::Info => "#8d8d8d",
    }
}

/// `the last hour`, `the last 10m`
pub(crate) fn last(span: Duration) -> String {
    let words = words::span(span);
    match &*words {
        "1m" => "the last minute".to_owned(),
        "1h" => "the last hour".to_owned(),
        "1d" => "the last day".to_owned(),
        _ => format!("the last {words}"),
    }
}

/// To the second, in UTC, which says so: whoever reads it may be anywhere.
fn when(ts: &str) -> String {
    let utc = |ts: Timestamp| strtime::format("%Y-%m-%d %H:%M:%S UTC", ts).ok();
    ts.parse().ok().and_then(utc).unwrap_or_else(|| ts.to_owned())
}

fn text(record: &Record) -> Option<String> {
    let text = describe::text(record)?;
    let is_list = record.kind() == Kind::Digest && record.payload.body.is_none();
    let text = if is_list { keep_beginning(&text, MAX_TEXT) } else { keep_end(&text, MAX_TEXT) };
    Some(text).filter(|text| !text.is_empty())
}

/// The last lines are the ones that tell why something died, so text is cut at its beginning, and says so.
fn keep_end(text: &str, max: usize) -> String {
    let text = text.trim_end();
    let chars = text.chars().count();
    if chars <= max {
        return text.to_owned();
    }
    let end: String = text.chars().skip(chars - max).collect();
    format!("… ({} characters before)\n{end}", chars - max)
}

/// The first lines of a digest are the worst, and each is of use only whole.
fn keep_beginning(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut left = max;
    for line in text.lines() {
        let chars = line.chars().count() + 1;
        if chars > left {
            break;
        }
        left -= chars;
        kept += line;
        kept.push('\n');
    }
    kept + "… and more"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn message(json: &str) -> Message {
        Message::of(&parcel(json))
    }

    fn facts(message: &Message) -> Vec<String> {
        message.facts.iter().map(|(label, value)| format!("{label}={value}")).collect()
    }

    #[test]
    fn a_crash_answers_what_where_and_when() {
        let crash = message(
            r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","server":"supervisor","eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#,
        );
        assert_eq!(crash.title, "web:web_00 on db1 exited unexpectedly");
        assert_eq!(crash.severity, Severity::Error);
        assert_eq!(
            facts(&crash),
            ["Host=db1", "Process=web:web_00", "Was=RUNNING", "Pid=7", "When=2026-01-05 08:00:00 UTC"]
        );
    }

    #[test]
    fn long_text_keeps_its_end_and_is_cut_at_a_character() {
        assert_eq!(keep_end("é漢😀x\n", 4), "é漢😀x");
        assert_eq!(keep_end("é漢😀x", 2), "… (2 characters before)\n😀x");
    }

    #[test]
    fn what_earlier_stages_have_found_out_is_told() {
        let fatal = message(
            r#"{"eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"a","exitstatus":-9,"spawnerr":"can't find command","description":"can't find command","logtail":"Traceback\n  oops\n"}"#,
        );
        assert_eq!(
            facts(&fatal),
            ["Process=a", "Exit status=killed by SIGKILL (9)", "Spawn error=can't find command"]
        );
        assert_eq!(fatal.text.as_deref(), Some("Traceback\n  oops"));
    }

    #[test]
    fn how_often_lately_and_since_when_stand_beside_the_record() {
        let told = |count, seconds| {
            let background = Background {
                lately: Some((count, Duration::from_secs(seconds))),
                since: "2026-01-05T07:00:00Z".parse().ok(),
            };
            facts(&Message::of(&parcel(r#"{"eventname":"PROCESS_STATE_EXITED"}"#).with(background)))
        };
        assert_eq!(told(4, 3_600), ["Since=2026-01-05 07:00:00 UTC", "Lately=4 times in the last hour"]);
        assert_eq!(told(1, 600)[1], "Lately=once in the last 10m");
    }

    #[test]
    fn a_recovery_has_its_facts() {
        let recovered = message(
            r#"{"ts":"2026-01-05T08:05:03Z","host":"db1","eventname":"SUPD_RECOVERED","processname":"web_00","groupname":"web","since":"2026-01-05T08:00:00.5Z","downtime":303,"count":12}"#,
        );
        assert_eq!(recovered.title, "web:web_00 on db1 recovered after 5m 3s");
        assert_eq!(
            facts(&recovered)[2..],
            ["Problems=12", "Since=2026-01-05 08:00:00 UTC", "When=2026-01-05 08:05:03 UTC"]
        );
    }

    #[test]
    fn a_digest_lists_its_worst_lines_whole() {
        let digest = message(
            r#"{"host":"db1","eventname":"SUPD_DIGEST","count":3,"severity":"critical","first_ts":"2026-01-05T08:00:01Z","last_ts":"2026-01-05T08:00:31Z","events":[{"processname":"a","what":"x","count":2},{"processname":"b","what":"y"}]}"#,
        );
        assert_eq!((digest.severity, &*digest.title), (Severity::Critical, "3 events of 2 processes on db1"));
        assert_eq!(
            facts(&digest),
            ["Host=db1", "Events=3", "First=2026-01-05 08:00:01 UTC", "Last=2026-01-05 08:00:31 UTC"]
        );
        assert_eq!(digest.text.as_deref(), Some("a: x 2 times\nb: y"));
        assert_eq!(keep_beginning("ab\ncd\nef\ngh", 6), "ab\ncd\n… and more");
    }

    #[test]
    fn what_somebody_else_chose_is_no_longer_than_a_message_can_be() {
        let long = "é".repeat(1_000);
        let title = message(&format!(r#"{{"eventname":"REMOTE_COMMUNICATION","type":"{long}"}}"#)).title;
        assert!(title.ends_with("é…") && title.chars().count() < 250, "{title}");
        let reason = message(&format!(r#"{{"eventname":"PROCESS_STATE_FATAL","spawnerr":"{long}"}}"#)).facts
            [0]
        .1
        .clone();
        assert_eq!(reason.chars().count(), MAX_VALUE + 1);
    }
}

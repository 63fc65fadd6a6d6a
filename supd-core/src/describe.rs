//! An event in words: what a person reads in a message or on a terminal.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::exit_status;
use crate::kind::{Kind, State};
use crate::record::Record;
use crate::words::{counted, shortened, span};

/// How much an event matters to whoever is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something happened.
    Info,
    /// A problem is over.
    Good,
    /// Trouble that supervisord still works on.
    Warning,
    /// Something broke.
    Error,
    /// Something broke and stays so until somebody comes.
    Critical,
}

impl Severity {
    /// Whether this is what `--problems` is about.
    pub fn is_problem(self) -> bool {
        self >= Self::Warning
    }

    /// In lower case, as other systems write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// How bad it is at a glance, where there are only letters.
    pub fn emoji(self) -> &'static str {
        match self {
            Self::Critical => "🔥",
            Self::Error => "🔴",
            Self::Warning => "🟠",
            Self::Good => "🟢",
            Self::Info => "⚪",
        }
    }
}

/// How much this event matters.
pub fn severity(record: &Record) -> Severity {
    let kind = record.kind();
    severity_of_kind(kind, record.payload.expected).unwrap_or_else(|| {
        if kind == Kind::Digest {
            return Digest::of(record).and_then(|digest| digest.severity).unwrap_or(Severity::Info);
        }
        let said = record.extra.get("severity");
        said.and_then(|name| Severity::deserialize(name).ok()).unwrap_or(Severity::Error)
    })
}

/// The same as far as an event's kind, and whether its exit was `expected`, tell; `None` for a digest or a reminder, each
/// of which says itself how much it matters.
pub fn severity_of_kind(kind: Kind, expected: Option<bool>) -> Option<Severity> {
    Some(match kind {
        Kind::ProcessState(State::Fatal | State::Unknown) => Severity::Critical,
        Kind::ProcessState(State::Exited) if expected == Some(false) => Severity::Error,
        Kind::Gap => Severity::Error,
        Kind::ProcessState(State::Backoff) | Kind::Flapping => Severity::Warning,
        Kind::ProcessState(State::Running) | Kind::Recovered | Kind::Restarted | Kind::Stable => {
            Severity::Good
        }
        Kind::Digest | Kind::Reminder => return None,
        _ => Severity::Info,
    })
}

/// Whether this is what `--problems` is about.
pub fn is_problem(record: &Record) -> bool {
    severity(record).is_problem()
}

/// An event as a sentence: whom it is about, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// From [`subject`].
    pub subject: String,
    /// What stands between them: a space, or a colon before a list or a sentence; nothing where there is nothing more.
    pub joint: &'static str,
    /// From [`what`].
    pub what: String,
}

impl Sentence {
    /// What a record says.
    pub fn of(record: &Record) -> Self {
        match Digest::of(record) {
            Some(digest) => digest.sentence(record),
            None if record.kind() == Kind::Test => {
                Self { subject: subject(record), joint: ": ", what: what(record).into_owned() }
            }
            None => Self { subject: subject(record), joint: " ", what: what(record).into_owned() },
        }
    }

    /// The whole of it, with the host: `web:web_00 on db1 exited unexpectedly`.
    pub fn on(&self, host: Option<&str>) -> String {
        let Self { subject, joint, what } = self;
        let on = host.map_or(String::new(), |host| format!(" on {host}"));
        format!("{subject}{on}{joint}{what}")
    }

    /// The same without the end of what is too long for a title.
    pub fn shortened(self) -> Self {
        Self { subject: shorten(self.subject), what: shorten(self.what), ..self }
    }
}

/// The longest half of a title, in characters.
const MAX_HALF: usize = 200;

/// A name is a few words; what a remote client calls its communication may be anything.
pub(crate) fn shorten(text: String) -> String {
    shortened(text, MAX_HALF)
}

/// Whom the event is about: `web` or `web:web_00`, as supervisorctl writes it; a group; supervisord's identifier; the
/// spool; or us.
pub fn subject(record: &Record) -> String {
    let payload = &record.payload;
    let process = process(payload.groupname.as_deref(), payload.processname.as_deref());
    match (process, Digest::of(record)) {
        (Some(process), _) => process,
        (None, Some(digest)) => digest.sentence(record).subject,
        (None, None) if reason_of_gap(record).is_some() => "spool".to_owned(),
        (None, None) if record.kind() == Kind::Test => "Test from supd-notify".to_owned(),
        (None, None) => record.server.clone().unwrap_or_else(|| "supervisor".to_owned()),
    }
}

/// A process or a group, as supervisorctl writes it.
pub(crate) fn process(group: Option<&str>, process: Option<&str>) -> Option<String> {
    match (group, process) {
        (Some(group), Some(process)) if group != process => Some(format!("{group}:{process}")),
        (group, process) => process.or(group).map(str::to_owned),
    }
}

/// What happened, as the rest of a sentence that begins with the [`subject`].
pub fn what(record: &Record) -> Cow<'static, str> {
    tell(record, record.payload.tries)
}

/// The same without what differs from one time to the next (which try it was), so that it can be counted.
pub fn deed(record: &Record) -> Cow<'static, str> {
    tell(record, None)
}

fn tell(record: &Record, tries: Option<u64>) -> Cow<'static, str> {
    let payload = &record.payload;
    let again = |word: &str| match tries {
        Some(tries) if tries > 0 => format!("{word} try {tries}"),
        _ => String::new(),
    };
    match record.kind() {
        Kind::ProcessState(state) => match state {
            State::Starting => format!("is starting{}", again(",")).into(),
            State::Running if record.extra.contains_key("resolves") => "is running again".into(),
            State::Running => "is running".into(),
            State::Backoff => format!("exited too quickly{}", again(" on")).into(),
            State::Stopping => "is being stopped".into(),
            State::Stopped => "has been stopped".into(),
            State::Exited if payload.expected == Some(false) => "exited unexpectedly".into(),
            State::Exited => "exited, as expected".into(),
            State::Fatal => "could not be started; supervisord gave up".into(),
            State::Unknown => "is in state UNKNOWN; supervisord lost track of it".into(),
        },
        Kind::ProcessLog => format!("wrote to {}", channel(record)).into(),
        Kind::ProcessCommunication => format!("sent a communication on {}", channel(record)).into(),
        Kind::RemoteCommunication => {
            format!("was sent '{}'", payload.r#type.as_deref().unwrap_or_default()).into()
        }
        Kind::SupervisorStateChange if record.eventname.ends_with("STOPPING") => "is stopping".into(),
        Kind::SupervisorStateChange => "is running".into(),
        Kind::Tick => "ticked".into(),
        Kind::ProcessGroup if record.eventname.ends_with("REMOVED") => "was removed".into(),
        Kind::ProcessGroup => "was added".into(),
        Kind::Gap => gap(record).into(),
        Kind::Digest => {
            Digest::of(record).map_or(String::new(), |digest| digest.sentence(record).what).into()
        }
        Kind::Recovered => recovered(record).into(),
        Kind::Reminder => reminder(record).into(),
        Kind::Restarted => restarted(record).into(),
        Kind::Flapping => flapping(record).into(),
        Kind::Stable if is_stopped(record) => "was stopped while it was flapping".into(),
        Kind::Stable => "is stable again".into(),
        Kind::Test => "this is a test message; nothing has happened".into(),
        Kind::Mark | Kind::Other => format!("sent {}", record.eventname).into(),
    }
}

/// What else is known, in brackets after a space: ` (was RUNNING, pid 7)`; or nothing.
pub fn details(record: &Record) -> String {
    let payload = &record.payload;
    let parts = [
        payload.from_state.as_ref().map(|state| format!("was {state}")),
        payload.pid.map(|pid| format!("pid {pid}")),
        exit_status::of(record).map(|status| {
            if status.starts_with(|c: char| c.is_ascii_digit()) { format!("status {status}") } else { status }
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// What there is to read beside the sentence: the event's body, the end of the process's log where an earlier stage has
/// added it (`logtail`), or what a digest lists.
pub fn text(record: &Record) -> Option<Cow<'_, str>> {
    let body = record.payload.body.as_deref().map(String::from_utf8_lossy).filter(|body| !body.is_empty());
    let logtail = || record.extra.get("logtail").and_then(Value::as_str).filter(|text| !text.is_empty());
    let listed = || Digest::of(record).map(|digest| digest.lines()).filter(|lines| !lines.is_empty());
    body.or_else(|| logtail().map(Cow::from)).or_else(|| listed().map(|lines| lines.join("\n").into()))
}

/// A span of time that stands in a record as a number of seconds.
fn seconds(record: &Record, key: &str) -> Option<String> {
    let seconds = record.extra.get(key).and_then(Value::as_f64);
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(span)
}

/// The time from `since` to the record, in words.
fn span_since(record: &Record) -> Option<String> {
    let time = |text: Option<&str>| text?.parse::<Timestamp>().ok();
    let since = time(record.extra.get("since").and_then(Value::as_str))?;
    time(record.ts.as_deref())?.duration_since(since).try_into().ok().map(span)
}

fn is_stopped(record: &Record) -> bool {
    record.extra.get("stopped").and_then(Value::as_bool) == Some(true)
}

fn restarted(record: &Record) -> String {
    let after = seconds(record, "downtime").map_or(String::new(), |downtime| format!(" after {downtime}"));
    let why = match record.payload.from_state.as_deref().and_then(State::of) {
        Some(State::Exited) if record.payload.expected == Some(false) => "; it had exited unexpectedly",
        Some(State::Exited) if record.payload.expected == Some(true) => "; it had exited, as expected",
        Some(State::Exited) => "; it had exited",
        Some(State::Stopped) => "; it had been stopped",
        Some(State::Fatal) => "; supervisord had given up on it",
        Some(State::Unknown) => "; supervisord had lost track of it",
        _ => "",
    };
    format!("was restarted{after}{why}")
}

fn flapping(record: &Record) -> String {
    match (record.extra.get("count").and_then(Value::as_u64), span_since(record)) {
        (Some(count), Some(span)) => format!("is flapping: restarted {} in {span}", counted(count, "time")),
        (Some(count), None) => format!("is flapping: restarted {}", counted(count, "time")),
        (None, _) => "is flapping".to_owned(),
    }
}

fn recovered(record: &Record) -> String {
    match (is_stopped(record), seconds(record, "downtime")) {
        (false, Some(downtime)) => format!("recovered after {downtime}"),
        (false, None) => "recovered".to_owned(),
        (true, Some(downtime)) => format!("was stopped, {downtime} after it had failed"),
        (true, None) => "was stopped".to_owned(),
    }
}

fn reminder(record: &Record) -> String {
    let since = span_since(record).map_or("yet".to_owned(), |span| format!("for {span}"));
    match record.extra.get("what").and_then(Value::as_str) {
        Some(what) => format!("has not recovered {since}: {what}"),
        None => format!("has not recovered {since}"),
    }
}

/// `stdout` or `stderr`: Python's supervisord says so in a token, and both do so in the event's name.
fn channel(record: &Record) -> String {
    let named = record.eventname.rsplit('_').next().unwrap_or_default().to_ascii_lowercase();
    record.payload.channel.clone().unwrap_or(named)
}

fn gap(record: &Record) -> String {
    let missing = record.extra.get("missing").and_then(Value::as_u64);
    let events = missing.map_or("events".to_owned(), |missing| counted(missing, "event"));
    let (they, them) = if missing == Some(1) { ("it", "it") } else { ("they", "them") };
    match reason_of_gap(record) {
        None => format!("dropped {events} before {they} could be sent"),
        Some("spool-max") => format!("was full and removed {events} that had not been confirmed"),
        Some("unreadable") => format!("lost {events}; a power failure left {them} unreadable"),
        Some(_) => format!("lost {events}"),
    }
}

/// Why records are missing from the spool; supervisord gives no reason for those that it dropped.
fn reason_of_gap(record: &Record) -> Option<&str> {
    let reason = record.extra.get("reason").filter(|_| record.kind() == Kind::Gap)?;
    reason.as_str()
}

/// Whether a terminal or a chat would act on this character, or turn the reading order round, instead of showing it.
pub fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with every character that [`acts`] made visible, as JSON writes it, so that a record stays one.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c if acts(c) => shown += &format!("\\u{:04x}", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        Record::from_line(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_crash_reads_as_one() {
        let crash = record(
            r#"{"eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","expected":false}"#,
        );
        assert_eq!(format!("{} {}", subject(&crash), what(&crash)), "web:web_00 exited unexpectedly");
        assert_eq!(severity(&crash), Severity::Error);
        assert!(is_problem(&crash));
    }

    #[test]
    fn an_expected_exit_is_no_problem() {
        let exit = record(
            r#"{"eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"a","expected":true}"#,
        );
        assert_eq!((subject(&exit).as_str(), is_problem(&exit)), ("a", false));
    }

    #[test]
    fn a_gap_says_how_many_events_are_missing() {
        let gap = record(r#"{"eventname":"SUPD_GAP","server":"prod","missing":52}"#);
        assert_eq!(
            format!("{} {}", subject(&gap), what(&gap)),
            "prod dropped 52 events before they could be sent"
        );
    }

    #[test]
    fn a_gap_of_the_spools_own_says_why() {
        let told = |more: &str| {
            let gap = record(&format!(r#"{{"eventname":"SUPD_GAP","server":"prod",{more}}}"#));
            assert!(is_problem(&gap));
            format!("{} {}", subject(&gap), what(&gap))
        };
        assert_eq!(
            told(r#""missing":52,"first_seq":1,"last_seq":52,"reason":"spool-max""#),
            "spool was full and removed 52 events that had not been confirmed"
        );
        assert_eq!(
            told(r#""missing":1,"first_seq":7,"last_seq":7,"reason":"unreadable""#),
            "spool lost 1 event; a power failure left it unreadable"
        );
        assert_eq!(told(r#""reason":"else""#), "spool lost events");
        assert_eq!(
            told(r#""missing":1,"after":3,"before":5"#),
            "prod dropped 1 event before it could be sent"
        );
    }

    fn title(json: &str) -> String {
        let record = record(json);
        Sentence::of(&record).on(record.host.as_deref())
    }

    const PROCESS: &str = r#""host":"db1","groupname":"web","processname":"web_00""#;

    #[test]
    fn a_recovery_says_how_long_it_took() {
        let told = |keys: &str| {
            let json = format!(r#"{{"eventname":"SUPD_RECOVERED",{PROCESS}{keys}}}"#);
            assert_eq!(severity(&record(&json)), Severity::Good);
            title(&json)
        };
        assert_eq!(told(r#","downtime":303.9"#), "web:web_00 on db1 recovered after 5m 3s");
        assert_eq!(told(r#","downtime":0.2"#), "web:web_00 on db1 recovered after less than 1s");
        assert_eq!(told(r#","downtime":-1"#), "web:web_00 on db1 recovered");
        assert_eq!(
            told(r#","downtime":303,"stopped":true"#),
            "web:web_00 on db1 was stopped, 5m 3s after it had failed"
        );
    }

    #[test]
    fn a_reminder_says_for_how_long_and_what_was_reported_last() {
        let told = |keys: &str| title(&format!(r#"{{"eventname":"SUPD_REMINDER",{PROCESS}{keys}}}"#));
        assert_eq!(
            told(
                r#","ts":"2026-01-05T12:00:03Z","since":"2026-01-05T08:00:01Z","what":"could not be started; supervisord gave up""#
            ),
            "web:web_00 on db1 has not recovered for 4h: could not be started; supervisord gave up"
        );
        assert_eq!(told(""), "web:web_00 on db1 has not recovered yet");
        let critical = record(r#"{"eventname":"SUPD_REMINDER","severity":"critical"}"#);
        assert_eq!(severity(&critical), Severity::Critical);
        assert_eq!(severity(&record(r#"{"eventname":"SUPD_REMINDER","severity":7}"#)), Severity::Error);
    }

    #[test]
    fn what_can_be_counted_leaves_out_which_try_it_was() {
        let again = record(r#"{"eventname":"PROCESS_STATE_BACKOFF","processname":"a","tries":3}"#);
        assert_eq!((&*what(&again), &*deed(&again)), ("exited too quickly on try 3", "exited too quickly"));
    }

    #[test]
    fn the_text_is_the_body_or_else_the_end_of_the_log() {
        let text = |json: &str| text(&record(json)).map(Cow::into_owned);
        let both = r#"{"eventname":"PROCESS_LOG_STDOUT","data":"x","logtail":"y"}"#;
        assert_eq!(text(both).as_deref(), Some("x"));
        assert_eq!(text(r#"{"eventname":"PROCESS_STATE_EXITED","logtail":"y"}"#).as_deref(), Some("y"));
        assert_eq!(text(r#"{"eventname":"PROCESS_STATE_EXITED","logtail":""}"#), None);
    }

    #[test]
    fn what_was_derived_says_how_long_and_how_often() {
        let told =
            |name: &str, keys: &str| title(&format!(r#"{{"eventname":"SUPD_{name}",{PROCESS}{keys}}}"#));
        assert_eq!(
            told("RESTARTED", r#","from_state":"EXITED","expected":false,"downtime":3.25"#),
            "web:web_00 on db1 was restarted after 3s; it had exited unexpectedly"
        );
        assert_eq!(
            told("RESTARTED", r#","from_state":"FATAL","downtime":303"#),
            "web:web_00 on db1 was restarted after 5m 3s; supervisord had given up on it"
        );
        assert_eq!(
            told("RESTARTED", r#","from_state":"STOPPED""#),
            "web:web_00 on db1 was restarted; it had been stopped"
        );
        assert_eq!(told("RESTARTED", ""), "web:web_00 on db1 was restarted");
        let row = r#","ts":"2026-01-05T08:02:01Z","since":"2026-01-05T08:00:00Z","count":5"#;
        assert_eq!(told("FLAPPING", row), "web:web_00 on db1 is flapping: restarted 5 times in 2m 1s");
        assert_eq!(told("FLAPPING", ""), "web:web_00 on db1 is flapping");
        assert_eq!(told("STABLE", row), "web:web_00 on db1 is stable again");
        assert_eq!(
            told("STABLE", r#","stopped":true"#),
            "web:web_00 on db1 was stopped while it was flapping"
        );
    }

    #[test]
    fn of_what_was_derived_only_flapping_is_a_problem() {
        let is_problem = |name: &str| is_problem(&record(&format!(r#"{{"eventname":"SUPD_{name}"}}"#)));
        assert_eq!(["RESTARTED", "FLAPPING", "STABLE"].map(is_problem), [false, true, false]);
    }

    #[test]
    fn a_test_cannot_be_taken_for_an_event() {
        let test = r#"{"eventname":"SUPD_TEST","host":"web1"}"#;
        assert_eq!(
            title(test),
            "Test from supd-notify on web1: this is a test message; nothing has happened"
        );
        assert!(!is_problem(&record(test)));
    }

    #[test]
    fn terminal_escapes_and_bidi_overrides_become_visible() {
        assert_eq!(printable("a\x1b[31m\u{202e}\n漢"), "a\\u001b[31m\\u202e\\n漢");
        assert_eq!(printable("plain é"), "plain é");
    }
}

//! An event in words: what a person reads in a message or on a terminal.

use std::borrow::Cow;

use serde_json::Value;

use crate::kind::{Kind, State};
use crate::record::Record;

/// How much an event matters to whoever is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
}

/// How much this event matters.
pub fn severity(record: &Record) -> Severity {
    match record.kind() {
        Kind::ProcessState(State::Fatal | State::Unknown) => Severity::Critical,
        Kind::ProcessState(State::Exited) if record.payload.expected == Some(false) => Severity::Error,
        Kind::Gap => Severity::Error,
        Kind::ProcessState(State::Backoff) => Severity::Warning,
        Kind::ProcessState(State::Running) => Severity::Good,
        _ => Severity::Info,
    }
}

/// Whether this is what `--problems` is about.
pub fn is_problem(record: &Record) -> bool {
    severity(record) >= Severity::Warning
}

/// Whom the event is about: `web` or `web:web_00`, as supervisorctl writes it; a group; supervisord's identifier; or the
/// spool.
pub fn subject(record: &Record) -> String {
    let payload = &record.payload;
    match (payload.groupname.as_deref(), payload.processname.as_deref()) {
        (Some(group), Some(process)) if group == process => process.to_owned(),
        (Some(group), Some(process)) => format!("{group}:{process}"),
        (None, Some(process)) => process.to_owned(),
        (Some(group), None) => group.to_owned(),
        (None, None) if reason_of_gap(record).is_some() => "spool".to_owned(),
        (None, None) => record.server.clone().unwrap_or_else(|| "supervisor".to_owned()),
    }
}

/// What happened, as the rest of a sentence that begins with the [`subject`].
pub fn what(record: &Record) -> Cow<'static, str> {
    let payload = &record.payload;
    let again = |word: &str| match payload.tries {
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
        Kind::Mark | Kind::Other => format!("sent {}", record.eventname).into(),
    }
}

/// What else is known, in brackets after a space: ` (was RUNNING, pid 7)`; or nothing.
pub fn details(record: &Record) -> String {
    let payload = &record.payload;
    let parts = [
        payload.from_state.as_ref().map(|state| format!("was {state}")),
        payload.pid.map(|pid| format!("pid {pid}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// `stdout` or `stderr`: Python's supervisord says so in a token, and both do so in the event's name.
fn channel(record: &Record) -> String {
    let named = record.eventname.rsplit('_').next().unwrap_or_default().to_ascii_lowercase();
    record.payload.channel.clone().unwrap_or(named)
}

fn gap(record: &Record) -> String {
    let (events, they, them) = match record.extra.get("missing").and_then(Value::as_u64) {
        Some(1) => ("1 event".to_owned(), "it", "it"),
        Some(missing) => (format!("{missing} events"), "they", "them"),
        None => ("events".to_owned(), "they", "them"),
    };
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

    #[test]
    fn terminal_escapes_and_bidi_overrides_become_visible() {
        assert_eq!(printable("a\x1b[31m\u{202e}\n漢"), "a\\u001b[31m\\u202e\\n漢");
        assert_eq!(printable("plain é"), "plain é");
    }
}

//! The mail about a parcel: text and HTML, and headers by which mail programs keep together what belongs together.

use std::fmt::Write as _;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};
use supd_core::Record;
use supd_core::describe::{Severity, printable};
use supd_core::words::shortened;

use crate::message::{self, Message};
use crate::parcel::Parcel;
use crate::wording::Wording;

/// The longest line of a header that others have a say in, in characters; mail must not have lines of 1,000.
const MAX_HEADER: usize = 450;

/// Who writes to whom.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) subject_prefix: Option<String>,
}

/// The mail. Another attempt with the same parcel makes one with the same Message-ID, by which mail servers and programs
/// know that they have it already.
pub(super) fn compose(
    parcel: &Parcel,
    envelope: &Envelope,
    wording: &Wording,
) -> Result<lettre::Message, lettre::error::Error> {
    let mut message = Message::of(parcel);
    message.title = wording.title(parcel).unwrap_or(message.title);
    let body = wording.body(parcel);
    let body = body.as_deref();
    let root = thread(parcel.record(), envelope);
    let subject = match &envelope.subject_prefix {
        Some(prefix) => format!("{prefix} {}", message.title),
        None => message.title.clone(),
    };
    let mut builder = lettre::Message::builder()
        .from(envelope.from.clone())
        .message_id(Some(identity(parcel, envelope)))
        .in_reply_to(root.clone())
        .references(root)
        .subject(header_text(&subject))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Supd-Event", &header_text(&parcel.record().eventname)))
        .raw_header(header("X-Supd-Severity", message.severity.name()));
    if message.severity == Severity::Critical {
        builder =
            builder.raw_header(header("Importance", "high")).raw_header(header("X-Priority", "1 (Highest)"));
    }
    for to in &envelope.to {
        builder = builder.to(to.clone());
    }
    builder.multipart(
        MultiPart::alternative()
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(&message, body)))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html(&message, body))),
    )
}

/// The part for those who read text. What a process wrote is indented, so that it cannot pose as a fact.
fn text(message: &Message, body: Option<&str>) -> String {
    let mut text = format!("{}\n\n", printable(&message.title));
    if let Some(body) = body {
        return text + &block(body);
    }
    for (label, value) in &message.facts {
        let _ = writeln!(text, "{:<13}{}", format!("{label}:"), printable(value));
    }
    if let Some(body) = &message.text {
        text.push('\n');
        block(body).lines().for_each(|line| text += &format!("    {line}\n"));
    }
    text
}

/// The part for everybody else: a bar in the severity's colour, the facts as a table. Styles stand where they are used,
/// since mail programs drop all others.
fn html(message: &Message, body: Option<&str>) -> String {
    let colour = message::colour(message.severity);
    let title = escape(&printable(&message.title));
    let mut html = format!(
        "<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif;font-size:14px\">\n\
         <div style=\"border-left:6px solid {colour};padding:4px 12px\">\n\
         <p style=\"font-size:16px;font-weight:bold;margin:0 0 8px\">{title}</p>\n"
    );
    if let Some(body) = body {
        let _ = write!(
            html,
            "<div style=\"white-space:pre-wrap\">{}</div>\n</div>\n</body></html>\n",
            escape(&block(body))
        );
        return html;
    }
    html.push_str("<table style=\"border-collapse:collapse\">\n");
    for (label, value) in &message.facts {
        let value = escape(&printable(value));
        let _ = writeln!(
            html,
            "<tr><th style=\"text-align:left;color:#666;padding:1px 16px 1px 0\">{label}</th><td>{value}</td></tr>"
        );
    }
    html.push_str("</table>\n");
    if let Some(body) = &message.text {
        let body = escape(&block(body));
        let _ = writeln!(
            html,
            "<pre style=\"background:#f4f4f4;padding:8px;white-space:pre-wrap\">{}</pre>",
            body.trim_end()
        );
    }
    html.push_str("</div>\n</body></html>\n");
    html
}

/// A value in a template: its further lines are indented, so that they cannot pose as the template's own.
pub(super) fn escape_value(text: &str) -> String {
    block(text).trim_end_matches('\n').replace('\n', "\n    ")
}

/// Text of several lines with everything else that acts made visible.
fn block(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t") + "\n";
    text.lines().map(line).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A value that is one line, and says what it says: nothing in it acts, and what looks encoded is not decoded.
fn header_text(text: &str) -> String {
    // Blanks alone on a line, where a long header is folded, would end the headers for some.
    let text = printable(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").replace("=?", "=\u{200b}?");
    shortened(text, MAX_HEADER)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The Message-ID. It is an event's own: should supervisord send the event again, the mail about it is the same. What we
/// tell of several events is its own words.
fn identity(parcel: &Parcel, envelope: &Envelope) -> String {
    let record = parcel.record();
    let number = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let is_event = parcel.letters().len() == 1 && !record.eventname.starts_with("SUPD_");
    let line = String::from_utf8_lossy(parcel.line());
    let to: Vec<String> = envelope.to.iter().map(ToString::to_string).collect();
    let parts = match (&record.host, &record.boot, record.serial) {
        (Some(host), Some(boot), Some(serial)) if is_event => {
            vec![host.clone(), boot.clone(), serial.to_string(), record.eventname.clone(), number(record.seq)]
        }
        // Nothing else can be this line again.
        _ if record.ts.is_some() => vec![line.into_owned()],
        _ => vec![fastrand::u128(..).to_string()],
    };
    message_id("event", &[parts, to].concat(), envelope)
}

/// The mail that all mails about this process answer, which nobody ever wrote: what makes them one thread.
fn thread(record: &Record, envelope: &Envelope) -> String {
    let whole = || {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        vec![text(&record.host), text(&record.server), text(&record.payload.groupname)]
    };
    message_id("thread", &record.process_key().map_or_else(whole, Vec::from), envelope)
}

/// `<event.3b7d…@example.org>`, the same for the same parts.
fn message_id(kind: &str, parts: &[String], envelope: &Envelope) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{kind}.{hex}@{}>", envelope.from.email.domain())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::{Letter, parcel};

    const CRASH: &str = r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","boot":"b","seq":5,"server":"supervisor","serial":21,"eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#;

    fn mail(parcel: &Parcel) -> String {
        let envelope = Envelope {
            from: "supd <supd@example.org>".parse().unwrap(),
            to: vec!["ops@example.org".parse().unwrap(), "Dev <dev@example.net>".parse().unwrap()],
            subject_prefix: Some("[supd]".into()),
        };
        String::from_utf8(compose(parcel, &envelope, &Wording::default()).unwrap().formatted()).unwrap()
    }

    /// The value of a header, unfolded.
    fn value(mail: &str, name: &str) -> Option<String> {
        let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
        let unfolded = headers.replace("\r\n ", " ");
        let mut lines = unfolded.split("\r\n").filter_map(|line| line.strip_prefix(&format!("{name}: ")));
        let value = lines.next().map(str::to_owned);
        assert_eq!(lines.next(), None, "{name} is there once");
        value
    }

    #[test]
    fn a_crash_is_a_mail_with_text_and_html() {
        let mail = mail(&parcel(CRASH));
        assert_eq!(value(&mail, "Subject").unwrap(), "[supd] web:web_00 on db1 exited unexpectedly");
        assert_eq!(value(&mail, "From").unwrap(), "supd <supd@example.org>");
        assert_eq!(value(&mail, "To").unwrap(), "ops@example.org, Dev <dev@example.net>");
        assert_eq!(value(&mail, "Auto-Submitted").unwrap(), "auto-generated");
        assert_eq!(value(&mail, "X-Supd-Event").unwrap(), "PROCESS_STATE_EXITED");
        assert!(value(&mail, "Date").is_some() && value(&mail, "Importance").is_none());
        for part in
            ["Process:     web:web_00\r\n", "Pid:         7\r\n", "solid #d9302c", "<td>web:web_00</td>"]
        {
            let joined = mail.replace("=\r\n", "").replace("=3D", "=");
            assert!(joined.contains(part), "{part} in {joined}");
        }
        let fatal = CRASH.replace("EXITED", "FATAL");
        assert_eq!(value(&self::mail(&parcel(&fatal)), "Importance").unwrap(), "high");
    }

    #[test]
    fn another_attempt_and_the_same_event_sent_again_have_the_same_id_and_other_events_have_others() {
        let id = |line: &str| value(&mail(&parcel(line)), "Message-ID").unwrap();
        let again = CRASH.replace("08:00:00.250", "08:00:01.250");
        assert_eq!(id(CRASH), id(CRASH));
        assert_eq!(id(CRASH), id(&again), "supervisord sent it twice");
        for (field, other) in
            [("db1", "db2"), (r#""b""#, r#""c""#), ("21", "22"), (":5,", ":6,"), ("EXITED", "FATAL")]
        {
            assert_ne!(id(CRASH), id(&CRASH.replace(field, other)), "{field}");
        }
        // What we tell of an event later (a reminder, say) carries its serial.
        let own = CRASH.replace("PROCESS_STATE_EXITED", "SUPD_SOMETHING");
        assert_eq!(id(&own), id(&own));
        assert_ne!(id(&own), id(&own.replace("08:00:00.250", "12:00:00.250")));
        let anonymous = r#"{"eventname":"TICK_5"}"#;
        assert_ne!(id(anonymous), id(anonymous));
    }

    #[test]
    fn mails_about_one_process_are_one_thread() {
        let root = |line: &str| {
            let mail = mail(&parcel(line));
            assert_eq!(value(&mail, "References"), value(&mail, "In-Reply-To"));
            value(&mail, "References").unwrap()
        };
        let later = CRASH.replace(r#""b""#, r#""c""#).replace("21", "99").replace("EXITED", "FATAL");
        assert_eq!(root(CRASH), root(&later));
        for (field, other) in [("db1", "db2"), ("r\"", "r2\""), (r#""web""#, r#""w""#), ("web_00", "web_01")]
        {
            assert_ne!(root(CRASH), root(&CRASH.replace(field, other)), "{field}");
        }
    }

    #[test]
    fn a_hostile_name_adds_no_header_no_line_and_no_element() {
        let long = "x".repeat(5_000);
        for name in [
            "a\r\nBcc: eve@example.com\r\n\r\n<script>x</script>",
            "a\u{2028}\nX-Supd-Event: FORGED",
            "a\u{202e}\u{1b}[2J",
            "=?utf-8?q?=0D=0ABcc:_eve=40example.com?=",
            "\u{85}\u{b}\u{c} \t          \n .",
            "名前 é 😀",
            &long,
            &long.replace('x', "名 "),
        ] {
            let mut record = Record::from_line(CRASH.as_bytes()).unwrap();
            record.payload.processname = Some(name.into());
            record.eventname = format!("PROCESS_STATE_{name}");
            let mut line = Vec::new();
            record.write_line(&mut line);
            let mail = mail(&Parcel::of(Letter::new(record, line).into()));
            assert!(mail.is_ascii() && mail.lines().all(|line| line.len() < 990), "{mail}");
            assert_eq!(value(&mail, "Bcc"), None, "{mail}");
            assert!(value(&mail, "Subject").is_some() && value(&mail, "X-Supd-Event").is_some());
            let (_, html) = mail.split_once("text/html").unwrap();
            assert!(!html.contains("<script>") && !mail.contains("\x1b"), "{mail}");
            let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
            assert!(headers.split("\r\n").all(|line| !line.trim().is_empty()), "{headers}");
            assert!(!headers.contains("=?utf-8?q?=0D"), "{headers}");
        }
    }

    #[test]
    fn log_text_keeps_its_lines_and_can_pose_as_nothing_else() {
        let message = Message::of(&parcel(
            r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","data":"Host: forged\r\n\ta\u001b[2J</pre>\n.\n"}"#,
        ));
        assert!(
            text(&message, None).ends_with("\n\n    Host: forged\n    \ta\\u001b[2J</pre>\n    .\n"),
            "{}",
            text(&message, None)
        );
        assert!(
            html(&message, None).contains(">Host: forged\n\ta\\u001b[2J&lt;/pre&gt;\n.</pre>"),
            "{}",
            html(&message, None)
        );
    }

    #[test]
    fn a_template_says_subject_and_body_and_values_add_no_line_of_their_own() {
        let options = toml::from_str(
            "title = '{{ severity }}\\n{{ text }}'\nbody = \"<b>\\nHost: {{ host }}\\n{{ text }}\"",
        );
        let wording = Wording::compile(&options.unwrap(), escape_value).unwrap();
        let log = parcel(
            r#"{"host":"db1","eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","data":"x\nHost: forged\u001b[2J"}"#,
        );
        let envelope = Envelope {
            from: "supd@example.org".parse().unwrap(),
            to: vec!["ops@example.org".parse().unwrap()],
            subject_prefix: None,
        };
        let mail = String::from_utf8(compose(&log, &envelope, &wording).unwrap().formatted()).unwrap();
        assert_eq!(value(&mail, "Subject").unwrap(), "info\\nx\\n Host: forged\\u001b[2J");
        assert_eq!(value(&mail, "Host"), None);
        let joined = mail.replace("=\r\n", "").replace("=3D", "=");
        assert!(joined.contains("\r\n<b>\r\nHost: db1\r\nx\r\n    Host: forged\\u001b[2J\r\n"), "{joined}");
        assert!(joined.contains("&lt;b&gt;\r\nHost: db1\r\nx\r\n    Host: forged"), "{joined}");
    }
}

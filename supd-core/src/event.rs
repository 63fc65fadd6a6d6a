//! The typed event: what a header and a payload say, and back to the same bytes.

use crate::kind::Kind;
use crate::record::KEYS;
use crate::wire::{self, Header, LenUnit};

/// supervisord sends five at most; a line of many words is no line of tokens.
const MAX_TOKENS: usize = 64;

/// One event as supervisord sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The header line.
    pub header: Header,
    /// What follows it.
    pub payload: Payload,
}

/// The tokens and the body of a payload, by supervisor's names; absent where the event has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// Name of the process within its group.
    pub processname: Option<String>,
    /// Name of the group; the same as `processname` for a section with one process.
    pub groupname: Option<String>,
    /// The state that a process left, such as `RUNNING`.
    pub from_state: Option<String>,
    /// How often supervisord has tried to start the process (STARTING, BACKOFF).
    pub tries: Option<u64>,
    /// Whether the exit status was one of `exitcodes` (EXITED).
    pub expected: Option<bool>,
    /// Process id.
    pub pid: Option<u64>,
    /// `stdout` or `stderr` (PROCESS_LOG).
    pub channel: Option<String>,
    /// What the client called it (REMOTE_COMMUNICATION).
    pub r#type: Option<String>,
    /// Seconds since the epoch, rounded down to the tick's period (TICK).
    pub when: Option<u64>,
    /// Tokens that no one knows, as they came.
    pub other: Vec<(String, String)>,
    /// What follows the first newline: log text, a communication. Not always UTF-8.
    pub body: Option<Vec<u8>>,
    /// Whether the payload was longer than we were told to keep.
    pub truncated: bool,
}

impl Event {
    /// The bytes that supervisord sends, `len` counted in this unit. A truncated event gives what was kept of it.
    pub fn encode(&self, unit: LenUnit) -> Vec<u8> {
        let payload = self.payload.encode(&self.header.eventname);
        let header = Header { len: unit.measure(&payload), ..self.header.clone() };
        let mut wire = header.encode().into_bytes();
        wire.extend_from_slice(&payload);
        wire
    }
}

impl Payload {
    /// Reads a payload. Never fails: what is not made of tokens becomes the body as a whole, and names that are not UTF-8
    /// lose the bytes that are none: an alert with a mangled name is better than none.
    pub fn parse(eventname: &str, bytes: &[u8]) -> Self {
        let (line, body) = match memchr::memchr(b'\n', bytes) {
            Some(newline) => (&bytes[..newline], Some(bytes[newline + 1..].to_vec())),
            None => (bytes, None),
        };
        let line = wire::text(line);
        let mut payload = Self { body, ..Self::default() };
        // The type of a remote communication is whatever its sender chose, spaces and all.
        if let Some(name) = line.strip_prefix("type:")
            && Kind::of(eventname) == Kind::RemoteCommunication
        {
            payload.r#type = Some(name.to_owned());
            return payload;
        }
        if line.bytes().all(|byte| byte == b' ') && !bytes.is_empty() {
            return Self { body: Some(bytes.to_vec()), ..Self::default() };
        }
        // Only U+0020 separates tokens; names may hold tabs, NBSPs.
        let mut seen = Vec::with_capacity(KEYS.len());
        for token in line.split(' ').filter(|token| !token.is_empty()) {
            let known = wire::token(token).filter(|(key, _)| seen.len() < MAX_TOKENS && !seen.contains(key));
            if !known.is_some_and(|(key, value)| payload.take(key, value)) {
                return Self { body: Some(bytes.to_vec()), ..Self::default() };
            }
            seen.extend(known.map(|(key, _)| key));
        }
        payload
    }

    /// The payload's bytes, tokens in supervisor's order and unknown ones last.
    pub fn encode(&self, eventname: &str) -> Vec<u8> {
        let mut tokens: Vec<String> = Vec::new();
        let mut token = |key: &str, value: Option<&str>| {
            tokens.extend(value.map(|value| format!("{key}:{value}")));
        };
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        token("processname", self.processname.as_deref());
        token("groupname", self.groupname.as_deref());
        token("from_state", self.from_state.as_deref());
        token("tries", number(self.tries).as_deref());
        token("expected", self.expected.map(|yes| if yes { "1" } else { "0" }));
        token("pid", number(self.pid).as_deref());
        token("channel", self.channel.as_deref());
        token("type", self.r#type.as_deref());
        token("when", number(self.when).as_deref());
        for (key, value) in &self.other {
            token(key, Some(value));
        }
        let mut bytes = tokens.join(" ").into_bytes();
        if let Some(body) = self.body.as_deref().or(implied_body(eventname)) {
            // Without tokens the payload was all body.
            if !bytes.is_empty() {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(body);
        }
        bytes
    }

    /// Whether the body tells nothing: supervisord ends the payload of a group event with a newline.
    pub(crate) fn has_telling_body(&self, eventname: &str) -> bool {
        self.body.is_some() && self.body.as_deref() != implied_body(eventname)
    }

    /// Takes one token; false where the record uses its name for something else, and could not give it back.
    fn take(&mut self, key: &str, value: &str) -> bool {
        // A number that would be written in another way than it came, such as 007, stays the string that it is.
        let is_plain = value == "0" || value.starts_with(|first: char| matches!(first, '1'..='9'));
        let number = value.parse::<u64>().ok().filter(|_| is_plain);
        match (key, number) {
            ("processname", _) => self.processname = Some(value.to_owned()),
            ("groupname", _) => self.groupname = Some(value.to_owned()),
            ("from_state", _) => self.from_state = Some(value.to_owned()),
            ("channel", _) => self.channel = Some(value.to_owned()),
            ("type", _) => self.r#type = Some(value.to_owned()),
            ("tries", Some(_)) => self.tries = number,
            ("pid", Some(_)) => self.pid = number,
            ("when", Some(_)) => self.when = number,
            ("expected", Some(flag @ (0 | 1))) => self.expected = Some(flag == 1),
            ("tries" | "pid" | "when" | "expected", _) => self.other.push((key.to_owned(), value.to_owned())),
            _ if KEYS.contains(&key) => return false,
            _ => self.other.push((key.to_owned(), value.to_owned())),
        }
        true
    }
}

fn implied_body(eventname: &str) -> Option<&'static [u8]> {
    (Kind::of(eventname) == Kind::ProcessGroup).then_some(b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(eventname: &str, payload: &str) -> Payload {
        let parsed = Payload::parse(eventname, payload.as_bytes());
        assert_eq!(String::from_utf8(parsed.encode(eventname)).unwrap(), payload);
        parsed
    }

    #[test]
    fn an_exit_has_its_tokens_typed() {
        let exited = parse(
            "PROCESS_STATE_EXITED",
            "processname:web_00 groupname:web from_state:RUNNING expected:0 pid:2766",
        );
        assert_eq!((exited.expected, exited.pid), (Some(false), Some(2766)));
        assert_eq!(exited.processname.as_deref(), Some("web_00"));
    }

    #[test]
    fn log_text_is_the_body_newlines_and_colons_included() {
        let log =
            parse("PROCESS_LOG_STDOUT", "processname:a groupname:a pid:1 channel:stdout\nver:3.0 é\n\nx");
        assert_eq!(log.body.as_deref(), Some("ver:3.0 é\n\nx".as_bytes()));
        assert_eq!(parse("REMOTE_COMMUNICATION", "type:two words\n").r#type.as_deref(), Some("two words"));
        assert_eq!(parse("REMOTE_COMMUNICATION", "type:\nx").r#type.as_deref(), Some(""));
    }

    #[test]
    fn names_are_split_at_spaces_only() {
        let odd =
            parse("PROCESS_STATE_FATAL", "processname:a\tb\u{a0}c\u{2028}=; groupname:😀 from_state:BACKOFF");
        assert_eq!(odd.processname.as_deref(), Some("a\tb\u{a0}c\u{2028}=;"));
    }

    #[test]
    fn unknown_tokens_keep_name_and_string_and_odd_numbers_stay_strings() {
        let odd = parse("PROCESS_STATE_RUNNING", "processname:a groupname:a pid:7 cgroup:x:y");
        assert_eq!(odd.other, [("cgroup".to_owned(), "x:y".to_owned())]);
        assert_eq!(parse("X", "pid:007").other, [("pid".to_owned(), "007".to_owned())]);
    }

    #[test]
    fn what_is_not_made_of_tokens_is_all_body() {
        for payload in ["no tokens here", "serial:1 pid:2", "\nleading newline", "pid:1 pid:2", "x:1 x:2"] {
            let parsed = parse("LATER_EVENT", payload);
            assert_eq!(parsed.body.as_deref(), Some(payload.as_bytes()), "{payload}");
        }
    }

    #[test]
    fn a_group_event_ends_with_a_newline_that_tells_nothing() {
        let group = parse("PROCESS_GROUP_ADDED", "groupname:web\n");
        assert!(!group.has_telling_body("PROCESS_GROUP_ADDED"));
    }
}

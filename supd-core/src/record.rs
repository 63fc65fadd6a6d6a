//! The record: an event as one JSON object on one line, both ways.
//!
//! Keys are supervisor's own names, flat, in a fixed order, absent when the event has none. Reading takes any order
//! and any spacing, since jq may sit in the middle, and keeps keys that it does not know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::event::{Event, Payload};
use crate::kind::Kind;
use crate::wire::Header;

/// The keys of a record, in their order.
pub const KEYS: [&str; 23] = [
    "ts",
    "host",
    "boot",
    "seq",
    "ver",
    "server",
    "serial",
    "pool",
    "poolserial",
    "eventname",
    "header",
    "processname",
    "groupname",
    "from_state",
    "tries",
    "expected",
    "pid",
    "channel",
    "type",
    "when",
    "data",
    "data_b64",
    "truncated",
];

/// One event, with where and when it was received. Header fields are absent in events of our own (`SUPD_…`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// When the header was read: RFC 3339, UTC, milliseconds.
    pub ts: Option<String>,
    /// The machine that supervisord runs on.
    pub host: Option<String>,
    /// One lifetime of one supervisord.
    pub boot: Option<String>,
    /// Position in a spool.
    pub seq: Option<u64>,
    /// Version of the protocol.
    pub ver: Option<String>,
    /// supervisord's identifier.
    pub server: Option<String>,
    /// Number of the event in its supervisord.
    pub serial: Option<u64>,
    /// The listener's pool.
    pub pool: Option<String>,
    /// Number of the event in the pool.
    pub poolserial: Option<u64>,
    /// Such as `PROCESS_STATE_EXITED`.
    pub eventname: String,
    /// Header tokens that no one knows, by name.
    pub header: Vec<(String, String)>,
    /// The event's own fields.
    pub payload: Payload,
    /// Keys that we do not know, with their values: another program's, or payload tokens of a later supervisord.
    pub extra: Map<String, Value>,
}

/// A record that cannot go onto the wire.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// A header token is missing.
    #[error("the record has no '{0}'")]
    Missing(&'static str),
    /// The payload was cut when it was received, so its bytes are not known.
    #[error("the record is truncated")]
    Truncated,
}

impl Record {
    /// A record of an event; where and when it was received are the caller's to add.
    pub fn from_event(event: Event) -> Self {
        let Event { header, mut payload } = event;
        let text = |(key, value): (String, String)| (key, Value::String(value));
        Self {
            ver: Some(header.ver),
            server: Some(header.server),
            serial: Some(header.serial),
            pool: Some(header.pool),
            poolserial: Some(header.poolserial),
            eventname: header.eventname,
            header: header.other,
            extra: std::mem::take(&mut payload.other).into_iter().map(text).collect(),
            payload,
            ..Self::default()
        }
    }

    /// The event that supervisord sent. Keys that no one knows are payload tokens when they are strings that could be.
    ///
    /// # Errors
    /// [`WireError`] when the record does not hold all of it.
    pub fn to_event(&self) -> Result<Event, WireError> {
        if self.payload.truncated {
            return Err(WireError::Truncated);
        }
        let text = |field: &Option<String>, name| field.clone().ok_or(WireError::Missing(name));
        let header = Header {
            ver: text(&self.ver, "ver")?,
            server: text(&self.server, "server")?,
            serial: self.serial.ok_or(WireError::Missing("serial"))?,
            pool: text(&self.pool, "pool")?,
            poolserial: self.poolserial.ok_or(WireError::Missing("poolserial"))?,
            eventname: self.eventname.clone(),
            len: 0, // the encoder counts
            other: self.header.clone(),
        };
        let token = |(key, value): (&String, &Value)| match value {
            Value::String(text) if !text.contains([' ', '\n']) => Some((key.clone(), text.clone())),
            _ => None,
        };
        let payload =
            Payload { other: self.extra.iter().filter_map(token).collect(), ..self.payload.clone() };
        Ok(Event { header, payload })
    }

    /// Reads one line.
    ///
    /// # Errors
    /// serde_json's, with the column.
    pub fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// What the event tells, by its name.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.eventname)
    }

    /// What tells processes apart across a fleet: host, server, group, process. `None` for an event without a process.
    pub fn process_key(&self) -> Option<[String; 4]> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let payload = &self.payload;
        Some([text(&self.host), text(&self.server), text(&payload.groupname), payload.processname.clone()?])
    }

    /// The body as text where it is UTF-8.
    pub fn data(&self) -> Option<&str> {
        std::str::from_utf8(self.payload.body.as_deref()?).ok()
    }
}

impl Record {
    /// Sets what a key stands for. A key that we do not know, and a value of a type that we do not expect (jq can make
    /// any), come back, to be kept as they are.
    fn set(&mut self, key: &str, value: Value) -> Result<(), Value> {
        let payload = &mut self.payload;
        match key {
            "ts" => fill(&mut self.ts, value, text),
            "host" => fill(&mut self.host, value, text),
            "boot" => fill(&mut self.boot, value, text),
            "seq" => fill(&mut self.seq, value, Value::as_u64),
            "ver" => fill(&mut self.ver, value, text),
            "server" => fill(&mut self.server, value, text),
            "serial" => fill(&mut self.serial, value, Value::as_u64),
            "pool" => fill(&mut self.pool, value, text),
            "poolserial" => fill(&mut self.poolserial, value, Value::as_u64),
            "header" => {
                let mut tokens = None;
                fill(&mut tokens, value, header_tokens)?;
                self.header = tokens.unwrap_or_default();
                Ok(())
            }
            "processname" => fill(&mut payload.processname, value, text),
            "groupname" => fill(&mut payload.groupname, value, text),
            "from_state" => fill(&mut payload.from_state, value, text),
            "tries" => fill(&mut payload.tries, value, Value::as_u64),
            "expected" => fill(&mut payload.expected, value, Value::as_bool),
            "pid" => fill(&mut payload.pid, value, Value::as_u64),
            "channel" => fill(&mut payload.channel, value, text),
            "type" => fill(&mut payload.r#type, value, text),
            "when" => fill(&mut payload.when, value, Value::as_u64),
            "data" => fill_body(&mut payload.body, value, |text| Some(text.as_bytes().to_vec())),
            "data_b64" => fill_body(&mut payload.body, value, |text| BASE64.decode(text).ok()),
            "truncated" => {
                let mut truncated = None;
                fill(&mut truncated, value, Value::as_bool)?;
                payload.truncated = truncated.unwrap_or(false);
                Ok(())
            }
            _ => Err(value),
        }
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record: an object with 'eventname'")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        let mut eventname = None;
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            match key.as_str() {
                "eventname" => match value {
                    Value::String(name) => eventname = Some(name),
                    _ => return Err(de::Error::custom("'eventname' is not a string")),
                },
                _ => match record.set(&key, value) {
                    Err(odd) => drop(record.extra.insert(key, odd)),
                    // Of a key that comes twice the last one counts, whatever the first one was.
                    Ok(()) if !record.extra.is_empty() => drop(record.extra.shift_remove(&key)),
                    Ok(()) => {}
                },
            }
        }
        record.eventname = eventname.ok_or_else(|| de::Error::missing_field("eventname"))?;
        if !record.payload.has_telling_body(&record.eventname) {
            record.payload.body = None;
        }
        Ok(record)
    }
}

/// Fills a field from a value of its type; null leaves it empty, and any other value comes back.
fn fill<T>(field: &mut Option<T>, value: Value, read: impl FnOnce(&Value) -> Option<T>) -> Result<(), Value> {
    *field = read(&value);
    if field.is_some() || value.is_null() { Ok(()) } else { Err(value) }
}

/// As [`fill`], but two keys share the field: what one of them cannot read is no reason to lose what the other has.
fn fill_body(
    body: &mut Option<Vec<u8>>,
    value: Value,
    read: impl FnOnce(&str) -> Option<Vec<u8>>,
) -> Result<(), Value> {
    match value.as_str().and_then(read) {
        Some(bytes) => *body = Some(bytes),
        None if value.is_null() => {}
        None => return Err(value),
    }
    Ok(())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn header_tokens(value: &Value) -> Option<Vec<(String, String)>> {
    value.as_object()?.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::LenUnit;

    fn line(record: &Record) -> String {
        let mut out = Vec::new();
        record.write_line(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn exited() -> Record {
        let header = Header::parse(
            b"ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:PROCESS_STATE_EXITED len:0",
        );
        let payload = "processname:a groupname:g from_state:RUNNING expected:0 pid:7 cgroup:x";
        Record::from_event(Event {
            payload: Payload::parse("PROCESS_STATE_EXITED", payload.as_bytes()),
            header: header.unwrap(),
        })
    }

    #[test]
    fn keys_come_in_their_order_and_typed() {
        let record = Record { ts: Some("t".into()), host: Some("h".into()), ..exited() };
        assert_eq!(
            line(&record),
            concat!(
                r#"{"ts":"t","host":"h","ver":"3.0","server":"s","serial":1,"pool":"p","poolserial":0,"#,
                r#""eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"g","from_state":"RUNNING","#,
                r#""expected":false,"pid":7,"cgroup":"x"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn any_order_and_spacing_is_read_and_unknown_keys_are_kept() {
        let text = r#" { "pid" : 7, "note":{"x":[1]}, "eventname":"PROCESS_STATE_EXITED", "ts":null, "tries":"x" } "#;
        let record = Record::from_line(text.as_bytes()).unwrap();
        assert_eq!(record.payload.pid, Some(7));
        assert_eq!(
            line(&record),
            "{\"eventname\":\"PROCESS_STATE_EXITED\",\"pid\":7,\"note\":{\"x\":[1]},\"tries\":\"x\"}\n"
        );
    }

    #[test]
    fn values_of_another_type_cost_no_record() {
        let text = r#"{"serial":"5","eventname":"X","pid":-1,"data":{"a":1},"header":7,"ts":5}"#;
        let record = Record::from_line(text.as_bytes()).unwrap();
        assert_eq!((record.serial, record.payload.pid), (None, None));
        assert_eq!(Record::from_line(line(&record).as_bytes()).unwrap(), record);
        assert_eq!(record.extra["data"]["a"], 1);
    }

    #[test]
    fn a_key_that_comes_twice_is_written_so_that_it_is_read_as_the_same() {
        for (text, expected) in [
            (r#"{"eventname":"X","pid":"x","pid":1}"#, r#"{"eventname":"X","pid":1}"#),
            (r#"{"eventname":"X","pid":1,"pid":"x"}"#, r#"{"eventname":"X","pid":"x"}"#),
            (r#"{"eventname":"X","data_b64":5,"data":"y"}"#, r#"{"eventname":"X","data":"y","data_b64":5}"#),
            (r#"{"eventname":"X","data":"y","data_b64":5}"#, r#"{"eventname":"X","data":"y","data_b64":5}"#),
            (r#"{"eventname":"PROCESS_GROUP_ADDED","data":""}"#, r#"{"eventname":"PROCESS_GROUP_ADDED"}"#),
        ] {
            let record = Record::from_line(text.as_bytes()).unwrap();
            assert_eq!(line(&record), format!("{expected}\n"));
            assert_eq!(Record::from_line(line(&record).as_bytes()).unwrap(), record);
        }
    }

    #[test]
    fn another_programs_numbers_keep_their_value() {
        let text = r#"{"eventname":"X","t":21795356108.015197}"#;
        let record = Record::from_line(text.as_bytes()).unwrap();
        assert_eq!(record.extra["t"], 21795356108.015197);
        assert_eq!(Record::from_line(line(&record).as_bytes()).unwrap(), record);
    }

    #[test]
    fn a_body_that_is_not_text_travels_as_base64() {
        let payload = b"processname:a groupname:a pid:1 channel:stdout\n\xff\xfe";
        let record = Record {
            eventname: "PROCESS_LOG_STDOUT".into(),
            payload: Payload::parse("PROCESS_LOG_STDOUT", payload),
            ..Record::default()
        };
        let text = line(&record);
        assert!(text.contains(r#""data_b64":"//4=""#), "{text}");
        assert_eq!(Record::from_line(text.as_bytes()).unwrap(), record);
    }

    #[test]
    fn a_record_goes_back_to_the_bytes_it_came_from() {
        let wire = exited().to_event().unwrap().encode(LenUnit::Chars);
        let read_back = Record::from_line(line(&exited()).as_bytes()).unwrap();
        assert_eq!(read_back.to_event().unwrap().encode(LenUnit::Chars), wire);
        assert!(wire.ends_with(b" pid:7 cgroup:x"));
    }

    #[test]
    fn what_is_missing_for_the_wire_is_named() {
        let gap = Record { eventname: "SUPD_GAP".into(), ..Record::default() };
        assert_eq!(gap.to_event(), Err(WireError::Missing("ver")));
        assert_eq!(
            Record::from_line(b"{}").unwrap_err().to_string(),
            "missing field `eventname` at line 1 column 2"
        );
    }
}

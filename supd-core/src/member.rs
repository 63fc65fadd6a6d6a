//! A record's members in the order of their keys, and the line that they make.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::fields::{Field, Fields};
use crate::json;
use crate::record::Record;

/// Takes members as they come; only what is other than a text, a number or a flag can have a key that is not ours.
trait Members<'r> {
    fn text(&mut self, key: &'static str, text: Cow<'r, str>);
    fn number(&mut self, key: &'static str, number: u64);
    fn flag(&mut self, key: &'static str, flag: bool);
    fn other(&mut self, key: &'r str, value: Cow<'r, Value>);
}

impl Record {
    /// Appends the record as one line, newline included: the bytes that serde_json would write.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        self.give_members(&mut Line { out: &mut *out, before: b'{' });
        out.extend_from_slice(b"}\n");
    }

    /// Gives what there is, in the order of the keys.
    fn give_members<'r>(&'r self, to: &mut impl Members<'r>) {
        let payload = &self.payload;
        give_text(to, "ts", &self.ts);
        give_text(to, "host", &self.host);
        give_text(to, "boot", &self.boot);
        give_number(to, "seq", self.seq);
        give_text(to, "ver", &self.ver);
        give_text(to, "server", &self.server);
        give_number(to, "serial", self.serial);
        give_text(to, "pool", &self.pool);
        give_number(to, "poolserial", self.poolserial);
        to.text("eventname", self.eventname.as_str().into());
        if !self.header.is_empty() {
            let tokens = self.header.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
            to.other("header", Cow::Owned(Value::Object(tokens.collect())));
        }
        give_text(to, "processname", &payload.processname);
        give_text(to, "groupname", &payload.groupname);
        give_text(to, "from_state", &payload.from_state);
        give_number(to, "tries", payload.tries);
        if let Some(expected) = payload.expected {
            to.flag("expected", expected);
        }
        give_number(to, "pid", payload.pid);
        give_text(to, "channel", &payload.channel);
        give_text(to, "type", &payload.r#type);
        give_number(to, "when", payload.when);
        if let Some(body) = &payload.body
            && payload.has_telling_body(&self.eventname)
        {
            match str::from_utf8(body) {
                Ok(text) => to.text("data", text.into()),
                Err(_) => to.text("data_b64", BASE64.encode(body).into()),
            }
        }
        if payload.truncated {
            to.flag("truncated", true);
        }
        for (key, value) in &self.extra {
            to.other(key, Cow::Borrowed(value));
        }
    }
}

fn give_text<'r>(to: &mut impl Members<'r>, key: &'static str, text: &'r Option<String>) {
    if let Some(text) = text {
        to.text(key, text.as_str().into());
    }
}

fn give_number<'r>(to: &mut impl Members<'r>, key: &'static str, number: Option<u64>) {
    if let Some(number) = number {
        to.number(key, number);
    }
}

/// A line that is being written.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// What stands before the next member.
    before: u8,
}

impl Line<'_> {
    fn key(&mut self, key: &'static str) {
        self.separate();
        // There is nothing to escape in a key of ours.
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn separate(&mut self) {
        self.out.push(std::mem::replace(&mut self.before, b','));
    }
}

impl<'r> Members<'r> for Line<'_> {
    fn text(&mut self, key: &'static str, text: Cow<'r, str>) {
        self.key(key);
        json::push_string(self.out, &text);
    }

    fn number(&mut self, key: &'static str, number: u64) {
        self.key(key);
        json::push_number(self.out, number);
    }

    fn flag(&mut self, key: &'static str, flag: bool) {
        self.key(key);
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    fn other(&mut self, key: &'r str, value: Cow<'r, Value>) {
        self.separate();
        json::push_string(self.out, key);
        self.out.push(b':');
        serde_json::to_writer(&mut *self.out, &*value)
            .expect("a value always serialises, a Vec always takes it");
    }
}

impl<'r> Members<'r> for Map<String, Value> {
    fn text(&mut self, key: &'static str, text: Cow<'r, str>) {
        self.insert(key.to_owned(), text.into());
    }

    fn number(&mut self, key: &'static str, number: u64) {
        self.insert(key.to_owned(), number.into());
    }

    fn flag(&mut self, key: &'static str, flag: bool) {
        self.insert(key.to_owned(), flag.into());
    }

    fn other(&mut self, key: &'r str, value: Cow<'r, Value>) {
        self.insert(key.to_owned(), value.into_owned());
    }
}

/// Hands members on as fields.
struct Each<'a, 'r>(&'a mut dyn FnMut(&'r str, Field<'r>));

impl<'r> Members<'r> for Each<'_, 'r> {
    fn text(&mut self, key: &'static str, text: Cow<'r, str>) {
        (self.0)(key, Field::Text(text));
    }

    fn number(&mut self, key: &'static str, number: u64) {
        (self.0)(key, Field::Number(number));
    }

    fn flag(&mut self, key: &'static str, flag: bool) {
        (self.0)(key, Field::Flag(flag));
    }

    fn other(&mut self, key: &'r str, value: Cow<'r, Value>) {
        let field = match value {
            Cow::Borrowed(value) => value.into(),
            Cow::Owned(value) => Field::Json(value.to_string().into()),
        };
        (self.0)(key, field);
    }
}

impl Fields for Record {
    fn get(&self, key: &str) -> Option<Field<'_>> {
        fn text(text: &Option<String>) -> Option<Field<'_>> {
            Some(Field::Text(text.as_deref()?.into()))
        }
        let payload = &self.payload;
        let field = match key {
            "ts" => text(&self.ts),
            "host" => text(&self.host),
            "server" => text(&self.server),
            "eventname" => Some(Field::Text(self.eventname.as_str().into())),
            "processname" => text(&payload.processname),
            "groupname" => text(&payload.groupname),
            "from_state" => text(&payload.from_state),
            "expected" => payload.expected.map(Field::Flag),
            "data" => self.data().map(|text| Field::Text(text.into())),
            _ => {
                let mut found = None;
                self.each(&mut |name, field| {
                    if name == key {
                        found = Some(field);
                    }
                });
                return found;
            }
        };
        // A value of a type that nobody expects is kept there.
        field.or_else(|| self.extra.get(key).map(Field::from))
    }

    fn each<'s>(&'s self, give: &mut dyn FnMut(&'s str, Field<'s>)) {
        self.give_members(&mut Each(give));
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        self.payload.body.as_deref().map(Cow::from)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = Map::new();
        self.give_members(&mut members);
        members.serialize(serializer)
    }
}

//! What a record holds, key by key, however it is held: taken apart, or as it stands in its line.

use std::borrow::Cow;

use serde_json::Value;

use crate::kind::Kind;

/// The value of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    /// A string, its escapes taken away.
    Text(Cow<'a, str>),
    /// A number from 0 to 2^64 - 1.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// Anything else, as JSON.
    Json(Cow<'a, str>),
}

impl<'a> Field<'a> {
    /// The string, if it is one.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one from 0 to 2^64 - 1.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// As it stands in a cell: a string without its quotes, anything else as JSON writes it.
    pub fn into_plain(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) | Self::Json(text) => text,
            Self::Number(number) => number.to_string().into(),
            Self::Flag(flag) => if flag { "true" } else { "false" }.into(),
        }
    }
}

impl<'a> From<&'a Value> for Field<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.into()),
            Value::Bool(flag) => Self::Flag(*flag),
            value => value.as_u64().map_or_else(|| Self::Json(value.to_string().into()), Self::Number),
        }
    }
}

/// Something that has the keys of a record.
pub trait Fields {
    /// The value of a key; `None` where it is absent.
    fn get(&self, key: &str) -> Option<Field<'_>>;

    /// Gives every key with its value, each once.
    fn each<'s>(&'s self, give: &mut dyn FnMut(&'s str, Field<'s>));

    /// A string; `None` where it is absent or something else.
    fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key)?.text()
    }

    /// The event's name; empty for what is no record.
    fn eventname(&self) -> Cow<'_, str> {
        self.text("eventname").unwrap_or_default()
    }

    /// What the event tells, by its name.
    fn kind(&self) -> Kind {
        Kind::of(&self.eventname())
    }

    /// The bytes of the log text or communication.
    fn body(&self) -> Option<Cow<'_, [u8]>>;

    /// The same, in memory that serves one record after another where they do not stand anywhere as they are.
    fn body_in<'s>(&'s self, memory: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        Some(match self.body()? {
            Cow::Borrowed(body) => body,
            Cow::Owned(body) => {
                *memory = body;
                memory
            }
        })
    }
}

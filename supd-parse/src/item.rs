//! What goes through the filters: a record, as it stands in its line for as long as nobody changes it.

use std::borrow::Cow;

use serde_json::Value;
use supd_core::Record;
use supd_core::fields::{Field, Fields};
use supd_core::flat::{Flat, Scanner};

/// One record, or what `--jq` made of one.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// The bytes that say the same, without the newline; gone once somebody has changed it.
    line: Option<&'a [u8]>,
    held: Held<'a>,
}

#[derive(Debug)]
enum Held<'a> {
    /// It is all in the line.
    Flat(Flat<'a>),
    Record(Box<Record>),
    /// No record: what a jq filter gave.
    Value(Value),
}

impl<'a> Item<'a> {
    /// The record in a line, read in the cheapest way that does.
    ///
    /// # Errors
    /// serde_json's, with the column, where there is no record.
    pub(crate) fn read(scanner: &'a mut Scanner, line: &'a [u8]) -> Result<Self, serde_json::Error> {
        match scanner.scan(line) {
            Some(flat) => Ok(Self { line: Some(line), held: Held::Flat(flat) }),
            None => Self::read_whole(line),
        }
    }

    /// The same, whatever the line looks like.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_whole(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        Ok(Self { line: Some(line), held: Held::Record(Box::new(Record::from_line(line)?)) })
    }

    /// What stands in a line that we have written, be it a record or another value.
    pub(crate) fn read_any(scanner: &'a mut Scanner, line: &'a [u8]) -> Self {
        let whole = || Record::from_line(line).map(|record| Held::Record(Box::new(record)));
        let any = || serde_json::from_slice(line).map(Held::Value).expect("we have written it");
        let held = scanner.scan(line).map(Held::Flat).unwrap_or_else(|| whole().unwrap_or_else(|_| any()));
        Self { line: Some(line), held }
    }

    /// A value that a jq filter gave: a record when it has the name of an event.
    pub(crate) fn of_value(value: Value) -> Self {
        let record =
            value.get("eventname").and_then(|_| Record::from_line(value.to_string().as_bytes()).ok());
        let held = record.map_or(Held::Value(value), |record| Held::Record(Box::new(record)));
        Item { line: None, held }
    }

    /// The record, taken apart; `None` for what is none.
    pub(crate) fn record(&self) -> Option<Cow<'_, Record>> {
        match &self.held {
            Held::Flat(_) => {
                let line = self.line.expect("a flat record stands in its line");
                Some(Cow::Owned(Record::from_line(line).expect("what is flat is a record")))
            }
            Held::Record(record) => Some(Cow::Borrowed(record)),
            Held::Value(_) => None,
        }
    }

    /// The record, to be changed; `None` for what is none.
    pub(crate) fn change(&mut self) -> Option<&mut Record> {
        if let Held::Flat(_) = self.held {
            self.held = Held::Record(Box::new(self.record()?.into_owned()));
        }
        self.line = None;
        match &mut self.held {
            Held::Record(record) => Some(record),
            Held::Flat(_) | Held::Value(_) => None,
        }
    }

    /// What it is when it is no record.
    pub(crate) fn value(&self) -> Option<&Value> {
        match &self.held {
            Held::Value(value) => Some(value),
            Held::Flat(_) | Held::Record(_) => None,
        }
    }

    /// Appends it as JSON, newline included: its own bytes where it was not changed.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        match (self.line, &self.held) {
            (Some(line), _) => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            (None, Held::Record(record)) => record.write_line(out),
            (None, Held::Value(value)) => out.extend_from_slice(format!("{value}\n").as_bytes()),
            (None, Held::Flat(_)) => unreachable!("a flat record stands in its line"),
        }
    }
}

impl From<Record> for Item<'_> {
    fn from(record: Record) -> Self {
        Self { line: None, held: Held::Record(Box::new(record)) }
    }
}

impl Fields for Item<'_> {
    fn get(&self, key: &str) -> Option<Field<'_>> {
        match &self.held {
            Held::Flat(flat) => flat.get(key),
            Held::Record(record) => record.get(key),
            Held::Value(value) => value.get(key).map(Field::from),
        }
    }

    fn each<'s>(&'s self, give: &mut dyn FnMut(&'s str, Field<'s>)) {
        match &self.held {
            Held::Flat(flat) => flat.each(give),
            Held::Record(record) => record.each(give),
            Held::Value(value) => {
                let members = value.as_object().into_iter().flatten();
                members.for_each(|(key, value)| give(key, value.into()));
            }
        }
    }

    fn eventname(&self) -> Cow<'_, str> {
        match &self.held {
            Held::Flat(flat) => flat.eventname(),
            Held::Record(record) => record.eventname.as_str().into(),
            Held::Value(_) => self.text("eventname").unwrap_or_default(),
        }
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        match &self.held {
            Held::Flat(flat) => flat.body(),
            Held::Record(record) => record.body(),
            Held::Value(_) => None,
        }
    }

    fn body_in<'s>(&'s self, memory: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        match &self.held {
            Held::Flat(flat) => flat.body_in(memory),
            Held::Record(record) => record.body_in(memory),
            Held::Value(_) => None,
        }
    }
}

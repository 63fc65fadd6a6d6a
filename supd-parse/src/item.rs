//! What goes through the filters: a record, as it stands in its line for as long as nobody changes it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io::Write as _;

use serde_json::Value;
use supd_core::Record;
use supd_core::fields::{Field, Fields};
use supd_core::flat::{Flat, Scanner};

use crate::track::Added;

/// One record, or what `--jq` made of one.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// The bytes that say the same, without the newline; gone once somebody has changed it.
    line: Option<&'a [u8]>,
    /// Not yet there where the line has not been read, because nobody has looked.
    held: OnceCell<Held<'a>>,
    /// What was added to a flat record, to go at the end of its line.
    added: Option<Added>,
    /// The serial of the problem that a flat record ends, to go after that.
    resolves: Option<u64>,
}

/// The key under which the serial of the problem stands that a record ends.
const RESOLVES: &str = "resolves";

#[derive(Debug)]
enum Held<'a> {
    /// It is all in the line.
    Flat(Flat<'a>),
    Record(Box<Record>),
    /// No record: what a jq filter gave.
    Value(Value),
}

impl Held<'_> {
    fn of_written(line: &[u8]) -> Self {
        match Record::from_line(line) {
            Ok(record) => Self::Record(Box::new(record)),
            // Deeper, or a larger number, than can be read: what a filter made is shown as it is written.
            Err(_) => Self::Value(serde_json::from_slice(line).unwrap_or_else(|_| as_text(line))),
        }
    }
}

fn as_text(line: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(line).into_owned())
}

impl<'a> Item<'a> {
    /// The record in a line, read in the cheapest way that does.
    ///
    /// # Errors
    /// serde_json's, with the column, where there is no record.
    pub(crate) fn read(scanner: &'a mut Scanner, line: &'a [u8]) -> Result<Self, serde_json::Error> {
        match scanner.scan(line) {
            Some(flat) => {
                Ok(Self { line: Some(line), held: Held::Flat(flat).into(), added: None, resolves: None })
            }
            None => Self::read_whole(line),
        }
    }

    /// The same, whatever the line looks like.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_whole(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        let record = Box::new(Record::from_line(line)?);
        Ok(Self { line: Some(line), held: Held::Record(record).into(), added: None, resolves: None })
    }

    /// What stands in a line that we have written, be it a record or another value.
    pub(crate) fn read_any(scanner: &'a mut Scanner, line: &'a [u8]) -> Self {
        let held = scanner.scan(line).map_or_else(|| Held::of_written(line), Held::Flat);
        Self { line: Some(line), held: held.into(), added: None, resolves: None }
    }

    /// What stands in a line that we have written, be it a record or another value; most forms only copy it.
    #[cfg_attr(not(feature = "jq"), expect(dead_code, reason = "only a jq filter writes such lines"))]
    pub(crate) fn written(line: &'a [u8]) -> Self {
        Self { line: Some(line), held: OnceCell::new(), added: None, resolves: None }
    }

    fn held(&self) -> &Held<'a> {
        self.held.get_or_init(|| Held::of_written(self.line.expect("what was not read stands in its line")))
    }

    /// The record as it stands in its line, where it does.
    #[cfg_attr(not(feature = "jq"), expect(dead_code, reason = "only a jq filter asks"))]
    pub(crate) fn flat(&self) -> Option<(&'a [u8], &Flat<'a>)> {
        match self.held() {
            Held::Flat(flat) if self.added.is_none() && self.resolves.is_none() => Some((self.line?, flat)),
            _ => None,
        }
    }

    /// The record, taken apart; `None` for what is none.
    pub(crate) fn record(&self) -> Option<Cow<'_, Record>> {
        match self.held() {
            Held::Flat(_) => {
                let line = self.line.expect("a flat record stands in its line");
                let mut record = Record::from_line(line).expect("what is flat is a record");
                self.added.into_iter().for_each(|added| added.replace_in(&mut record.extra));
                record.extra.extend(self.resolves.map(|serial| (RESOLVES.to_owned(), serial.into())));
                Some(Cow::Owned(record))
            }
            Held::Record(record) => Some(Cow::Borrowed(record)),
            Held::Value(_) => None,
        }
    }

    /// The record, to be changed; `None` for what is none.
    pub(crate) fn change(&mut self) -> Option<&mut Record> {
        if let Held::Flat(_) = self.held() {
            self.held = Held::Record(Box::new(self.record()?.into_owned())).into();
            (self.added, self.resolves) = (None, None);
        }
        self.line = None;
        match self.held.get_mut() {
            Some(Held::Record(record)) => Some(record),
            _ => None,
        }
    }

    /// Adds what `--track` knows, instead of what stands under these keys. A flat record keeps its line.
    pub(crate) fn add(&mut self, added: Added) {
        let mut has_key = false;
        if let Held::Flat(flat) = self.held() {
            flat.each(&mut |key, _| has_key |= Added::has_key(key));
            if !has_key {
                self.added = Some(added);
                return;
            }
        }
        if let Some(record) = self.change() {
            added.replace_in(&mut record.extra);
        }
    }

    /// Adds the serial of the problem that it ends. A flat record keeps its line.
    pub(crate) fn resolve(&mut self, serial: u64) {
        if let Held::Flat(flat) = self.held()
            && flat.get(RESOLVES).is_none()
        {
            self.resolves = Some(serial);
        } else if let Some(record) = self.change() {
            record.extra.insert(RESOLVES.into(), serial.into());
        }
    }

    /// What it is when it is no record.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self.held() {
            Held::Value(value) => Some(value),
            Held::Flat(_) | Held::Record(_) => None,
        }
    }

    /// Appends it as JSON, newline included: its own bytes where it was not changed.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        match self.line {
            // Only a flat record has something added.
            Some(line) if self.added.is_some() || self.resolves.is_some() => {
                out.extend_from_slice(&line[..line.len() - 1]);
                self.added.iter().for_each(|added| added.write(out));
                if let Some(serial) = self.resolves {
                    let _ = write!(out, ",\"{RESOLVES}\":{serial}");
                }
                out.extend_from_slice(b"}\n");
            }
            Some(line) => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            None => match self.held() {
                Held::Record(record) => record.write_line(out),
                Held::Value(value) => out.extend_from_slice(format!("{value}\n").as_bytes()),
                Held::Flat(_) => unreachable!("a flat record stands in its line"),
            },
        }
    }
}

impl From<Record> for Item<'_> {
    fn from(record: Record) -> Self {
        Self { line: None, held: Held::Record(Box::new(record)).into(), added: None, resolves: None }
    }
}

impl Fields for Item<'_> {
    fn get(&self, key: &str) -> Option<Field<'_>> {
        match self.held() {
            Held::Flat(flat) => match self.added {
                Some(added) if Added::has_key(key) => added.get(key),
                _ if key == RESOLVES && self.resolves.is_some() => self.resolves.map(Field::Number),
                _ => flat.get(key),
            },
            Held::Record(record) => record.get(key),
            Held::Value(value) => value.get(key).map(Field::from),
        }
    }

    fn each<'s>(&'s self, give: &mut dyn FnMut(&'s str, Field<'s>)) {
        match self.held() {
            Held::Flat(flat) => {
                flat.each(give);
                self.added.into_iter().for_each(|added| added.each(give));
                self.resolves.into_iter().for_each(|serial| give(RESOLVES, Field::Number(serial)));
            }
            Held::Record(record) => record.each(give),
            Held::Value(value) => {
                let members = value.as_object().into_iter().flatten();
                members.for_each(|(key, value)| give(key, value.into()));
            }
        }
    }

    fn eventname(&self) -> Cow<'_, str> {
        match self.held() {
            Held::Flat(flat) => flat.eventname(),
            Held::Record(record) => record.eventname.as_str().into(),
            Held::Value(_) => self.text("eventname").unwrap_or_default(),
        }
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        match self.held() {
            Held::Flat(flat) => flat.body(),
            Held::Record(record) => record.body(),
            Held::Value(_) => None,
        }
    }

    fn body_in<'s>(&'s self, memory: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        match self.held() {
            Held::Flat(flat) => flat.body_in(memory),
            Held::Record(record) => record.body_in(memory),
            Held::Value(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use supd_core::State;

    use super::*;

    fn added() -> Added {
        Added { state: Some(State::Running), restarts: Some(2), ..Added::default() }
    }

    /// The line of a record to which something was added, after what it says was asked of it in every way.
    fn with_added(line: &str) -> String {
        let mut scanner = Scanner::default();
        let mut item = Item::read(&mut scanner, line.as_bytes()).unwrap();
        item.add(added());
        item.resolve(7);
        let mut out = Vec::new();
        item.write_line(&mut out);
        let read_back: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(serde_json::to_value(&*item.record().unwrap()).unwrap(), read_back);
        let mut fields = 0;
        item.each(&mut |key, field| {
            assert_eq!(
                (Some(&field), &field),
                (item.get(key).as_ref(), &Field::from(&read_back[key])),
                "{key}"
            );
            fields += 1;
        });
        assert_eq!(fields, read_back.as_object().unwrap().len());
        assert!(item.get("uptime").is_none());
        item.change().unwrap();
        let mut again = Vec::new();
        item.write_line(&mut again);
        assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), read_back);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_added_goes_to_the_end_of_the_line_and_replaces_what_stood_there() {
        let end = r#""state":"RUNNING","restarts":2,"resolves":7}"#;
        for (line, expected) in [
            (r#"{"eventname":"X","pid":1}"#, r#"{"eventname":"X","pid":1,"#),
            (r#"{"eventname":"X","note":"\u0041"}"#, r#"{"eventname":"X","note":"\u0041","#),
            (r#"{"eventname":"X","uptime":1,"note":3}"#, r#"{"eventname":"X","note":3,"#),
            (r#"{ "pid":1, "restarts":"x", "eventname":"X" }"#, r#"{"eventname":"X","pid":1,"#),
        ] {
            assert_eq!(with_added(line), format!("{expected}{end}\n"));
        }
    }
}

//! A record read where it stands: its keys and values are slices of its line, and nothing is allocated for it.
//!
//! Only lines as our own programs write them are read so: known keys in their order, then others, no spaces, plain
//! values. Whatever looks otherwise is left to [`Record::from_line`](crate::record::Record::from_line), which reads
//! everything; where both read a line, they say the same.

mod cursor;
mod order;

use std::borrow::Cow;

use crate::fields::{Field, Fields};
use crate::json::unescape;

use cursor::{Cursor, Shape, Span, span};
use order::{EVENTNAME, OTHER, Order, place_of};

/// More keys than any event has.
const MAX_MEMBERS: usize = 64;

/// Finds the members of lines, one line after another, in memory of its own.
#[derive(Debug)]
pub struct Scanner {
    members: Vec<Member>,
    slots: Slots,
}

/// Which member has the key at this place among ours.
type Slots = [u8; OTHER];

const NO_MEMBER: u8 = u8::MAX;

/// Where a key and its value stand in the line, quotes left out.
#[derive(Debug, Clone, Copy)]
struct Member {
    key: Span,
    value: Span,
    shape: Shape,
}

/// A record in its line.
#[derive(Debug, Clone, Copy)]
pub struct Flat<'a> {
    line: &'a str,
    members: &'a [Member],
    slots: &'a Slots,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { members: Vec::new(), slots: [NO_MEMBER; OTHER] }
    }
}

impl Scanner {
    /// The record in this line (no newline at its end), if it is written in the plain way.
    pub fn scan<'a>(&'a mut self, line: &'a [u8]) -> Option<Flat<'a>> {
        let line = str::from_utf8(line).ok().filter(|line| u32::try_from(line.len()).is_ok())?;
        self.find_members(line.as_bytes())?;
        Some(Flat { line, members: &self.members, slots: &self.slots })
    }

    fn find_members(&mut self, line: &[u8]) -> Option<()> {
        self.members.clear();
        self.slots = [NO_MEMBER; OTHER];
        let mut cursor = Cursor { line, at: 0 };
        let mut order = Order::default();
        cursor.take(b'{')?;
        loop {
            let (key, place) = cursor.key(order.next)?;
            let (value, shape) = cursor.value()?;
            order.admit(place, &line[span(value)], shape)?;
            let is_twice = || place == OTHER && self.is_known(&line[span(key)], line);
            if self.members.len() == MAX_MEMBERS || is_twice() {
                return None;
            }
            if let Some(slot) = self.slots.get_mut(place) {
                // There are fewer than a byte can count.
                *slot = self.members.len() as u8;
            }
            self.members.push(Member { key, value, shape });
            match cursor.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        (cursor.at == line.len() && order.has_name).then_some(())
    }

    fn is_known(&self, key: &[u8], line: &[u8]) -> bool {
        self.members.iter().any(|member| &line[span(member.key)] == key)
    }
}

impl<'a> Flat<'a> {
    fn field(&self, member: &Member) -> Field<'a> {
        let value = &self.line[span(member.value)];
        match member.shape {
            Shape::Plain => Field::Text(value.into()),
            Shape::Escaped => {
                let mut text = Vec::with_capacity(value.len());
                unescape(value, &mut text);
                Field::Text(Cow::Owned(String::from_utf8(text).expect("the line is UTF-8")))
            }
            Shape::Number => Field::Number(number(value)),
            Shape::Fraction => Field::Json(value.into()),
            Shape::True => Field::Flag(true),
            Shape::False => Field::Flag(false),
        }
    }

    fn find(&self, key: &str) -> Option<&'a Member> {
        match self.slots.get(place_of(key.as_bytes())) {
            Some(&slot) => self.members.get(usize::from(slot)),
            None => self.members.iter().find(|member| self.line[span(member.key)] == *key),
        }
    }

    /// As [`Fields::get`], for as long as the line lives.
    pub fn member(&self, key: &str) -> Option<Field<'a>> {
        Some(self.field(self.find(key)?))
    }
}

fn number(digits: &str) -> u64 {
    digits.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

impl Fields for Flat<'_> {
    fn get(&self, key: &str) -> Option<Field<'_>> {
        self.member(key)
    }

    fn each<'s>(&'s self, give: &mut dyn FnMut(&'s str, Field<'s>)) {
        for member in self.members {
            give(&self.line[span(member.key)], self.field(member));
        }
    }

    fn eventname(&self) -> Cow<'_, str> {
        let member = &self.members[usize::from(self.slots[EVENTNAME])];
        self.field(member).text().unwrap_or_default()
    }

    fn body_in<'s>(&'s self, memory: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        let member = self.find("data")?;
        let text = &self.line[span(member.value)];
        match member.shape {
            Shape::Plain => Some(text.as_bytes()),
            Shape::Escaped => {
                memory.clear();
                unescape(text, memory);
                Some(memory)
            }
            _ => None,
        }
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self.member("data")?.text()? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{KEYS, Record};

    /// Whether the line is read where it stands; if so, it says what the record says.
    fn is_flat(line: &str) -> bool {
        let mut scanner = Scanner::default();
        let Some(flat) = scanner.scan(line.as_bytes()) else { return false };
        let record = Record::from_line(line.as_bytes()).unwrap();
        let mut fields = Vec::new();
        flat.each(&mut |key, field| fields.push((key.to_owned(), format!("{field:?}"))));
        let mut expected = Vec::new();
        record.each(&mut |key, field| expected.push((key.to_owned(), format!("{field:?}"))));
        fields.sort();
        expected.sort();
        assert_eq!(fields, expected, "{line}");
        for key in KEYS.into_iter().chain(fields.iter().map(|(key, _)| key.as_str())) {
            assert_eq!(flat.get(key), record.get(key), "{key} of {line}");
        }
        assert_eq!(flat.body_in(&mut Vec::new()), record.body().as_deref(), "{line}");
        assert_eq!((flat.body(), flat.kind()), (record.body(), record.kind()), "{line}");
        true
    }

    #[test]
    fn what_our_programs_write_is_read_where_it_stands() {
        for line in [
            r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","seq":3,"server":"s","serial":21,"eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":2766,"downtime":3.25,"resolves":7}"#,
            r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"caf\u00e9 é","data":"a\n\u001b[31m\"x\"\/"}"#,
            r#"{"serial":"5","eventname":"X","expected":1,"pid":1.5}"#,
        ] {
            assert!(is_flat(line), "{line}");
        }
    }

    #[test]
    fn what_looks_otherwise_is_left_to_the_other_reader() {
        for line in [
            "",
            "{}",
            "{",
            r#"{"eventname":"X"} "#,
            r#"{"eventname": "X"}"#,
            r#"{"eventname":"X","ts":"1"}"#,
            r#"{"eventname":"X","eventname":"Y"}"#,
            r#"{"eventname":"X","note":1,"note":2}"#,
            r#"{"eventname":"X","note":1,"pid":2}"#,
            r#"{"eventname":"X","p\u0069d":1}"#,
            r#"{"eventname":"X","pid":null}"#,
            r#"{"eventname":"X","pid":-1}"#,
            r#"{"eventname":"X","pid":01}"#,
            r#"{"eventname":"X","pid":18446744073709551615}"#,
            r#"{"eventname":"X","note":1e3}"#,
            r#"{"eventname":"X","note":1.50}"#,
            r#"{"eventname":"X","note":{"a":1}}"#,
            r#"{"eventname":"X","data":""}"#,
            r#"{"eventname":"X","data":"y","data_b64":"//4="}"#,
            r#"{"eventname":"X","note":"\ud83d\ude00"}"#,
            r#"{"eventname":"X","note":"\x"}"#,
            r#"{"eventname":"X","note":"\u00g0"}"#,
            r#"{"eventname":"X","note":"y}"#,
            r#"{"eventname":"X","note":tru}"#,
            "{\"eventname\":\"X\",\"note\":\"a\tb\"}",
        ] {
            assert!(!is_flat(line), "{line}");
        }
    }
}

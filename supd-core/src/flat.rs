//! A record read where it stands: its keys and values are slices of its line, and nothing is allocated for it.
//!
//! Only lines as our own programs write them are read so: known keys in their order, then others, no spaces, plain
//! values. Whatever looks otherwise is left to [`Record::from_line`](crate::record::Record::from_line), which reads
//! everything; where both read a line, they say the same.

use std::borrow::Cow;

use crate::fields::{Field, Fields};
use crate::json::{plain_run, unescape};
use crate::record::KEYS;

/// More keys than any event has.
const MAX_MEMBERS: usize = 64;
/// Digits that every 64-bit number has room for.
const MAX_DIGITS: usize = 19;
/// Digits of a fraction that are the same in every way of writing it.
const MAX_FRACTION: (usize, usize) = (12, 3);

/// Finds the members of lines, one line after another, in memory of its own.
#[derive(Debug, Default)]
pub struct Scanner {
    members: Vec<Member>,
    /// Which of them is the event's name.
    eventname: usize,
}

/// Where a key and its value stand in the line, quotes left out.
#[derive(Debug, Clone, Copy)]
struct Member {
    key: (u32, u32),
    value: (u32, u32),
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Escaped,
    Number,
    Fraction,
    True,
    False,
}

/// A record in its line.
#[derive(Debug, Clone, Copy)]
pub struct Flat<'a> {
    line: &'a str,
    members: &'a [Member],
    eventname: &'a Member,
}

impl Scanner {
    /// The record in this line (no newline at its end), if it is written in the plain way.
    pub fn scan<'a>(&'a mut self, line: &'a [u8]) -> Option<Flat<'a>> {
        let line = str::from_utf8(line).ok().filter(|line| u32::try_from(line.len()).is_ok())?;
        self.find_members(line.as_bytes())?;
        Some(Flat { line, members: &self.members, eventname: &self.members[self.eventname] })
    }

    fn find_members(&mut self, line: &[u8]) -> Option<()> {
        self.members.clear();
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
            if place == EVENTNAME {
                self.eventname = self.members.len();
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

fn span((from, to): (u32, u32)) -> std::ops::Range<usize> {
    from as usize..to as usize
}

/// The place of a key among [`KEYS`].
const fn place(key: &str) -> usize {
    let mut place = 0;
    while place < KEYS.len() {
        if spelled(KEYS[place]).bits == spelled(key).bits {
            return place;
        }
        place += 1;
    }
    panic!("this is no key");
}

const EVENTNAME: usize = place("eventname");
const HEADER: usize = place("header");
const DATA: usize = place("data");
const DATA_B64: usize = place("data_b64");
const TRUNCATED: usize = place("truncated");
/// The place of all keys that are not ours: behind those that are.
const OTHER: usize = KEYS.len();

/// A key as it stands in a line, with its quotes and its colon. All of ours fit into one number, so that a line is
/// compared with them in a step each.
#[derive(Clone, Copy)]
struct Spelled {
    bits: u128,
    mask: u128,
    length: usize,
}

const SPELLED: [Spelled; KEYS.len()] = {
    let mut all = [spelled(""); KEYS.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = spelled(KEYS[place]);
        place += 1;
    }
    all
};

const fn spelled(key: &str) -> Spelled {
    let (mut bytes, mut mask) = ([0; 16], [0; 16]);
    let length = key.len() + 3;
    let mut at = 0;
    while at < length {
        bytes[at] = match at {
            0 => b'"',
            _ if at <= key.len() => key.as_bytes()[at - 1],
            _ if at == key.len() + 1 => b'"',
            _ => b':',
        };
        mask[at] = 0xFF;
        at += 1;
    }
    Spelled { bits: u128::from_le_bytes(bytes), mask: u128::from_le_bytes(mask), length }
}

/// Holds a line to the order of the keys.
#[derive(Default)]
struct Order {
    /// Keys before this one have been, or will not be.
    next: usize,
    has_name: bool,
}

impl Order {
    fn admit(&mut self, place: usize, value: &[u8], shape: Shape) -> Option<()> {
        if place < self.next {
            return None;
        }
        // Another program's keys come last, in any number.
        self.next = if place == OTHER { OTHER } else { place + 1 };
        match place {
            EVENTNAME => self.has_name = matches!(shape, Shape::Plain | Shape::Escaped),
            // What has a meaning of its own, or none, is not for us.
            DATA if value.is_empty() => return None,
            HEADER | DATA_B64 | TRUNCATED => return None,
            _ => {}
        }
        Some(())
    }
}

/// Goes through a line.
struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.line.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn from(&self, start: usize) -> (u32, u32) {
        // The line was measured.
        (start as u32, self.at as u32)
    }

    /// A key, with its place; one of ours that stands before `next` is found in the slower way, and refused then.
    fn key(&mut self, next: usize) -> Option<((u32, u32), usize)> {
        let start = self.at;
        let ahead = self.line[start..].first_chunk().map(|bytes| u128::from_le_bytes(*bytes));
        let stands =
            |place: &usize| ahead.is_some_and(|ahead| ahead & SPELLED[*place].mask == SPELLED[*place].bits);
        let Some(place) = (next..KEYS.len()).find(stands) else { return self.other_key() };
        self.at += SPELLED[place].length;
        Some((((start + 1) as u32, (self.at - 2) as u32), place))
    }

    /// A key that is not ours, or stands at the very end or out of order.
    fn other_key(&mut self) -> Option<((u32, u32), usize)> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain_run(&self.line[start..]);
        let key = self.from(start);
        self.take(b'"')?;
        self.take(b':')?;
        let place = KEYS.iter().position(|known| known.as_bytes() == &self.line[span(key)]);
        Some((key, place.unwrap_or(OTHER)))
    }

    fn value(&mut self) -> Option<((u32, u32), Shape)> {
        let start = self.at;
        let (word, shape) = match self.line.get(start)? {
            b'"' => return self.string(),
            b'0'..=b'9' => return self.number(),
            b't' => (&b"true"[..], Shape::True),
            b'f' => (&b"false"[..], Shape::False),
            _ => return None,
        };
        self.at += word.len();
        self.line[start..].starts_with(word).then(|| (self.from(start), shape))
    }

    fn string(&mut self) -> Option<((u32, u32), Shape)> {
        self.take(b'"')?;
        let start = self.at;
        let mut shape = Shape::Plain;
        loop {
            self.at += plain_run(&self.line[self.at..]);
            let end = self.from(start);
            match self.next()? {
                b'"' => return Some((end, shape)),
                b'\\' => shape = self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<Shape> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' => {
                let digits = self.line.get(self.at..self.at + 4)?;
                // Halves of a character are not for us.
                let is_half = matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                if is_half || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 4;
            }
            _ => return None,
        }
        Some(Shape::Escaped)
    }

    fn digits(&mut self) -> usize {
        let rest = &self.line[self.at..];
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += digits;
        digits
    }

    fn number(&mut self) -> Option<((u32, u32), Shape)> {
        let start = self.at;
        let whole = self.digits();
        if self.line[start] == b'0' && whole > 1 || whole > MAX_DIGITS {
            return None;
        }
        match self.line.get(self.at)? {
            b'.' => {}
            b'e' | b'E' => return None,
            _ => return Some((self.from(start), Shape::Number)),
        }
        self.at += 1;
        let fraction = self.digits();
        let (most_whole, most_fraction) = MAX_FRACTION;
        let is_plain = whole <= most_whole && (1..=most_fraction).contains(&fraction);
        let is_shortest = self.line[self.at - 1] != b'0';
        let ends = matches!(self.line.get(self.at), Some(b',' | b'}'));
        (is_plain && is_shortest && ends).then(|| (self.from(start), Shape::Fraction))
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
        self.members.iter().find(|member| self.line[span(member.key)] == *key)
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
        self.field(self.eventname).text().unwrap_or_default()
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
    use crate::record::Record;

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

//! Goes through a line that is JSON written in the plain way.

use super::order;
use crate::json::plain_run;

/// Digits that every 64-bit number has room for.
const MAX_DIGITS: usize = 19;
/// Digits of a fraction that are the same in every way of writing it.
const MAX_FRACTION: (usize, usize) = (12, 3);

/// From here to there in a line.
pub(super) type Span = (u32, u32);

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Plain,
    Escaped,
    Number,
    Fraction,
    True,
    False,
}

/// The same as a slice takes it.
pub(super) fn span((from, to): Span) -> std::ops::Range<usize> {
    from as usize..to as usize
}

/// Goes through a line.
pub(super) struct Cursor<'a> {
    pub(super) line: &'a [u8],
    pub(super) at: usize,
}

impl Cursor<'_> {
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.line.get(self.at).copied();
        self.at += 1;
        byte
    }

    pub(super) fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn from(&self, start: usize) -> Span {
        // The line was measured.
        (start as u32, self.at as u32)
    }

    /// A key, with its place; one of ours that stands before `next` is found in the slower way, and refused then.
    pub(super) fn key(&mut self, next: usize) -> Option<(Span, usize)> {
        let start = self.at as u32;
        let Some((place, length)) = order::key_ahead(&self.line[self.at..], next) else {
            return self.other_key();
        };
        self.at += length;
        Some(((start + 1, self.at as u32 - 2), place))
    }

    /// A key that is not ours, or stands at the very end or out of order.
    fn other_key(&mut self) -> Option<(Span, usize)> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain_run(&self.line[start..]);
        let key = self.from(start);
        self.take(b'"')?;
        self.take(b':')?;
        Some((key, order::place_of(&self.line[span(key)])))
    }

    /// A value, without its quotes.
    pub(super) fn value(&mut self) -> Option<(Span, Shape)> {
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

    fn string(&mut self) -> Option<(Span, Shape)> {
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

    fn number(&mut self) -> Option<(Span, Shape)> {
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

//! The listener's ear: bytes in at any cut, events out.
//!
//! ```text
//! Header --header line--> Payload --len reached--> Header
//! ```
//!
//! The difficulty is `len`, which counts characters or bytes depending on who sends. Up to the `len`th byte both
//! readings agree, and for ASCII that is the end. Otherwise, in order: what the caller said or what was learned for
//! this event's name; bytes that are not UTF-8 were counted as bytes; and then
//! - live, where nothing comes after an event until it is answered: more bytes mean characters, and a second of
//!   silence ([`Decoder::settle`]) means bytes;
//! - in a stored capture: the reading that ends at a header or at the end of the file.

use std::collections::HashMap;

use crate::event::{Event, Payload};
use crate::wire::{Header, LenUnit, MAX_HEADER, ProtocolError};

/// How much of a payload is kept unless somebody says otherwise.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// How to read `len`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LenMode {
    /// Find out, and remember by event name.
    #[default]
    Auto,
    /// Characters: supervisord under Python 3.
    Chars,
    /// Bytes: supervisord in Go.
    Bytes,
}

/// What [`Decoder::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every one is an event, which a box would only slow down"
)]
pub enum Decoded {
    /// A whole event, and the unit in which its `len` was counted.
    Event(Event, LenUnit),
    /// Bytes before a header that belong to the payload before: `len` had been read in the wrong unit.
    Stray {
        /// How many bytes were skipped.
        bytes: usize,
        /// The event that ended too early.
        eventname: String,
    },
}

/// Turns the bytes of supervisord's pipe, or of a capture of it, into events.
#[derive(Debug)]
pub struct Decoder {
    mode: LenMode,
    stored: bool,
    max_payload: usize,
    learned: HashMap<String, LenUnit>,
    buf: Vec<u8>,
    /// How much of `buf` has been used up.
    pos: usize,
    partial: Option<Partial>,
    /// The event before, to name it when it turns out to have been cut.
    last: Option<String>,
    ended: bool,
}

impl Decoder {
    /// For a pipe on which the other side waits for an answer after each event.
    /// Of a payload, at most `max_payload` bytes are kept.
    pub fn live(mode: LenMode, max_payload: usize) -> Self {
        Self::new(mode, max_payload, false)
    }

    /// For bytes that were stored, in which the next event follows at once.
    pub fn stored(mode: LenMode, max_payload: usize) -> Self {
        Self::new(mode, max_payload, true)
    }

    fn new(mode: LenMode, max_payload: usize, stored: bool) -> Self {
        Self {
            mode,
            stored,
            max_payload,
            learned: HashMap::new(),
            buf: Vec::new(),
            pos: 0,
            partial: None,
            last: None,
            ended: false,
        }
    }

    /// Takes the next bytes, however they were cut.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.pos == self.buf.len() {
            self.buf.clear();
            self.pos = 0;
        } else if self.pos > MAX_HEADER {
            self.buf.drain(..self.pos);
            self.pos = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// No more bytes will come.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether a payload may be whole and only silence can tell: if nothing comes for a second, [`Self::settle`].
    pub fn is_undecided(&self) -> bool {
        let on_the_byte = |partial: &Partial| partial.is_ambiguous() && partial.bytes == partial.header.len;
        !self.stored && self.mode == LenMode::Auto && self.partial.as_ref().is_some_and(on_the_byte)
    }

    /// A second of silence has passed: what was undecided was counted in bytes.
    pub fn settle(&mut self) -> Option<Decoded> {
        if !self.is_undecided() {
            return None;
        }
        self.complete(LenUnit::Bytes)
    }

    /// The next event, `None` when more bytes are needed (or, once finished, when all were used up).
    ///
    /// # Errors
    /// [`ProtocolError`] when the bytes are no event; the decoder cannot go on after that.
    #[expect(
        clippy::should_implement_trait,
        reason = "None means 'not yet', an iterator's means 'never again'"
    )]
    pub fn next(&mut self) -> Result<Option<Decoded>, ProtocolError> {
        if self.partial.is_none() {
            match self.stray()? {
                Some(0) => {}
                Some(bytes) => return Ok(Some(self.skip(bytes))),
                None => return Ok(None),
            }
            let Some(header) = self.take_header()? else {
                return Ok(None);
            };
            self.partial = Some(Partial::new(header));
        }
        self.take_payload()
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    fn take_header(&mut self) -> Result<Option<Header>, ProtocolError> {
        let rest = &self.buf[self.pos..];
        // Something else than a header shows at its first bytes; on a live pipe its newline may never come.
        let beginning = &rest[..rest.len().min(4)];
        if !b"ver:".starts_with(beginning) {
            let line = rest.split(|&byte| byte == b'\n').next().unwrap_or(rest);
            return Err(ProtocolError::header(line, "it does not begin with 'ver:'"));
        }
        let Some(newline) = memchr::memchr(b'\n', rest) else {
            return match rest.len() {
                0 => Ok(None),
                MAX_HEADER.. => Err(ProtocolError::header(
                    rest,
                    format!("no end within {MAX_HEADER} bytes"),
                )),
                _ if self.ended => Err(ProtocolError::CutShort {
                    what: "header".into(),
                }),
                _ => Ok(None),
            };
        };
        let header = Header::parse(&rest[..newline])?;
        self.pos += newline + 1;
        Ok(Some(header))
    }

    /// How many bytes before the next header belong to the payload before; `None` when it is not in sight.
    fn stray(&self) -> Result<Option<usize>, ProtocolError> {
        let rest = self.rest();
        if self.last.is_none() || b"ver:".starts_with(&rest[..rest.len().min(4)]) {
            return Ok(Some(0));
        }
        let mut candidates = memchr::memmem::find_iter(rest, b"ver:")
            .map(|start| (start, header_at(&rest[start..], self.ended)))
            .filter(|(_, header)| *header != Some(false));
        match candidates.next() {
            Some((start, Some(_))) => Ok(Some(start)),
            _ if self.ended || rest.len() > self.max_payload + MAX_HEADER => {
                Err(ProtocolError::header(rest, "it does not begin with 'ver:'"))
            }
            _ => Ok(None),
        }
    }

    fn skip(&mut self, bytes: usize) -> Decoded {
        self.pos += bytes;
        let eventname = self.last.clone().unwrap_or_default();
        if self.mode == LenMode::Auto {
            self.learned.insert(eventname.clone(), LenUnit::Chars);
        }
        Decoded::Stray { bytes, eventname }
    }

    fn take_payload(&mut self) -> Result<Option<Decoded>, ProtocolError> {
        let Some(partial) = self.partial.as_mut() else {
            return Ok(None);
        };
        // Both readings agree on the first `len` bytes.
        self.pos += partial.take_bytes(&self.buf[self.pos..], self.max_payload);
        if partial.bytes < partial.header.len {
            return self.wait_or_cut_short();
        }
        if !partial.is_ambiguous() {
            return Ok(self.complete(LenUnit::Chars));
        }
        match self.known_unit() {
            Some(LenUnit::Bytes) => Ok(self.complete(LenUnit::Bytes)),
            Some(LenUnit::Chars) => self.take_chars(),
            None if self.stored => match self.look_ahead() {
                Some(LenUnit::Bytes) => Ok(self.complete(LenUnit::Bytes)),
                Some(LenUnit::Chars) => self.take_chars(),
                None => Ok(None),
            },
            // Nothing comes after a live event, so whatever comes is its own.
            None if !self.rest().is_empty()
                || self.partial.as_ref().is_some_and(|p| p.bytes > p.header.len) =>
            {
                self.take_chars()
            }
            None if self.ended => Ok(self.complete(LenUnit::Bytes)),
            None => Ok(None),
        }
    }

    fn take_chars(&mut self) -> Result<Option<Decoded>, ProtocolError> {
        let Some(partial) = self.partial.as_mut() else {
            return Ok(None);
        };
        self.pos += partial.take_chars(&self.buf[self.pos..], self.max_payload);
        if partial.is_ambiguous() {
            return self.wait_or_cut_short();
        }
        Ok(self.complete(LenUnit::Chars))
    }

    fn wait_or_cut_short(&self) -> Result<Option<Decoded>, ProtocolError> {
        match &self.partial {
            Some(partial) if self.ended => Err(ProtocolError::CutShort {
                what: format!("'{}'", partial.header.eventname),
            }),
            _ => Ok(None),
        }
    }

    fn known_unit(&self) -> Option<LenUnit> {
        let partial = self.partial.as_ref()?;
        match self.mode {
            LenMode::Chars => Some(LenUnit::Chars),
            LenMode::Bytes => Some(LenUnit::Bytes),
            LenMode::Auto if partial.is_not_utf8() => Some(LenUnit::Bytes),
            // A stored capture has better evidence than memory.
            LenMode::Auto if self.stored && partial.is_whole() => None,
            LenMode::Auto => self.learned.get(&partial.header.eventname).copied(),
        }
    }

    /// Decides by what follows either reading; `None` when that has not been seen yet.
    fn look_ahead(&self) -> Option<LenUnit> {
        let partial = self.partial.as_ref()?;
        let rest = self.rest();
        let by_bytes = header_at(rest, self.ended);
        let by_chars = match partial.chars_end(rest) {
            Some(end) => header_at(&rest[end..], self.ended),
            None if self.ended => Some(false),
            None => None,
        };
        match (by_bytes?, by_chars?) {
            (true, false) => Some(LenUnit::Bytes),
            // Log text may look like a header, so where both would do, characters: nearly everyone runs Python 3.
            (_, true) | (false, false) => Some(LenUnit::Chars),
        }
    }

    fn complete(&mut self, unit: LenUnit) -> Option<Decoded> {
        let partial = self.partial.take()?;
        if partial.saw_non_ascii && self.mode == LenMode::Auto {
            self.learned.insert(partial.header.eventname.clone(), unit);
        }
        self.last = Some(partial.header.eventname.clone());
        Some(Decoded::Event(partial.into_event(), unit))
    }
}

/// Whether a header, or the end of the file, is here; `None` when more bytes are needed to tell.
fn header_at(bytes: &[u8], ended: bool) -> Option<bool> {
    if bytes.is_empty() {
        return ended.then_some(true);
    }
    if !b"ver:".starts_with(&bytes[..bytes.len().min(4)]) {
        return Some(false);
    }
    match memchr::memchr(b'\n', bytes) {
        Some(newline) => Some(Header::parse(&bytes[..newline]).is_ok()),
        None if bytes.len() > MAX_HEADER => Some(false),
        None => ended.then_some(true),
    }
}

/// An event whose payload is still coming in.
#[derive(Debug)]
struct Partial {
    header: Header,
    /// What is kept of the payload.
    kept: Vec<u8>,
    bytes: usize,
    /// Characters begun.
    chars: usize,
    /// Bytes that the character begun last still lacks.
    lacking: u8,
    saw_non_ascii: bool,
}

impl Partial {
    fn new(header: Header) -> Self {
        Self {
            header,
            kept: Vec::new(),
            bytes: 0,
            chars: 0,
            lacking: 0,
            saw_non_ascii: false,
        }
    }

    /// More characters should come if `len` counts characters.
    fn is_ambiguous(&self) -> bool {
        self.bytes >= self.header.len && (self.chars < self.header.len || self.lacking > 0)
    }

    fn is_whole(&self) -> bool {
        self.kept.len() == self.bytes
    }

    fn is_not_utf8(&self) -> bool {
        self.is_whole() && std::str::from_utf8(&self.kept).is_err_and(|error| error.error_len().is_some())
    }

    /// Takes what is left of the first `len` bytes; how many it took.
    fn take_bytes(&mut self, bytes: &[u8], max: usize) -> usize {
        let wanted = self.header.len.saturating_sub(self.bytes).min(bytes.len());
        self.take(&bytes[..wanted], max);
        wanted
    }

    /// Takes what is left of the first `len` characters; how many bytes it took.
    fn take_chars(&mut self, bytes: &[u8], max: usize) -> usize {
        let wanted = self.chars_end(bytes).unwrap_or(bytes.len());
        self.take(&bytes[..wanted], max);
        wanted
    }

    /// Where in these next bytes the payload ends if `len` counts characters.
    fn chars_end(&self, bytes: &[u8]) -> Option<usize> {
        let (mut chars, mut lacking) = (self.chars, self.lacking);
        if chars == self.header.len && lacking == 0 {
            return Some(0);
        }
        for (at, &byte) in bytes.iter().enumerate() {
            (chars, lacking) = count(byte, chars, lacking);
            if chars == self.header.len && lacking == 0 {
                return Some(at + 1);
            }
        }
        None
    }

    fn take(&mut self, bytes: &[u8], max: usize) {
        self.bytes += bytes.len();
        if self.lacking == 0 && bytes.is_ascii() {
            self.chars += bytes.len();
        } else {
            self.saw_non_ascii = true;
            for &byte in bytes {
                (self.chars, self.lacking) = count(byte, self.chars, self.lacking);
            }
        }
        let room = max.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn into_event(mut self) -> Event {
        let truncated = !self.is_whole();
        if truncated {
            // Not in the middle of a character, or text would turn into bytes.
            let text_end = match std::str::from_utf8(&self.kept) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => self.kept.len(),
            };
            self.kept.truncate(text_end);
        }
        let mut payload = Payload::parse(&self.header.eventname, &self.kept);
        payload.truncated = truncated;
        Event {
            header: self.header,
            payload,
        }
    }
}

/// Counts one more byte: characters begun, and bytes that the last of them lacks.
fn count(byte: u8, chars: usize, lacking: u8) -> (usize, u8) {
    match byte {
        0x80..=0xBF if lacking > 0 => (chars, lacking - 1),
        0xC2..=0xDF => (chars + 1, 1),
        0xE0..=0xEF => (chars + 1, 2),
        0xF0..=0xF4 => (chars + 1, 3),
        _ => (chars + 1, 0),
    }
}

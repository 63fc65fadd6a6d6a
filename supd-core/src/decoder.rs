//! The listener's ear: bytes in at any cut, events out.
//!
//! ```text
//! Header --header line--> Payload --len reached--> Header
//! ```
//!
//! The difficulty is `len`, which counts characters or bytes depending on who sends. Up to the `len`th byte both
//! readings agree, and for ASCII that is the end. Otherwise the caller may have said what is meant; bytes that are not
//! UTF-8 were counted as bytes; and then
//! - live, where nothing comes after an event until it is answered: what was learned for this event's name, or else
//!   more bytes mean characters, and a second of silence ([`Decoder::silence_means_bytes`]) means bytes;
//! - in a stored capture: the reading that ends at a header or at the end of the file.

use std::collections::HashMap;

use crate::event::{Event, Payload};
use crate::partial::Partial;
use crate::wire::{Header, LenUnit, MAX_HEADER, ProtocolError};

/// How much of a payload is kept unless somebody says otherwise.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// Of so many event names it is remembered how `len` is counted; supervisord has fewer.
const LEARNED: usize = 256;

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
    /// So much of what is left has been looked at in vain for the next header.
    passed_over: usize,
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
            passed_over: 0,
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

    /// Whether a payload may be whole and only silence can tell: if nothing comes for a second, it is time for
    /// [`Self::silence_means_bytes`].
    pub fn is_undecided(&self) -> bool {
        let on_the_byte = |partial: &Partial| {
            partial.has_all_bytes() && !partial.is_beyond_bytes() && !partial.has_all_chars()
        };
        !self.stored && self.mode == LenMode::Auto && self.partial.as_ref().is_some_and(on_the_byte)
    }

    /// Whether an event has begun and is not whole.
    pub fn is_mid_event(&self) -> bool {
        let rest = self.rest();
        // What is no beginning of a header is the end of an event before, which nobody waits for.
        self.partial.is_some() || (!rest.is_empty() && may_begin_header(rest))
    }

    /// A second of silence has passed: what was undecided was counted in bytes.
    pub fn silence_means_bytes(&mut self) -> Option<Decoded> {
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
            if self.has_whole_ascii(&header) {
                return Ok(Some(self.take_whole(header)));
            }
            self.partial = Some(Partial::new(header));
        }
        self.take_payload()
    }

    /// Whether all of the payload is here and both readings of `len` agree, as they do for nearly every event: it need
    /// not be gathered first.
    fn has_whole_ascii(&self, header: &Header) -> bool {
        header.len <= self.max_payload && self.rest().get(..header.len).is_some_and(<[u8]>::is_ascii)
    }

    fn take_whole(&mut self, header: Header) -> Decoded {
        let bytes = &self.buf[self.pos..self.pos + header.len];
        let payload = Payload::parse(&header.eventname, bytes);
        self.pos += header.len;
        self.last.get_or_insert_default().clone_from(&header.eventname);
        Decoded::Event(Event { header, payload }, LenUnit::Chars)
    }

    /// How much memory it holds, in bytes: what has come and was not used up, what is kept of a payload, and the names of
    /// events that it has learned of. It does not grow with the stream.
    pub fn held(&self) -> usize {
        let names = self.learned.keys().map(|name| name.capacity() + size_of::<(String, LenUnit)>());
        self.buf.capacity() + self.partial.as_ref().map_or(0, Partial::held) + names.sum::<usize>()
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    fn take_header(&mut self) -> Result<Option<Header>, ProtocolError> {
        let rest = &self.buf[self.pos..];
        // Something else than a header shows at its first bytes; on a live pipe its newline may never come.
        if !may_begin_header(rest) {
            let line = rest.split(|&byte| byte == b'\n').next().unwrap_or(rest);
            return Err(ProtocolError::header(line, "it does not begin with 'ver:'"));
        }
        let Some(newline) = memchr::memchr(b'\n', &rest[..rest.len().min(MAX_HEADER)]) else {
            return match rest.len() {
                0 => Ok(None),
                MAX_HEADER.. => Err(ProtocolError::header(rest, format!("no end within {MAX_HEADER} bytes"))),
                _ if self.ended => Err(ProtocolError::CutShort { what: "header".into() }),
                _ => Ok(None),
            };
        };
        let header = Header::parse(&rest[..newline])?;
        self.pos += newline + 1;
        Ok(Some(header))
    }

    /// How many bytes before the next header belong to the payload before; `None` when it is not in sight.
    fn stray(&mut self) -> Result<Option<usize>, ProtocolError> {
        const BEGINNING: &[u8] = b"ver:";
        let rest = &self.buf[self.pos..];
        if self.last.is_none() || may_begin_header(rest) {
            return Ok(Some(0));
        }
        // What is longer than any payload is none.
        let farthest = self.max_payload.saturating_add(MAX_HEADER);
        while let Some(at) = memchr::memmem::find(&rest[self.passed_over..], BEGINNING) {
            let start = self.passed_over + at;
            let end = memchr::memchr(b'\n', &rest[start..]).map_or(rest.len(), |newline| start + newline);
            if end - start >= MAX_HEADER {
                // Nor is any other header that begins so far before the line's end.
                self.passed_over = end - MAX_HEADER + 1;
                continue;
            }
            if start > farthest {
                self.passed_over = start;
                break;
            }
            match header_at(&rest[start..], self.ended) {
                Some(true) => return Ok(Some(start)),
                Some(false) => self.passed_over = start + 1,
                None => {
                    self.passed_over = start;
                    return Ok(None);
                }
            }
        }
        // Its last bytes may be the beginning of a beginning.
        self.passed_over = self.passed_over.max((rest.len() + 1).saturating_sub(BEGINNING.len()));
        if self.ended || self.passed_over > farthest {
            return Err(ProtocolError::header(rest, "it does not begin with 'ver:'"));
        }
        Ok(None)
    }

    fn skip(&mut self, bytes: usize) -> Decoded {
        self.pos += bytes;
        self.passed_over = 0;
        let eventname = self.last.clone().unwrap_or_default();
        if self.mode == LenMode::Auto {
            self.learn(eventname.clone(), LenUnit::Chars);
        }
        Decoded::Stray { bytes, eventname }
    }

    fn take_payload(&mut self) -> Result<Option<Decoded>, ProtocolError> {
        let Some(partial) = self.partial.as_mut() else {
            return Ok(None);
        };
        // Both readings agree on the first `len` bytes.
        self.pos += partial.take_bytes(&self.buf[self.pos..], self.max_payload);
        if !partial.has_all_bytes() {
            return self.wait_or_cut_short();
        }
        if partial.has_all_chars() {
            return Ok(self.complete(LenUnit::Chars));
        }
        match self.unit() {
            Some(LenUnit::Bytes) => Ok(self.complete(LenUnit::Bytes)),
            Some(LenUnit::Chars) => self.take_chars(),
            None => Ok(None),
        }
    }

    fn take_chars(&mut self) -> Result<Option<Decoded>, ProtocolError> {
        let Some(partial) = self.partial.as_mut() else {
            return Ok(None);
        };
        self.pos += partial.take_chars(&self.buf[self.pos..], self.max_payload);
        if !partial.has_all_chars() {
            return self.wait_or_cut_short();
        }
        Ok(self.complete(LenUnit::Chars))
    }

    fn wait_or_cut_short(&self) -> Result<Option<Decoded>, ProtocolError> {
        match &self.partial {
            Some(partial) if self.ended => {
                Err(ProtocolError::CutShort { what: format!("'{}'", partial.eventname()) })
            }
            _ => Ok(None),
        }
    }

    /// What `len` counts in an event that has as many bytes and lacks characters; `None` when that must show yet.
    fn unit(&mut self) -> Option<LenUnit> {
        let partial = self.partial.as_mut()?;
        let rest = &self.buf[self.pos..];
        match self.mode {
            LenMode::Chars => Some(LenUnit::Chars),
            LenMode::Bytes => Some(LenUnit::Bytes),
            LenMode::Auto if partial.is_beyond_bytes() => Some(LenUnit::Chars),
            LenMode::Auto if partial.is_kept_in_full() && !partial.is_text() => Some(LenUnit::Bytes),
            // What follows a payload that is thrown away is not kept to look at; nearly everyone runs Python 3.
            LenMode::Auto if self.stored && !partial.is_kept_in_full() => Some(LenUnit::Chars),
            LenMode::Auto if self.stored => look_ahead(partial, rest, self.ended),
            LenMode::Auto => match self.learned.get(partial.eventname()) {
                Some(unit) => Some(*unit),
                // Nothing comes after a live event, so whatever comes is its own.
                None if !rest.is_empty() => Some(LenUnit::Chars),
                None => self.ended.then_some(LenUnit::Bytes),
            },
        }
    }

    fn learn(&mut self, eventname: String, unit: LenUnit) {
        // Names beyond number are somebody's invention: what is forgotten can be learned again.
        if self.learned.len() >= LEARNED && !self.learned.contains_key(&eventname) {
            self.learned.clear();
        }
        self.learned.insert(eventname, unit);
    }

    fn complete(&mut self, unit: LenUnit) -> Option<Decoded> {
        let partial = self.partial.take()?;
        let readings_differ = partial.is_beyond_bytes() || !partial.has_all_chars();
        if readings_differ && self.mode == LenMode::Auto {
            self.learn(partial.eventname().to_owned(), unit);
        }
        self.last = Some(partial.eventname().to_owned());
        self.passed_over = 0;
        Some(Decoded::Event(partial.into_event(), unit))
    }
}

/// Decides by what follows either reading; `None` when that has not been seen yet.
fn look_ahead(partial: &mut Partial, rest: &[u8], ended: bool) -> Option<LenUnit> {
    let by_bytes = header_at(rest, ended);
    let by_chars = match partial.chars_end(rest) {
        Some(end) => header_at(&rest[end..], ended),
        None if ended => Some(false),
        None => None,
    };
    match (by_bytes?, by_chars?) {
        (true, false) => Some(LenUnit::Bytes),
        // Log text may look like a header, so where both would do, characters.
        (_, true) | (false, false) => Some(LenUnit::Chars),
    }
}

/// Whether these bytes, of which more may come, are the beginning of a header as far as they go.
pub(crate) fn may_begin_header(bytes: &[u8]) -> bool {
    b"ver:".starts_with(&bytes[..bytes.len().min(4)])
}

/// Whether a header, or the end of the file, is here; `None` when more bytes are needed to tell.
fn header_at(bytes: &[u8], ended: bool) -> Option<bool> {
    if bytes.is_empty() {
        return ended.then_some(true);
    }
    if !may_begin_header(bytes) {
        return Some(false);
    }
    match memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_HEADER)]) {
        Some(newline) => Some(Header::parse(&bytes[..newline]).is_ok()),
        None if bytes.len() >= MAX_HEADER => Some(false),
        None => ended.then_some(true),
    }
}

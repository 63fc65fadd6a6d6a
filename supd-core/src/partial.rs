//! An event whose payload is still coming in, counted in bytes and in characters at once.

use crate::event::{Event, Payload};
use crate::wire::Header;

/// A header, and what has come of its payload.
#[derive(Debug)]
pub(crate) struct Partial {
    header: Header,
    /// What is kept of the payload.
    kept: Vec<u8>,
    bytes: usize,
    count: Count,
    /// Whether what came first was UTF-8 as far as it can be told; found out once.
    is_text: Option<bool>,
    /// How far the bytes after these have been looked at for the end of the characters.
    ahead: Option<(usize, Count)>,
}

/// Characters begun, and bytes that the last of them lacks.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    chars: usize,
    lacking: u8,
}

impl Count {
    fn add(&mut self, byte: u8) {
        let (begun, lacking) = match byte {
            0x80..=0xBF if self.lacking > 0 => (0, self.lacking - 1),
            0xC2..=0xDF => (1, 1),
            0xE0..=0xEF => (1, 2),
            0xF0..=0xF4 => (1, 3),
            _ => (1, 0),
        };
        self.chars += begun;
        self.lacking = lacking;
    }

    fn add_all(&mut self, bytes: &[u8]) {
        if self.lacking == 0 && bytes.is_ascii() {
            self.chars += bytes.len();
        } else {
            bytes.iter().for_each(|&byte| self.add(byte));
        }
    }
}

impl Partial {
    pub(crate) fn new(header: Header) -> Self {
        Self { header, kept: Vec::new(), bytes: 0, count: Count::default(), is_text: None, ahead: None }
    }

    pub(crate) fn eventname(&self) -> &str {
        &self.header.eventname
    }

    /// How much memory is kept of it.
    pub(crate) fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// Whether `len` bytes have come.
    pub(crate) fn has_all_bytes(&self) -> bool {
        self.bytes >= self.header.len
    }

    /// Whether more than `len` bytes have been taken, so that characters must be meant.
    pub(crate) fn is_beyond_bytes(&self) -> bool {
        self.bytes > self.header.len
    }

    /// Whether `len` characters have come.
    pub(crate) fn has_all_chars(&self) -> bool {
        self.is_end(self.count)
    }

    /// Whether nothing of it had to be thrown away.
    pub(crate) fn is_kept_in_full(&self) -> bool {
        self.kept.len() == self.bytes
    }

    /// Whether its first bytes are UTF-8, apart from a character that is cut at their end.
    pub(crate) fn is_text(&mut self) -> bool {
        let kept = &self.kept;
        let is_text = || std::str::from_utf8(kept).map_or_else(|error| error.error_len().is_none(), |_| true);
        *self.is_text.get_or_insert_with(is_text)
    }

    /// Takes what is left of the first `len` bytes; how many it took.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8], max: usize) -> usize {
        let wanted = self.header.len.saturating_sub(self.bytes).min(bytes.len());
        self.take(&bytes[..wanted], max);
        wanted
    }

    /// Takes what is left of the first `len` characters; how many bytes it took.
    pub(crate) fn take_chars(&mut self, bytes: &[u8], max: usize) -> usize {
        let wanted = self.chars_end(bytes).unwrap_or(bytes.len());
        self.ahead = None;
        self.take(&bytes[..wanted], max);
        wanted
    }

    /// Where in the bytes after these the payload ends if `len` counts characters. The bytes may grow from call to
    /// call; what was looked at is not looked at again.
    pub(crate) fn chars_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let (mut at, mut count) = self.ahead.unwrap_or((0, self.count));
        while !self.is_end(count) && at < bytes.len() {
            count.add(bytes[at]);
            at += 1;
        }
        self.ahead = Some((at, count));
        self.is_end(count).then_some(at)
    }

    fn is_end(&self, count: Count) -> bool {
        count.chars >= self.header.len && count.lacking == 0
    }

    fn take(&mut self, bytes: &[u8], max: usize) {
        self.bytes += bytes.len();
        self.count.add_all(bytes);
        let room = max.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(crate) fn into_event(mut self) -> Event {
        let truncated = !self.is_kept_in_full();
        if truncated && let Some(end) = cut_text(&self.kept) {
            // Not in the middle of a character, or text would turn into bytes.
            self.kept.truncate(end);
        }
        let mut payload = Payload::parse(&self.header.eventname, &self.kept);
        payload.truncated = truncated;
        Event { header: self.header, payload }
    }
}

/// Where text ends that was cut in the middle of a character; `None` when it was not, or is no text.
fn cut_text(bytes: &[u8]) -> Option<usize> {
    std::str::from_utf8(bytes)
        .err()
        .filter(|error| error.error_len().is_none())
        .map(|error| error.valid_up_to())
}

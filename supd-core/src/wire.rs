//! The header line of an event, both ways, and the two units in which supervisord counts a payload.

use std::borrow::Cow;
use std::fmt::Write as _;

use thiserror::Error;

/// A header line longer than this is no header.
pub const MAX_HEADER: usize = 64 * 1024;

/// What `len` counts: code points under Python 3, bytes under Go, either under Python 2, depending on the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LenUnit {
    /// Characters (Unicode code points), as supervisord under Python 3
    Chars,
    /// Bytes, as the Go supervisord
    Bytes,
}

impl LenUnit {
    /// The length of a payload in this unit. Where it is not UTF-8, every byte that starts no character counts as one.
    pub fn measure(self, payload: &[u8]) -> usize {
        match self {
            Self::Bytes => payload.len(),
            Self::Chars => String::from_utf8_lossy(payload).chars().count(),
        }
    }
}

/// The tokens of a header line, by supervisor's names.
///
/// `ver:3.0 server:supervisor serial:21 pool:alerts poolserial:10 eventname:PROCESS_STATE_EXITED len:58`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Version of the protocol, `3.0`.
    pub ver: String,
    /// supervisord's `identifier`: any text on one line, nothing included.
    pub server: String,
    /// Number of the event in this supervisord.
    pub serial: u64,
    /// Name of the listener's section; it may begin with a space.
    pub pool: String,
    /// Number of the event in this pool.
    pub poolserial: u64,
    /// Such as `PROCESS_STATE_EXITED`.
    pub eventname: String,
    /// Length of the payload that follows, in characters or bytes (see [`LenUnit`]).
    pub len: usize,
    /// Tokens that no one knows, as they came.
    pub other: Vec<(String, String)>,
}

/// What the other side sent is not the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A line that should be a header and is not: the line (cut, escaped), and why.
    #[error("read event header '{line}': {reason}")]
    Header {
        /// The first 200 bytes, escaped.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The input ended before the event did.
    #[error("read event {what}: the input ended in the middle of it")]
    CutShort {
        /// `'PROCESS_LOG_STDOUT'`, or `header`.
        what: String,
    },
}

impl ProtocolError {
    pub(crate) fn header(line: &[u8], reason: impl Into<String>) -> Self {
        let shown = line[..line.len().min(200)].escape_ascii().to_string();
        Self::Header { line: shown, reason: reason.into() }
    }
}

impl Header {
    /// Reads a header line (without its newline).
    ///
    /// It is read from the right, because the identifier may contain anything that looks like the tokens after it, and
    /// a pool's name may begin with a space. Where a later version puts further tokens among ours, they are kept.
    ///
    /// # Errors
    /// [`ProtocolError::Header`] when a token is missing or is not the number it should be.
    pub fn parse(line: &[u8]) -> Result<Self, ProtocolError> {
        let fail = |reason: String| ProtocolError::header(line, reason);
        let text = text(line);
        let tokens = text.strip_prefix("ver:").ok_or_else(|| fail("it does not begin with 'ver:'".into()))?;

        let mut found = Found::default();
        let mut rest = tokens;
        let mut end = tokens.len();
        while !found.complete() {
            // Words are short: `rfind` would take longer to set up than to search.
            let Some(space) = rest.as_bytes().iter().rposition(|&byte| byte == b' ') else {
                return Err(fail(format!("it has no '{}:'", found.missing())));
            };
            // A word without a colon continues the value on its left.
            if let Some((key, _)) = token(&rest[space + 1..]) {
                found.take(key, &tokens[space + 1 + key.len() + 1..end]).map_err(fail)?;
                end = space;
            }
            rest = &rest[..space];
        }

        let (ver, identifier) = rest.split_once(' ').ok_or_else(|| fail("it has no 'server:'".into()))?;
        found.other.reverse();
        // Tokens between `ver` and `server` are before the identifier begins, so the first `server:` is the real one.
        let mut between = identifier;
        let server = loop {
            if let Some(server) = between.strip_prefix("server:") {
                break server;
            }
            let (token, after) = between.split_once(' ').ok_or_else(|| fail("it has no 'server:'".into()))?;
            let (key, value) =
                token.split_once(':').ok_or_else(|| fail(format!("'{token}' is not a token")))?;
            found.other.push((key.to_owned(), value.to_owned()));
            between = after;
        };
        found.into_header(ver, server).ok_or_else(|| fail("a token is missing".into()))
    }

    /// Writes the header line with its newline, in supervisor's order; unknown tokens go last before `len`.
    pub fn encode(&self) -> String {
        let Self { ver, server, serial, pool, poolserial, eventname, len, other } = self;
        let mut line = format!(
            "ver:{ver} server:{server} serial:{serial} pool:{pool} poolserial:{poolserial} eventname:{eventname}"
        );
        for (key, value) in other {
            let _ = write!(line, " {key}:{value}"); // a String cannot fail
        }
        let _ = writeln!(line, " len:{len}");
        line
    }
}

/// These bytes as text. Names that are not UTF-8 (Python 2, Go) are no reason to lose an event: they lose the bytes that
/// are none.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    // Nearly all are, and std tells that of the whole several times faster than it looks for what is not.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A token's name and value. Only the first colon separates them, so values may contain colons.
pub(crate) fn token(text: &str) -> Option<(&str, &str)> {
    // So short a search is over before `split_once` has been set up.
    let colon = text.bytes().position(|byte| byte == b':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

/// The tokens right of the identifier, as they turn up from the right.
#[derive(Default)]
struct Found<'a> {
    serial: Option<u64>,
    pool: Option<&'a str>,
    poolserial: Option<u64>,
    eventname: Option<&'a str>,
    len: Option<usize>,
    /// From the right to the left.
    other: Vec<(String, String)>,
}

impl<'a> Found<'a> {
    fn complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// The rightmost token that has not turned up, or nothing.
    fn missing(&self) -> &'static str {
        match self {
            Self { len: None, .. } => "len",
            Self { eventname: None, .. } => "eventname",
            Self { poolserial: None, .. } => "poolserial",
            Self { pool: None, .. } => "pool",
            Self { serial: None, .. } => "serial",
            _ => "",
        }
    }

    fn take(&mut self, key: &str, value: &'a str) -> Result<(), String> {
        let number = || value.parse().map_err(|_| format!("'{key}:{value}' is not a number"));
        match key {
            "len" => {
                let len = value.parse().map_err(|_| format!("'len:{value}' is not a number"))?;
                self.len = Some(len);
            }
            "eventname" => self.eventname = Some(value),
            "poolserial" => self.poolserial = Some(number()?),
            "pool" => self.pool = Some(value),
            "serial" => self.serial = Some(number()?),
            _ => self.other.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    fn into_header(self, ver: &str, server: &str) -> Option<Header> {
        Some(Header {
            ver: ver.to_owned(),
            server: server.to_owned(),
            serial: self.serial?,
            pool: self.pool?.to_owned(),
            poolserial: self.poolserial?,
            eventname: self.eventname?.to_owned(),
            len: self.len?,
            other: self.other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Header {
        let header = Header::parse(line.as_bytes()).unwrap();
        assert_eq!(header.encode(), format!("{line}\n"));
        header
    }

    #[test]
    fn a_header_of_supervisords_is_read_and_written_back() {
        let header = parse("ver:3.0 server:supervisor serial:31 pool:a poolserial:0 eventname:TICK_5 len:15");
        assert_eq!((header.serial, header.poolserial, header.len), (31, 0, 15));
        assert_eq!((&*header.server, &*header.pool, &*header.eventname), ("supervisor", "a", "TICK_5"));
    }

    #[test]
    fn the_identifier_may_look_like_the_tokens_after_it() {
        let header = parse(
            "ver:3.0 server:a b:c len:3 serial:7 x serial:6 pool:rec poolserial:6 eventname:TICK_5 len:15",
        );
        assert_eq!(header.server, "a b:c len:3 serial:7 x");
        assert_eq!(header.serial, 6);
        assert_eq!(parse("ver:3.0 server: serial:0 pool:p poolserial:0 eventname:E len:0").server, "");
        assert_eq!(
            parse("ver:3.0 server: a  b serial:0 pool:p poolserial:0 eventname:E len:0").server,
            " a  b"
        );
        let tab = "ver:3.0 server:\u{a0}\u{1f680}\tx serial:0 pool:p poolserial:0 eventname:E len:0";
        assert_eq!(parse(tab).server, "\u{a0}\u{1f680}\tx");
    }

    #[test]
    fn a_pool_name_may_begin_with_a_space() {
        assert_eq!(
            parse("ver:3.0 server:s serial:1 pool: my pool poolserial:2 eventname:E len:0").pool,
            " my pool"
        );
    }

    #[test]
    fn further_tokens_are_kept_wherever_they_stand() {
        let line = "ver:3.0 server:s serial:1 pool:p poolserial:2 eventname:E trace:a:b len:0";
        assert_eq!(parse(line).other, [("trace".to_owned(), "a:b".to_owned())]);
        let early =
            Header::parse(b"ver:3.0 zone:eu server:s serial:1 pool:p len:9 poolserial:2 eventname:E at:1");
        let early = early.unwrap();
        assert_eq!((early.len, &*early.server), (9, "s"));
        assert_eq!(early.other, [("at".to_owned(), "1".to_owned()), ("zone".to_owned(), "eu".to_owned())]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused_with_its_reason() {
        let reason = |line: &str| match Header::parse(line.as_bytes()) {
            Err(ProtocolError::Header { reason, .. }) => reason,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(reason("hello"), "it does not begin with 'ver:'");
        assert_eq!(reason("ver:3.0 hello"), "it has no 'len:'");
        assert_eq!(reason("ver:3.0 server:s serial:1 pool:p eventname:E len:1"), "it has no 'poolserial:'");
        assert_eq!(
            reason("ver:3.0 server:s serial:x pool:p poolserial:1 eventname:E len:1"),
            "'serial:x' is not a number"
        );
        assert!(
            reason("ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:-1").contains("len:-1")
        );
    }

    #[test]
    fn lengths_count_characters_or_bytes() {
        assert_eq!(LenUnit::Chars.measure("é漢😀".as_bytes()), 3);
        assert_eq!(LenUnit::Bytes.measure("é漢😀".as_bytes()), 9);
    }
}

//! What was said in a case, as evidence: the last exchanges, and the end of what the listener wrote to stderr.

use std::collections::VecDeque;

use supd_core::describe::printable;

/// So many exchanges tell how it came about; the one before the failing one is often the cause.
const EXCHANGES: usize = 2;
const STDERR: usize = 4 * 1024;
/// Of what a listener writes without end, the beginning tells enough.
const REPLY: usize = 64 * 1024;

/// What we sent, and what came until the next thing was sent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Exchange {
    pub(crate) sent: Vec<u8>,
    pub(crate) received: Vec<u8>,
}

/// The conversation so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Transcript {
    exchanges: VecDeque<Exchange>,
    stderr: Vec<u8>,
}

impl Transcript {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.exchanges.push_back(Exchange { sent: bytes.to_vec(), received: Vec::new() });
        if self.exchanges.len() > EXCHANGES {
            self.exchanges.pop_front();
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.exchanges.is_empty() {
            self.exchanges.push_back(Exchange::default());
        }
        if let Some(last) = self.exchanges.back_mut() {
            let space = REPLY.saturating_sub(last.received.len());
            last.received.extend_from_slice(&bytes[..bytes.len().min(space)]);
        }
    }

    pub(crate) fn receive_stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        self.stderr.drain(..self.stderr.len().saturating_sub(STDERR));
    }

    /// What has come since the last thing was sent.
    pub(crate) fn received(&self) -> &[u8] {
        self.exchanges.back().map_or(&[], |last| &last.received)
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// The last lines of stderr: where a program that crashes says why.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].iter().map(|line| printable(line).into()).collect()
    }
}

/// Bytes as a person can read them on one line of any terminal: escaped, and shortened in the middle to about `width`
/// characters.
pub(crate) fn shown(bytes: &[u8], width: usize) -> String {
    let total = bytes.len();
    // Only the ends can be shown, and what is in the middle may be large.
    if total <= 4 * width {
        let all = escape(bytes);
        if all.chars().count() <= width {
            return all;
        }
    }
    let most = escape(&bytes[..total.min(width)]);
    let end = escape(&bytes[total.saturating_sub(width / 4)..]);
    let head: String = most.chars().take(width * 3 / 4).collect();
    let tail = end.chars().skip(end.chars().count().saturating_sub(width / 4)).collect::<String>();
    format!("{head} … [{total} bytes] … {tail}")
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\'' | '"' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_without_control_characters() {
        assert_eq!(shown("RESULT 2\nOK\r\u{1b}[2Jé'".as_bytes(), 80), r"RESULT 2\nOK\r\u{1b}[2Jé'");
    }

    #[test]
    fn long_bytes_are_shortened_in_the_middle_with_their_number() {
        let shown = shown(&[b'x'; 100_000], 80);
        assert!(shown.contains("x … [100000 bytes] … x") && shown.chars().count() < 110, "{shown}");
    }

    #[test]
    fn of_many_exchanges_the_last_are_kept() {
        let mut transcript = Transcript::default();
        transcript.receive(b"READY\n");
        for event in ["a", "b", "c"] {
            transcript.send(event.as_bytes());
            transcript.receive(b"OK");
        }
        let sent: Vec<&[u8]> = transcript.exchanges().map(|exchange| &exchange.sent[..]).collect();
        assert_eq!((sent, transcript.received()), (vec![&b"b"[..], b"c"], &b"OK"[..]));
    }
}

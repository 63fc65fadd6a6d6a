//! The listener's side of the conversation: events in, replies out.
//!
//! ```text
//! Acknowledged --ready--> Ready --event--> Busy --accept--> Ready (or Acknowledged, when nothing more is wanted)
//! ```
//!
//! It never answers FAIL: supervisord would redeliver the event at once, thousands of times a second, and put it into
//! other pools too. What cannot be handed on is not answered at all.

use crate::decoder::{Decoded, Decoder};
use crate::event::Event;
use crate::recent::Recent;
use crate::wire::ProtocolError;

/// What the listener should do next with what it read.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// An event to hand on, then to accept.
    Event(Event),
    /// An event that was handed on before: only to accept.
    Redelivered(Event),
    /// Bytes skipped to get back in step, after an event of this name.
    Stray {
        /// How many.
        bytes: usize,
        /// The event before them.
        eventname: String,
    },
}

/// One listener's conversation with supervisord.
#[derive(Debug)]
pub struct Listener {
    decoder: Decoder,
    recent: Recent,
}

impl Listener {
    /// What to write before the first event.
    pub const READY: &[u8] = b"READY\n";

    /// What to write once an event has been handed on, in one write with the wish for the next.
    pub const ACCEPT: &[u8] = b"RESULT 2\nOKREADY\n";

    /// What to write instead when no further event is wanted.
    pub const ACCEPT_LAST: &[u8] = b"RESULT 2\nOK";

    /// A conversation in which nothing has been said.
    pub fn new(decoder: Decoder) -> Self {
        Self { decoder, recent: Recent::default() }
    }

    /// An event that an earlier listener of the same supervisord handed on.
    pub fn remember(&mut self, serial: u64, eventname: &str) {
        self.recent.insert(serial, eventname);
    }

    /// Takes bytes as they were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// supervisord has closed its end.
    pub fn finish(&mut self) {
        self.decoder.finish();
    }

    /// Whether an event has begun to come in and is not whole.
    pub fn is_mid_event(&self) -> bool {
        self.decoder.is_mid_event()
    }

    /// Whether only a second of silence can tell if an event is whole; then call [`Self::silence_means_bytes`].
    pub fn is_undecided(&self) -> bool {
        self.decoder.is_undecided()
    }

    /// A second of silence has passed.
    pub fn silence_means_bytes(&mut self) -> Option<Incoming> {
        let decoded = self.decoder.silence_means_bytes()?;
        Some(self.classify(decoded))
    }

    /// What was read, `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`ProtocolError`] when supervisord's bytes are no event.
    #[expect(
        clippy::should_implement_trait,
        reason = "None means 'not yet', an iterator's means 'never again'"
    )]
    pub fn next(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        Ok(self.decoder.next()?.map(|decoded| self.classify(decoded)))
    }

    fn classify(&mut self, decoded: Decoded) -> Incoming {
        match decoded {
            Decoded::Event(event, _) => {
                if self.recent.insert(event.header.serial, &event.header.eventname) {
                    Incoming::Event(event)
                } else {
                    Incoming::Redelivered(event)
                }
            }
            Decoded::Stray { bytes, eventname } => Incoming::Stray { bytes, eventname },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::LenMode;

    #[test]
    fn a_redelivered_event_is_told_apart() {
        let tick = b"ver:3.0 server:s serial:4 pool:p poolserial:0 eventname:TICK_5 len:15\nwhen:1795356105";
        let mut listener = Listener::new(Decoder::live(LenMode::Auto, 1024));
        listener.feed(tick);
        assert!(matches!(listener.next(), Ok(Some(Incoming::Event(_)))));
        listener.feed(tick);
        assert!(matches!(listener.next(), Ok(Some(Incoming::Redelivered(_)))));
        assert_eq!(listener.next(), Ok(None));
    }
}

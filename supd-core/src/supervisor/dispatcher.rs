//! supervisord's side of the conversation: a listener's output in, what supervisord makes of it out.
//!
//! ```text
//! Acknowledged --READY\n--> Ready --send--> Busy --RESULT n\n…--> Acknowledged
//!       any of them --anything else--> Unknown, for ever
//! ```
//!
//! The same steps as PEventListenerDispatcher in supervisor's dispatchers.py (4.2.5, 4.3.0), its oddities included:
//! a `RESULT 0` is acted on only when another byte comes, and then counts as a rejection. The supervisord in Go
//! (`EventListener` in its events.go) reads lines instead, and knows no UNKNOWN:
//!
//! ```text
//! Acknowledged --a line READY--> Ready --send--> Busy --RESULT 2 OK, RESULT 4 FAIL, any other line--> Acknowledged
//!                                                Busy --RESULT n with any other body--> Ready
//! ```

use std::fmt;

use super::profile::Profile;

const READY: &[u8] = b"READY\n";
/// supervisord cuts this many bytes off a result line without looking at them.
const RESULT_PREFIX: usize = b"RESULT ".len();

/// supervisor's EventListenerStates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerState {
    /// Waiting for READY.
    Acknowledged,
    /// May be sent an event.
    Ready,
    /// Has been sent an event and has not answered it.
    Busy,
    /// Broke the protocol: gets no event ever again.
    Unknown,
}

/// What a listener's output meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// It asks for an event.
    Ready,
    /// `RESULT 2\nOK`.
    Accepted,
    /// A result with any other body: the event is sent again.
    Rejected(Vec<u8>),
    /// Go alone: a line that is no result. The event waits for the next READY, as after `RESULT 4\nFAIL`.
    NoResult(Vec<u8>),
    /// It broke the protocol, with this; an event in hand is sent again to another.
    Unknown(Vec<u8>),
}

impl Reaction {
    /// The state in which it leaves the listener.
    pub(super) fn leads_to(&self, profile: Profile) -> ListenerState {
        match self {
            Self::Ready => ListenerState::Ready,
            Self::Accepted => ListenerState::Acknowledged,
            // It is sent again without a READY.
            Self::Rejected(result) if profile == Profile::Go && result != b"FAIL" => ListenerState::Ready,
            Self::Rejected(_) | Self::NoResult(_) => ListenerState::Acknowledged,
            Self::Unknown(_) => ListenerState::Unknown,
        }
    }
}

impl fmt::Display for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Ready => "READY",
            Self::Busy => "BUSY",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// What supervisord knows of one listener process.
#[derive(Debug)]
pub struct Dispatcher {
    profile: Profile,
    state: ListenerState,
    buf: Vec<u8>,
    /// Length of the result that is being gathered; negative or too large ones never fill up.
    result_len: Option<i64>,
    result: Vec<u8>,
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new(Profile::default())
    }
}

impl Dispatcher {
    /// A listener that has said nothing.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            state: ListenerState::Acknowledged,
            buf: Vec::new(),
            result_len: None,
            result: Vec::new(),
        }
    }

    /// The listener's state.
    pub fn state(&self) -> ListenerState {
        self.state
    }

    /// An event has been written to the listener, which was Ready.
    pub fn sent(&mut self) {
        self.state = ListenerState::Busy;
    }

    /// What was to be sent could not be: the listener is Ready as before.
    pub(super) fn unsent(&mut self) {
        self.state = ListenerState::Ready;
    }

    /// Takes what the listener wrote, however it was cut; says what it meant, in order.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Reaction> {
        self.buf.extend_from_slice(bytes);
        let mut reactions = Vec::new();
        while !self.buf.is_empty() {
            let before = (self.buf.len(), self.state, self.result_len);
            reactions.extend(self.step());
            if before == (self.buf.len(), self.state, self.result_len) {
                break;
            }
        }
        reactions
    }

    fn step(&mut self) -> Option<Reaction> {
        match self.state {
            ListenerState::Acknowledged | ListenerState::Ready if self.profile == Profile::Go => {
                self.take_ready_line()
            }
            ListenerState::Acknowledged if self.buf.len() < READY.len() => None,
            ListenerState::Acknowledged if self.buf.starts_with(READY) => {
                self.buf.drain(..READY.len());
                self.state = ListenerState::Ready;
                Some(Reaction::Ready)
            }
            ListenerState::Acknowledged | ListenerState::Ready => Some(self.poison()),
            ListenerState::Busy => match self.result_len {
                None => self.take_result_line(),
                Some(len) => self.take_result(len),
            },
            ListenerState::Unknown => {
                self.buf.clear();
                None
            }
        }
    }

    /// Go: whatever is no line READY is passed over. A READY before its time counts once its time has come.
    fn take_ready_line(&mut self) -> Option<Reaction> {
        if self.state == ListenerState::Ready {
            return None;
        }
        let newline = memchr::memchr(b'\n', &self.buf)?;
        let is_ready = self.buf.drain(..=newline).eq(READY.iter().copied());
        is_ready.then(|| {
            self.state = ListenerState::Ready;
            Reaction::Ready
        })
    }

    fn poison(&mut self) -> Reaction {
        self.state = ListenerState::Unknown;
        Reaction::Unknown(std::mem::take(&mut self.buf))
    }

    fn take_result_line(&mut self) -> Option<Reaction> {
        let newline = memchr::memchr(b'\n', &self.buf)?;
        let len = match self.profile {
            Profile::Python3 | Profile::Python2 => {
                integer(self.buf.get(RESULT_PREFIX..newline).unwrap_or_default())
            }
            Profile::Go => result_in_go(&self.buf[..newline]),
        };
        match (len, self.profile) {
            (Some(len), _) => {
                self.buf.drain(..=newline);
                self.result_len = Some(len);
                None
            }
            (None, Profile::Go) => {
                self.state = ListenerState::Acknowledged;
                Some(Reaction::NoResult(self.buf.drain(..=newline).collect()))
            }
            (None, _) => Some(self.poison()),
        }
    }

    fn take_result(&mut self, len: i64) -> Option<Reaction> {
        // A negative length can never be reached.
        let needed = usize::try_from(len).ok()?.saturating_sub(self.result.len());
        let taken = needed.min(self.buf.len());
        self.result.extend(self.buf.drain(..taken));
        if taken < needed {
            return None;
        }
        self.result_len = None;
        let result = std::mem::take(&mut self.result);
        let reaction = if result == b"OK" { Reaction::Accepted } else { Reaction::Rejected(result) };
        self.state = reaction.leads_to(self.profile);
        Some(reaction)
    }
}

/// What Python's `int` makes of bytes: blanks around them, a sign, and `_` between digits are fine. Larger numbers than we
/// can hold are larger than any result.
fn integer(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes.trim_ascii()).ok()?;
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    let mut number = 0_i64;
    for part in digits.split('_') {
        if part.is_empty() || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        for digit in part.bytes() {
            number = number.saturating_mul(10).saturating_add((digit - b'0').into());
        }
    }
    Some(sign * number)
}

/// The length in a result line as the supervisord in Go reads it: two words, the number not negative.
fn result_in_go(line: &[u8]) -> Option<i64> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("RESULT"), Some(len), None) => len.parse().ok().filter(|&len: &i64| len >= 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a listener's output means, after one event was sent to it, at every cut.
    fn reactions(output: &[u8]) -> Vec<Reaction> {
        let whole = at_cut(output, output.len());
        for size in 1..output.len() {
            assert_eq!(at_cut(output, size), whole, "in pieces of {size}");
        }
        whole
    }

    fn at_cut(output: &[u8], size: usize) -> Vec<Reaction> {
        let mut dispatcher = Dispatcher::default();
        assert_eq!(dispatcher.feed(READY), [Reaction::Ready]);
        dispatcher.sent();
        // What supervisord logs of a poisoned listener depends on the cut; that it is poisoned does not.
        let forget = |reaction| match reaction {
            Reaction::Unknown(_) => Reaction::Unknown(Vec::new()),
            other => other,
        };
        output.chunks(size).flat_map(|chunk| dispatcher.feed(chunk)).map(forget).collect()
    }

    #[test]
    fn ok_and_ready_may_come_in_one_write() {
        assert_eq!(reactions(b"RESULT 2\nOKREADY\n"), [Reaction::Accepted, Reaction::Ready]);
    }

    #[test]
    fn any_other_body_rejects() {
        assert_eq!(
            reactions(b"RESULT 4\nFAILREADY\n"),
            [Reaction::Rejected(b"FAIL".into()), Reaction::Ready]
        );
    }

    #[test]
    fn a_length_is_what_python_takes_for_a_number() {
        assert_eq!(reactions(b"RESULT  +0_2 \nOK"), [Reaction::Accepted]);
        assert_eq!(reactions(b"RESULT 0x2\nOK"), [Reaction::Unknown(Vec::new())]);
        assert_eq!(reactions(b"RESULT 2_\nOK"), [Reaction::Unknown(Vec::new())]);
    }

    #[test]
    fn a_stray_newline_after_ok_poisons_the_listener() {
        assert_eq!(reactions(b"RESULT 2\nOK\nREADY\n"), [Reaction::Accepted, Reaction::Unknown(Vec::new())]);
    }

    #[test]
    fn ready_twice_and_text_instead_of_a_result_poison_it() {
        let unknown = Reaction::Unknown(Vec::new());
        assert_eq!(
            reactions(b"RESULT 2\nOKREADY\nREADY\n"),
            [Reaction::Accepted, Reaction::Ready, unknown.clone()]
        );
        let poisoned = [unknown];
        assert_eq!(reactions(b"some chatter\n"), poisoned);
        assert_eq!(reactions(b"RESULT x\n"), poisoned);
    }

    #[test]
    fn a_length_that_is_never_reached_waits_for_ever() {
        assert_eq!(reactions(b"RESULT 9\nOKREADY"), []);
        assert_eq!(reactions(b"RESULT -1\nOK"), []);
        assert_eq!(reactions(b"RESULT 99999999999999999999999\nOK"), []);
    }

    #[test]
    fn an_empty_result_is_acted_on_at_the_next_byte_and_rejects() {
        assert_eq!(reactions(b"RESULT 0\n"), []);
        assert_eq!(reactions(b"RESULT 0\nREADY\n"), [Reaction::Rejected(Vec::new()), Reaction::Ready]);
    }

    #[test]
    fn a_banner_poisons_the_listener() {
        let mut dispatcher = Dispatcher::default();
        assert_eq!(dispatcher.feed(b"hello"), []);
        assert_eq!(dispatcher.feed(b" world\n"), [Reaction::Unknown(b"hello world\n".into())]);
        assert_eq!(dispatcher.state(), ListenerState::Unknown);
    }

    #[test]
    fn in_go_junk_is_passed_over_and_nothing_poisons() {
        let mut dispatcher = Dispatcher::new(Profile::Go);
        assert_eq!(dispatcher.feed(b"hello\nREADY\r\n\nREADY\n"), [Reaction::Ready]);
        dispatcher.sent();
        assert_eq!(dispatcher.feed(b"chatter\n"), [Reaction::NoResult(b"chatter\n".into())]);
        assert_eq!(dispatcher.state(), ListenerState::Acknowledged);
        assert_eq!(dispatcher.feed(b"READY\n"), [Reaction::Ready]);
        dispatcher.sent();
        assert_eq!(dispatcher.feed(b"RESULT 2\nNO"), [Reaction::Rejected(b"NO".into())]);
        assert_eq!(dispatcher.state(), ListenerState::Ready, "sent again at once");
        dispatcher.sent();
        assert_eq!(dispatcher.feed(b"RESULT 2\nOK\nREADY\n"), [Reaction::Accepted, Reaction::Ready]);
    }
}

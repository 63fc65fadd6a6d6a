//! What a listener's output means. The usual answer is recognised by comparison, so that its meaning costs next to
//! nothing; the dispatcher, which has supervisord's own steps, sees the rest.

use supd_core::listener::Listener;
use supd_core::supervisor::{Dispatcher, ListenerState, Reaction};

/// One listener's output, as far as it has been read.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    dispatcher: Dispatcher,
    /// Whether an event has been sent of which the dispatcher has not been told yet.
    untold: bool,
}

/// What was made of a few bytes. There is one result at most, since only one event is in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Whether the event was accepted, once that is decided.
    pub(crate) result: Option<bool>,
    /// Whether the listener asks for an event.
    pub(crate) ready: bool,
}

/// What broke the protocol, and what should have come instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) output: Vec<u8>,
    pub(crate) awaited: &'static str,
}

impl Answers {
    /// Whether the listener may be sent an event.
    pub(crate) fn is_ready(&self) -> bool {
        !self.untold && self.dispatcher.state() == ListenerState::Ready
    }

    /// Whether it has an event in hand.
    pub(crate) fn is_busy(&self) -> bool {
        self.untold || self.dispatcher.state() == ListenerState::Busy
    }

    /// An event has been sent to the listener, which was ready.
    pub(crate) fn sent(&mut self) {
        self.untold = true;
    }

    /// Takes what the listener wrote, however it was cut.
    ///
    /// # Errors
    /// [`Breach`], after which it is of no more use.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Heard, Breach> {
        if self.untold {
            self.untold = false;
            if bytes == Listener::ACCEPT {
                return Ok(Heard { result: Some(true), ready: true });
            }
            self.dispatcher.sent();
        }
        let busy = self.is_busy();
        let mut heard = Heard::default();
        for reaction in self.dispatcher.feed(bytes) {
            match reaction {
                Reaction::Accepted => heard.result = Some(true),
                Reaction::Rejected(_) | Reaction::NoResult(_) => heard.result = Some(false),
                Reaction::Ready => heard.ready = true,
                Reaction::Unknown(output) => {
                    let awaited = if busy && heard.result.is_none() { "a result" } else { "READY" };
                    return Err(Breach { output, awaited });
                }
            }
        }
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an event, the answer being cut into pieces of this size.
    fn answer(answers: &mut Answers, output: &[u8], size: usize) -> Result<Heard, ()> {
        answers.sent();
        assert!(answers.is_busy() && !answers.is_ready());
        let mut all = Heard::default();
        for piece in output.chunks(size) {
            let heard = answers.take(piece).map_err(drop)?;
            all.result = all.result.or(heard.result);
            all.ready |= heard.ready;
        }
        Ok(all)
    }

    fn ready() -> Answers {
        let mut answers = Answers::default();
        assert_eq!(answers.take(b"READY\n"), Ok(Heard { result: None, ready: true }));
        answers
    }

    #[test]
    fn the_usual_answer_is_recognised_at_every_cut_and_after_any_other() {
        let mut answers = ready();
        for size in (1..=Listener::ACCEPT.len()).rev().chain(1..=Listener::ACCEPT.len()) {
            let heard = answer(&mut answers, Listener::ACCEPT, size);
            assert_eq!(heard, Ok(Heard { result: Some(true), ready: true }), "in pieces of {size}");
            assert!(answers.is_ready());
        }
    }

    #[test]
    fn a_rejection_and_a_result_without_ready_are_told_apart_at_every_cut() {
        for size in 1..20 {
            let heard = answer(&mut ready(), b"RESULT 4\nFAILREADY\n", size);
            assert_eq!(heard, Ok(Heard { result: Some(false), ready: true }));
            let mut answers = ready();
            let heard = answer(&mut answers, Listener::ACCEPT_LAST, size);
            assert_eq!(heard, Ok(Heard { result: Some(true), ready: false }));
            assert!(!answers.is_busy() && !answers.is_ready());
        }
    }

    #[test]
    fn what_breaks_the_protocol_does_so_at_every_cut() {
        for size in 1..30 {
            for output in [&b"RESULT 2\nOKREADY\nREADY\n"[..], b"chatter, and more of it\n"] {
                answer(&mut ready(), output, size).unwrap_err();
            }
        }
    }

    #[test]
    fn what_should_have_come_is_known() {
        let awaited = |output: &[u8]| {
            let mut answers = ready();
            answers.sent();
            answers.take(output).unwrap_err().awaited
        };
        assert_eq!(awaited(b"chatter\n"), "a result");
        assert_eq!(awaited(b"RESULT 2\nOK\nREADY\n"), "READY");
    }

    #[test]
    fn the_usual_answer_to_no_event_breaks_the_protocol() {
        ready().take(Listener::ACCEPT).unwrap_err();
    }
}

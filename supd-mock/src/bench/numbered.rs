//! The event that is pushed: its bytes are made once, and only its serials change from one to the next.

use supd_core::{Event, Header, LenUnit, Payload};

/// A line of a log, repeated to the length that is asked for.
const LOG_LINE: &[u8] = b"2026-01-05 08:00:00,123 INFO 127.0.0.1 \"GET /health HTTP/1.1\" 200 in 0.0012 s\n";

/// One event after another, alike but for their serials.
#[derive(Debug)]
pub(crate) struct Numbered {
    event: Event,
    wire: Vec<u8>,
    /// Where the digits of the serial and of the poolserial begin, and how many each has.
    serial: usize,
    poolserial: usize,
    width: usize,
}

impl Numbered {
    /// An exit of ordinary size; or, given a size, a log event with so many bytes of text.
    pub(crate) fn new(payload: Option<usize>) -> Self {
        let (eventname, payload) = match payload {
            None => ("PROCESS_STATE_EXITED", exit()),
            Some(size) => ("PROCESS_LOG_STDOUT", log(size)),
        };
        let header = Header {
            ver: "3.0".into(),
            server: "supervisor".into(),
            pool: super::NAME.into(),
            eventname: eventname.into(),
            ..Header::default()
        };
        let event = Event { header, payload };
        Self { event, wire: Vec::new(), serial: 0, poolserial: 0, width: 0 }
    }

    /// The bytes of the event with this number.
    pub(crate) fn bytes(&mut self, number: u64) -> &[u8] {
        let width = width_of(number);
        if width != self.width {
            self.make(width);
        }
        let mut rest = number;
        for digit in self.wire[self.serial..][..width].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.wire.copy_within(self.serial..self.serial + width, self.poolserial);
        &self.wire
    }

    /// Makes room for numbers of another width. Where the bytes of two events that differ in every digit of their
    /// serials differ, there the serials are.
    fn make(&mut self, width: usize) {
        let ones = (0..width).fold(0, |number, _| number * 10 + 1);
        self.wire = self.encode(ones);
        let twos = self.encode(2 * ones);
        let differ = |&at: &usize| self.wire[at] != twos[at];
        let mut places = (0..self.wire.len()).filter(differ).step_by(width);
        self.serial = places.next().expect("a header has a serial");
        self.poolserial = places.next().expect("a header has a poolserial");
        self.width = width;
    }

    fn encode(&self, number: u64) -> Vec<u8> {
        let header = Header { serial: number, poolserial: number, ..self.event.header.clone() };
        Event { header, payload: self.event.payload.clone() }.encode(LenUnit::Chars)
    }
}

fn width_of(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn exit() -> Payload {
    Payload {
        processname: Some("web_00".into()),
        groupname: Some("web".into()),
        from_state: Some("RUNNING".into()),
        expected: Some(false),
        pid: Some(2766),
        ..Payload::default()
    }
}

fn log(size: usize) -> Payload {
    Payload {
        processname: Some("web_00".into()),
        groupname: Some("web".into()),
        pid: Some(2766),
        channel: Some("stdout".into()),
        body: Some(LOG_LINE.iter().copied().cycle().take(size).collect()),
        ..Payload::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patched_event_is_the_one_that_would_have_been_encoded() {
        for payload in [None, Some(0), Some(1), Some(300)] {
            let mut events = Numbered::new(payload);
            let afresh = Numbered::new(payload);
            // Back again too: an event that was rejected is sent once more.
            for number in (0..1_200).chain([99_999, 100_000, 9, 12_345_678_901, 10]) {
                assert_eq!(events.bytes(number), afresh.encode(number), "{number}");
            }
        }
    }

    #[test]
    fn the_text_of_a_log_event_has_the_size_that_was_asked_for() {
        let event = String::from_utf8(Numbered::new(Some(200)).bytes(7).to_vec()).unwrap();
        assert!(
            event.starts_with("ver:3.0 server:supervisor serial:7 pool:listener poolserial:7 eventname:")
        );
        assert_eq!(event.split_once("channel:stdout\n").unwrap().1.len(), 200);
    }
}

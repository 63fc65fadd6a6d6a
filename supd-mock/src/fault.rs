//! What `--fault` breaks on purpose: writes that come in pieces or late, listeners that are killed or hung up on,
//! bytes that are no event. No event is lost by it: what a listener did not accept is sent again.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use supd_core::cli;

/// No header, and no UTF-8 either.
pub(crate) const GARBAGE: &[u8] = b"\xff\xfe this is no event\n";
/// How long to wait before looking again whether a piece has been read.
const UNREAD: Duration = Duration::from_micros(200);

/// One thing to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Write at most so many bytes at once, each piece when the one before has been read.
    Split(usize),
    /// Wait so long before each piece; without `split`, the header is one and the payload another.
    Delay(Duration),
    /// Kill the listener after every so many events were sent.
    Kill(u64),
    /// Close its standard input after every so many events.
    Close(u64),
    /// Send bytes that are no event before every so many events.
    Garbage(u64),
}

impl Fault {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let every = || match value.parse::<u64>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("'{name}' needs how many: a number above 0, such as '{name}:10'")),
        };
        match name {
            "split" => Ok(Self::Split(usize::try_from(every()?).unwrap_or(usize::MAX))),
            "delay" => Ok(Self::Delay(cli::duration(value)?)),
            // A listener that ends at every event would never get to accept one.
            "kill" | "garbage" if value == "1" => Err(format!("'{name}' needs a number above 1")),
            "kill" => Ok(Self::Kill(every()?)),
            "close" => Ok(Self::Close(every()?)),
            "garbage" => Ok(Self::Garbage(every()?)),
            _ => Err("none of split:BYTES, delay:DURATION, kill:N, close:N, garbage:N".to_owned()),
        }
    }
}

/// All that is to be broken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    events: u64,
}

/// What is done to a listener with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// Kill it when the event has been written.
    Kill,
    /// Close its input then.
    Close,
    /// Write bytes before the event that are none.
    Garbage,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        Self { faults: faults.to_vec(), events: 0 }
    }

    /// Whether listeners end for our sake, and must come back.
    pub(crate) fn end_listeners(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Kill(_) | Fault::Close(_) | Fault::Garbage(_)))
    }

    /// What to do with the event that is sent now.
    pub(crate) fn next_event(&mut self) -> Vec<Hit> {
        self.events += 1;
        let hit = |fault: &Fault| match *fault {
            Fault::Kill(every) => self.events.is_multiple_of(every).then_some(Hit::Kill),
            Fault::Close(every) => self.events.is_multiple_of(every).then_some(Hit::Close),
            Fault::Garbage(every) => self.events.is_multiple_of(every).then_some(Hit::Garbage),
            Fault::Split(_) | Fault::Delay(_) => None,
        };
        self.faults.iter().filter_map(hit).collect()
    }

    /// How events are cut for a listener that has just been started.
    pub(crate) fn pace(&self) -> Pace {
        let mut pace = Pace::default();
        for fault in &self.faults {
            match *fault {
                Fault::Split(bytes) => pace.bytes = Some(bytes),
                Fault::Delay(pause) => pace.pause = pause,
                _ => {}
            }
        }
        pace
    }
}

/// In what pieces an event is written, and when.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    bytes: Option<usize>,
    pause: Duration,
    not_before: Option<Instant>,
    /// What is left of the header, when that is a piece of its own.
    header: usize,
}

impl Pace {
    /// Whether events are written slower than the pipe takes them.
    pub(crate) fn is_slow(&self) -> bool {
        self.bytes.is_some() || !self.pause.is_zero()
    }

    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Whether the next piece may be written.
    pub(crate) fn is_over(&self) -> bool {
        self.not_before.is_none_or(|at| at <= Instant::now())
    }

    /// An event is about to be written.
    pub(crate) fn begins(&mut self, wire: &[u8]) {
        if self.is_slow() {
            self.not_before = Some(Instant::now() + self.pause);
            self.header = memchr::memchr(b'\n', wire).map_or(0, |newline| newline + 1);
        }
    }

    /// What of the outgoing bytes may be written now.
    pub(crate) fn piece<'a>(&mut self, stdin: &OwnedFd, outgoing: &'a [u8]) -> Option<&'a [u8]> {
        if !self.is_slow() {
            return Some(outgoing);
        }
        if !self.is_over() {
            return None;
        }
        if rustix::io::ioctl_fionread(stdin).is_ok_and(|unread| unread > 0) {
            self.not_before = Some(Instant::now() + UNREAD);
            return None;
        }
        let bytes = self.bytes.unwrap_or(if self.header > 0 { self.header } else { outgoing.len() });
        Some(&outgoing[..bytes.min(outgoing.len())])
    }

    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.header = self.header.saturating_sub(bytes);
        if self.is_slow() {
            self.not_before = Some(Instant::now() + self.pause.max(UNREAD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_name_and_how_much() {
        assert_eq!(Fault::parse("split:1"), Ok(Fault::Split(1)));
        assert_eq!(Fault::parse("delay:5ms"), Ok(Fault::Delay(Duration::from_millis(5))));
        assert_eq!(Fault::parse("kill:10"), Ok(Fault::Kill(10)));
        for wrong in ["kill", "kill:0", "kill:1", "garbage:1", "kill:x", "delay:5", "crash:1", ""] {
            Fault::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn every_nth_event_is_hit() {
        let mut faults = Faults::new(&[Fault::Kill(3), Fault::Garbage(2)]);
        let hits: Vec<Vec<Hit>> = (0..6).map(|_| faults.next_event()).collect();
        let (kill, garbage) = (Hit::Kill, Hit::Garbage);
        assert_eq!(hits, [vec![], vec![garbage], vec![kill], vec![garbage], vec![], vec![kill, garbage]]);
    }
}

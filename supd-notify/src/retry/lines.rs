//! The lines of a dead letter file, and which of them are to be sent again.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use supd_core::Record;

use crate::parcel::Letter;
use crate::undelivered;

/// One after another, without their newlines; empty ones do not count.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>, path: &Path) -> Self {
        Self { input, path: path.to_owned(), number: 0, line: Vec::new() }
    }

    /// The next one, with its number, counted from 1; `None` at the end.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            let read = self.input.read_until(b'\n', &mut self.line);
            if read.with_context(|| format!("read '{}'", self.path.display()))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, &self.line)));
            }
        }
    }
}

/// Whose dead letters are meant, and who gets them.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    /// Only those of this target.
    pub(crate) only: Option<String>,
    /// The targets of a configuration, each of which gets its own; without one, the channel gets all.
    pub(crate) configured: Option<Vec<String>>,
}

impl Meant {
    /// Which of the targets gets the dead letter of this one.
    fn addressee(&self, target: Option<&str>) -> Option<usize> {
        if self.only.is_some() && self.only.as_deref() != target {
            return None;
        }
        let Some(names) = &self.configured else { return Some(0) };
        names.iter().position(|name| Some(name.as_str()) == target)
    }
}

/// What a line is.
#[derive(Debug)]
pub(crate) enum Line {
    /// A dead letter to send again, alive, and which of the targets gets it.
    Letter(Arc<Letter>, usize),
    /// One of a target that is not meant.
    Other,
    /// No record.
    Malformed(String),
}

impl Line {
    /// Reads a line.
    pub(crate) fn read(line: &[u8], meant: &Meant) -> Self {
        let mut record = match Record::from_line(line) {
            Ok(record) => record,
            Err(error) => {
                return Self::Malformed(error.to_string().replace(" at line 1 column ", " at column "));
            }
        };
        let Some(addressee) = meant.addressee(undelivered::target(&record)) else { return Self::Other };
        record.extra.shift_remove(undelivered::KEY);
        Self::Letter(Letter::new(record, undelivered::without(line)).into(), addressee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(target: &str) -> Meant {
        Meant { only: Some(target.to_owned()), ..Meant::default() }
    }

    #[test]
    fn a_dead_letter_is_the_record_that_it_was() {
        let dead = r#"{ "eventname":"E" ,"undelivered":{"target":"slack","reason":"r","time":"t"}}"#;
        let Line::Letter(letter, 0) = Line::read(dead.as_bytes(), &only("slack")) else {
            panic!("it is meant")
        };
        assert_eq!(letter.line, br#"{ "eventname":"E" }"#);
        assert!(letter.record.extra.is_empty());
        assert!(matches!(Line::read(dead.as_bytes(), &only("pager")), Line::Other));
        assert!(matches!(Line::read(b"{\"torn", &Meant::default()), Line::Malformed(_)));
    }

    #[test]
    fn a_channel_gets_all_and_the_targets_of_a_configuration_each_its_own() {
        let configured = || Some(vec!["ops".to_owned(), "pager".to_owned()]);
        let channel = Meant::default();
        let each = Meant { configured: configured(), ..Meant::default() };
        let pager = Meant { configured: configured(), ..only("pager") };
        for (target, expected) in [
            (Some("ops"), [Some(0), Some(0), None]),
            (Some("pager"), [Some(0), Some(1), Some(1)]),
            (Some("gone"), [Some(0), None, None]),
            // A person put it there.
            (None, [Some(0), None, None]),
        ] {
            assert_eq!(
                [&channel, &each, &pager].map(|meant| meant.addressee(target)),
                expected,
                "{target:?}"
            );
        }
    }

    #[test]
    fn lines_keep_their_numbers_and_their_bytes() {
        let mut lines = Lines::new(Box::new(&b"a \r\n\n\xff\nlast"[..]), Path::new("x"));
        let mut next = || lines.next().unwrap().map(|(number, line)| (number, line.to_vec()));
        assert_eq!(next(), Some((1, b"a \r".to_vec())));
        assert_eq!(next(), Some((3, b"\xff".to_vec())));
        assert_eq!(next(), Some((4, b"last".to_vec())));
        assert_eq!(next(), None);
    }
}

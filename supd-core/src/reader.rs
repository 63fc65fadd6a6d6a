//! Records out of a file's bytes, whichever of the two forms it has: NDJSON, or a raw capture of the protocol.

use std::fmt;

use crate::decoder::{Decoded, Decoder, LenMode, MAX_PAYLOAD, may_begin_header};
use crate::input::{Line, Lines};
use crate::record::Record;
use crate::wire::LenUnit;

/// A file that is not what it was taken for should not fill a log.
const MAX_REPORTS: u64 = 10;

/// Behind more blanks than these a raw capture is not recognised.
const MAX_BLANKS: usize = 64 * 1024;

/// In what form a file comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Whichever its first bytes look like
    #[default]
    Auto,
    /// One JSON object a line
    Ndjson,
    /// What a listener reads from supervisord
    Raw,
}

/// A record, and what is known of the bytes it came from.
#[derive(Debug)]
pub struct Item<'a> {
    /// The record.
    pub record: Record,
    /// The line that says the same; whoever changes the record takes it away.
    pub line: Option<&'a [u8]>,
    /// How `len` was counted, where that is known: in a raw capture.
    pub unit: Option<LenUnit>,
}

/// What there is of a file.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Whole lines, newlines and empty lines included, and the number of the first.
    Lines(u64, &'a [u8]),
    /// A record of a raw capture.
    Record(Box<Record>),
}

/// One file's records.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Where bytes are put that are no lines, or not yet known to be.
    spare: Vec<u8>,
    rejects: Rejects,
}

/// The lines of a file that nothing could be done with. The first ones are reported, the rest counted.
#[derive(Debug)]
pub struct Rejects {
    name: String,
    malformed: u64,
}

impl Rejects {
    /// None yet of a file that messages call by this name.
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), malformed: 0 }
    }

    /// Adds a line: its number, and what is wrong with it.
    pub fn add(&mut self, number: u64, reason: &str) {
        self.add_at(format_args!("line {number}"), reason);
    }

    /// Adds an event of a raw capture: its serial, and what is wrong with it.
    pub fn add_event(&mut self, serial: u64, reason: &str) {
        self.add_at(format_args!("serial {serial}"), reason);
    }

    fn add_at(&mut self, place: fmt::Arguments<'_>, reason: &str) {
        let name = &self.name;
        self.malformed += 1;
        if self.malformed <= MAX_REPORTS {
            log::error!("read '{name}' {place}: {reason}; skipped");
        }
        if self.malformed == MAX_REPORTS {
            log::error!("read '{name}': what follows of this kind is skipped silently");
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.malformed
    }
}

#[derive(Debug)]
enum State {
    /// Too little has come to tell the form.
    Undecided(Vec<u8>),
    Ndjson(Lines),
    Raw(Box<Decoder>),
}

impl Reader {
    /// A reader of a file that messages call by this name.
    pub fn new(form: Form, name: &str) -> Self {
        let state = match form {
            Form::Auto => State::Undecided(Vec::new()),
            Form::Ndjson => State::Ndjson(Lines::default()),
            Form::Raw => raw(),
        };
        Self { state, spare: Vec::new(), rejects: Rejects::of(name) }
    }

    /// Takes what a read gave: the next bytes, however they were cut, or nothing at the end of the file.
    /// Whether it was the end.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            self.finish();
        } else {
            self.feed(bytes);
        }
        bytes.is_empty()
    }

    /// Where the next bytes of the file belong, with room for `size` of them or, where a line has begun, with it; as
    /// [`Lines::room`]. [`Self::filled`] says how many were put there.
    pub fn room(&mut self, size: usize) -> &mut Vec<u8> {
        match &mut self.state {
            State::Ndjson(lines) => lines.room(size),
            State::Undecided(_) | State::Raw(_) => {
                self.spare.clear();
                self.spare.reserve(size);
                &mut self.spare
            }
        }
    }

    /// So many bytes were put into the room: none is the end of the file. Whether it was the end.
    pub fn filled(&mut self, bytes: usize) -> bool {
        match &mut self.state {
            _ if bytes == 0 => self.finish(),
            State::Ndjson(lines) => lines.filled(bytes),
            State::Undecided(_) | State::Raw(_) => {
                let spare = std::mem::take(&mut self.spare);
                self.feed(&spare);
                self.spare = spare;
            }
        }
        bytes == 0
    }

    /// Forgets a line that has begun, and says how many bytes of it have come: whoever can read them again need not keep
    /// them until it ends. All that is whole has been given; of a raw capture nothing is forgotten.
    pub fn unread(&mut self) -> usize {
        match &mut self.state {
            State::Undecided(start) => std::mem::take(start).len(),
            State::Ndjson(lines) => lines.unread(),
            State::Raw(_) => 0,
        }
    }

    /// As [`Self::unread`], unless the line is longer than this already: to read it again and again would take too long.
    pub fn unread_up_to(&mut self, most: usize) -> usize {
        match &self.state {
            State::Ndjson(lines) if lines.begun() > most => 0,
            _ => self.unread(),
        }
    }

    /// Somebody else has read so many lines, and the rest of the file is lines too.
    pub fn resume_after(&mut self, lines: u64) {
        self.state = State::Ndjson(Lines::after(lines));
    }

    /// Its lines that are no records.
    pub fn rejects(&mut self) -> &mut Rejects {
        &mut self.rejects
    }

    fn feed(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Undecided(start) => {
                start.extend_from_slice(bytes);
                let start = std::mem::take(start);
                match recognise(&start) {
                    Some((state, content)) => {
                        self.state = state;
                        self.feed(content);
                    }
                    None => self.state = State::Undecided(start),
                }
            }
            State::Ndjson(lines) => lines.feed(bytes),
            State::Raw(decoder) => decoder.feed(bytes),
        }
    }

    fn finish(&mut self) {
        match &mut self.state {
            State::Undecided(start) => {
                let mut lines = Lines::default();
                lines.feed(start);
                lines.finish();
                self.state = State::Ndjson(lines);
            }
            State::Ndjson(lines) => lines.finish(),
            State::Raw(decoder) => decoder.finish(),
        }
    }

    /// What messages call the file.
    pub fn name(&self) -> &str {
        &self.rejects.name
    }

    /// How many lines were no records. The first ones have been reported.
    pub fn malformed(&self) -> u64 {
        self.rejects.count()
    }

    /// Gives every record that has come whole. A malformed line is reported, counted and skipped.
    ///
    /// # Errors
    /// The receiver's; or a raw capture that makes no sense from some point on.
    pub fn each(&mut self, mut give: impl FnMut(Item<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        match &mut self.state {
            State::Undecided(_) => Ok(()),
            State::Ndjson(lines) => {
                while let Some(Line { number, text }) = lines.next() {
                    match text.map_err(|error| no_record(&error)).and_then(from_line) {
                        Ok(item) => give(item)?,
                        Err(reason) => self.rejects.add(number, &reason),
                    }
                }
                Ok(())
            }
            State::Raw(decoder) => each_event(decoder, &self.rejects.name, |record, unit| {
                give(Item { record, line: None, unit: Some(unit) })
            }),
        }
    }

    /// Gives everything that has come whole, lines unread; what is no record among them is the receiver's to find, and
    /// how many they were, to say.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn each_piece(
        &mut self,
        mut give: impl FnMut(Piece<'_>, &mut Rejects) -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        match &mut self.state {
            State::Undecided(_) => Ok(()),
            State::Ndjson(lines) => {
                while let Some(Line { number, text }) = lines.block() {
                    match text {
                        Ok(block) => {
                            let count = give(Piece::Lines(number, block), &mut self.rejects)?;
                            lines.passed(count);
                        }
                        Err(too_long) => self.rejects.add(number, &no_record(&too_long)),
                    }
                }
                Ok(())
            }
            State::Raw(decoder) => {
                let name = self.rejects.name.clone();
                each_event(decoder, &name, |record, _| {
                    give(Piece::Record(Box::new(record)), &mut self.rejects).map(drop)
                })
            }
        }
    }
}

fn each_event(
    decoder: &mut Decoder,
    name: &str,
    mut give: impl FnMut(Record, LenUnit) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    loop {
        match decoder.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Decoded::Event(event, unit))) => give(Record::from_event(event), unit)?,
            Ok(Some(Decoded::Stray { bytes, eventname })) => {
                log::warn!("read '{name}': skipped {bytes} bytes of '{eventname}' that 'len' did not count");
            }
            // Nothing tells where the next event would begin.
            Err(error) => anyhow::bail!("read '{name}': {error}"),
        }
    }
}

fn from_line(line: &[u8]) -> Result<Item<'_>, String> {
    let record = Record::from_line(line).map_err(|error| reason(&error))?;
    Ok(Item { record, line: Some(line), unit: None })
}

/// What is wrong with a line, without its number: there is one, and its number in the file is said beside.
pub fn reason(error: &serde_json::Error) -> String {
    no_record(error).replace(" at line 1 column ", " at column ")
}

fn no_record(error: &impl fmt::Display) -> String {
    format!("not a record: {error}")
}

/// Where the lines begin in a file that begins so, if they are lines, and that can be told already.
pub fn lines_begin(form: Form, start: &[u8]) -> Option<usize> {
    match form {
        Form::Raw => None,
        Form::Ndjson => Some(0),
        Form::Auto => match recognise(start)? {
            (State::Ndjson(_), content) => Some(start.len() - content.len()),
            (State::Raw(_) | State::Undecided(_), _) => None,
        },
    }
}

fn raw() -> State {
    State::Raw(Box::new(Decoder::stored(LenMode::Auto, MAX_PAYLOAD)))
}

/// The form, and where its content begins: after blanks, and after the mark that some editors put first.
fn recognise(start: &[u8]) -> Option<(State, &[u8])> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    if start.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(start) {
        return None;
    }
    let content = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let trimmed = content.trim_ascii_start();
    match trimmed {
        // Whoever waits for the end of the blanks holds them.
        _ if content.len() - trimmed.len() > MAX_BLANKS => Some((State::Ndjson(Lines::default()), content)),
        [] => None,
        capture if capture.starts_with(b"ver:") => Some((raw(), capture)),
        capture if capture.len() < 4 && may_begin_header(capture) => None,
        // Blank lines count, so that the numbers in messages are right.
        _ => Some((State::Ndjson(Lines::default()), content)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(form: Form, input: &[u8], size: usize) -> (Vec<String>, u64) {
        let mut reader = Reader::new(form, "test");
        let mut names = Vec::new();
        let mut take = |reader: &mut Reader| {
            reader.each(|item| {
                names.push(item.record.eventname);
                Ok(())
            })
        };
        for chunk in input.chunks(size) {
            reader.take(chunk);
            take(&mut reader).unwrap();
        }
        reader.take(b"");
        take(&mut reader).unwrap();
        (names, reader.malformed())
    }

    #[test]
    fn the_form_is_recognised_at_every_cut_whatever_stands_before_it() {
        let json = b"{\"eventname\":\"A\"}\n{\"eventname\":\"B\"}";
        let raw = b"ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:TICK_5 len:6\nwhen:5";
        for before in [&b""[..], b"\n \n", b"\xef\xbb\xbf"] {
            for size in 1..20 {
                let input = |content: &[u8]| [before, content].concat();
                assert_eq!(names(Form::Auto, &input(json), size), (vec!["A".to_owned(), "B".into()], 0));
                assert_eq!(names(Form::Auto, &input(raw), size), (vec!["TICK_5".to_owned()], 0));
            }
        }
    }

    #[test]
    fn blanks_without_end_are_not_held() {
        let mut reader = Reader::new(Form::Auto, "test");
        for _ in 0..100 {
            reader.take(&[b'\n'; 10_000]);
            reader.each(|_| Ok(())).unwrap();
            assert!(!matches!(&reader.state, State::Undecided(start) if start.len() > MAX_BLANKS));
        }
        // Their number is right all the same.
        reader.take(b"x\n{\"eventname\":\"A\"}\n");
        let mut count = 0;
        reader
            .each(|_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!((count, reader.malformed()), (1, 1));
        let State::Ndjson(lines) = &mut reader.state else { panic!("these are lines") };
        lines.feed(b"y\n");
        assert_eq!(lines.next().unwrap().number, 1_000_003);
    }

    #[test]
    fn lines_that_are_no_records_are_counted() {
        assert_eq!(names(Form::Auto, b"x\n\n{}\n{\"eventname\":\"A\"}\n", 5), (vec!["A".to_owned()], 2));
        assert_eq!(names(Form::Auto, b"", 1), (vec![], 0));
    }
}

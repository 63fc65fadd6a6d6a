//! Records out of a file's bytes, whichever of the two forms it has: NDJSON, or a raw capture of the protocol.

use crate::decoder::{Decoded, Decoder, LenMode, MAX_PAYLOAD};
use crate::input::{Line, Lines};
use crate::record::Record;
use crate::wire::LenUnit;

/// In what form a file comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum From {
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

/// One file's records.
#[derive(Debug)]
pub struct Reader {
    form: Form,
    name: String,
    malformed: u64,
}

#[derive(Debug)]
enum Form {
    /// Too little has come to tell.
    Undecided(Vec<u8>),
    Ndjson(Lines),
    Raw(Box<Decoder>),
}

impl Reader {
    /// A reader of a file that messages call by this name.
    pub fn new(from: From, name: &str) -> Self {
        let form = match from {
            From::Auto => Form::Undecided(Vec::new()),
            From::Ndjson => Form::Ndjson(Lines::default()),
            From::Raw => raw(),
        };
        Self {
            form,
            name: name.to_owned(),
            malformed: 0,
        }
    }

    /// Takes the next bytes, however they were cut.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Undecided(start) => {
                start.extend_from_slice(bytes);
                let start = std::mem::take(start);
                if let Some(form) = recognise(&start) {
                    self.form = form;
                    self.feed(&start);
                } else {
                    self.form = Form::Undecided(start);
                }
            }
            Form::Ndjson(lines) => lines.feed(bytes),
            Form::Raw(decoder) => decoder.feed(bytes),
        }
    }

    /// No more bytes will come.
    pub fn finish(&mut self) {
        match &mut self.form {
            Form::Undecided(start) => {
                let mut lines = Lines::default();
                lines.feed(start);
                lines.finish();
                self.form = Form::Ndjson(lines);
            }
            Form::Ndjson(lines) => lines.finish(),
            Form::Raw(decoder) => decoder.finish(),
        }
    }

    /// What messages call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many lines were no records; each has been reported.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Gives every record that has come whole. A malformed line is reported, counted and skipped.
    ///
    /// # Errors
    /// The receiver's; or a raw capture that makes no sense from some point on.
    pub fn each(&mut self, mut give: impl FnMut(Item<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let name = &self.name;
        match &mut self.form {
            Form::Undecided(_) => {}
            Form::Ndjson(lines) => {
                while let Some(Line { number, text }) = lines.next() {
                    match text.map_err(|error| error.to_string()).and_then(from_line) {
                        Ok(item) => give(item)?,
                        Err(reason) => {
                            log::error!("read '{name}' line {number}: {reason}; skipped");
                            self.malformed += 1;
                        }
                    }
                }
            }
            Form::Raw(decoder) => loop {
                match decoder.next() {
                    Ok(None) => break,
                    Ok(Some(Decoded::Event(event, unit))) => {
                        give(Item {
                            record: Record::from_event(event),
                            line: None,
                            unit: Some(unit),
                        })?;
                    }
                    Ok(Some(Decoded::Stray { bytes, eventname })) => {
                        log::warn!(
                            "read '{name}': skipped {bytes} bytes of '{eventname}' that 'len' did not count"
                        );
                    }
                    // Nothing tells where the next event would begin.
                    Err(error) => anyhow::bail!("read '{name}': {error}"),
                }
            },
        }
        Ok(())
    }
}

fn from_line(line: &[u8]) -> Result<Item<'_>, String> {
    let record = Record::from_line(line).map_err(|error| {
        // There is one line, and its number in the file is said already.
        error.to_string().replace(" at line 1 column ", " at column ")
    })?;
    Ok(Item {
        record,
        line: Some(line),
        unit: None,
    })
}

fn raw() -> Form {
    Form::Raw(Box::new(Decoder::stored(LenMode::Auto, MAX_PAYLOAD)))
}

fn recognise(start: &[u8]) -> Option<Form> {
    match start.trim_ascii_start() {
        [] => None,
        start if start.starts_with(b"ver:") => Some(raw()),
        start if b"ver:".starts_with(start) => None,
        _ => Some(Form::Ndjson(Lines::default())),
    }
}

//! A file's bytes into the reader.

use supd_core::reader::{Form, Reader};
use supd_core::{LenUnit, Record};

use super::{Choices, pieces};

/// It ends, panics at nothing, and finds the same at every cut; a line it hands out says the same as its record.
pub fn reader(input: &[u8]) {
    let (choices, file) = Choices::split(input);
    let form = choices.among(0, &[Form::Auto, Form::Ndjson, Form::Raw]);
    let cut = read(form, file, &choices.cuts());
    let whole = read(form, file, &[usize::MAX]);
    assert_eq!(cut, whole, "{form:?}");
    let (items, malformed, _) = whole;
    assert!(items.len() as u64 + malformed <= file.len() as u64, "records out of nothing");
}

type Found = (Vec<(Record, Option<LenUnit>)>, u64, bool);

/// The records, how many lines were none, and whether it came to the end without an error.
fn read(form: Form, file: &[u8], cuts: &[usize]) -> Found {
    let mut reader = Reader::new(form, "file");
    let mut items = Vec::new();
    // The last one is empty, which is the end.
    for piece in pieces(file, cuts).chain([&[][..]]) {
        assert_eq!(reader.take(piece), piece.is_empty());
        let result = reader.each(|item| {
            if let Some(line) = item.line {
                assert_eq!(Record::from_line(line).expect("it was a record"), item.record);
            }
            items.push((item.record, item.unit));
            Ok(())
        });
        if result.is_err() {
            return (items, reader.malformed(), false);
        }
    }
    (items, reader.malformed(), true)
}

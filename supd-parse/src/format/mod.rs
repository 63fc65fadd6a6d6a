//! Output forms, one a file: adding one is a file here and a line in `args::To`.

pub(crate) mod json;
pub(crate) mod ndjson;
pub(crate) mod text;

use supd_core::reader::Item;

/// Turns records into bytes.
pub(crate) trait Format {
    /// What comes before the first record.
    fn begin(&self, _out: &mut Vec<u8>) {}

    /// Appends one record.
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>);

    /// What comes after the last record.
    fn end(&self, _out: &mut Vec<u8>) {}
}

#[cfg(test)]
pub(crate) fn formatted(mut format: impl Format, lines: &[&str]) -> String {
    let mut out = Vec::new();
    format.begin(&mut out);
    for line in lines {
        let record = supd_core::Record::from_line(line.as_bytes()).unwrap();
        format.write(&Item { record, line: Some(line.as_bytes()), unit: None }, &mut out);
    }
    format.end(&mut out);
    String::from_utf8(out).unwrap()
}

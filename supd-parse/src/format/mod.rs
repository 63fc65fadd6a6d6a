//! Output forms, one a file: adding one is a file here and a line in `options::To`.

pub(crate) mod json;
pub(crate) mod ndjson;
pub(crate) mod options;
pub(crate) mod text;

use crate::item::Item;

/// Turns records into bytes.
pub(crate) trait Format {
    /// Whether it writes each record in the same way whatever comes before or after it, so that several of it can work
    /// side by side; only one of them is told of the beginning, of silence and of the end.
    fn is_stateless(&self) -> bool {
        false
    }

    /// What comes before the first record.
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    /// Appends one record.
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>);

    /// The input is silent: a form that looks at several records at once writes what it has.
    fn idle(&mut self, _out: &mut Vec<u8>) {}

    /// What comes after the last record.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

#[cfg(test)]
pub(crate) fn formatted(mut format: impl Format, lines: &[&str]) -> String {
    let mut out = Vec::new();
    format.begin(&mut out);
    for line in lines {
        let mut scanner = supd_core::flat::Scanner::default();
        format.write(&Item::read(&mut scanner, line.as_bytes()).unwrap(), &mut out);
    }
    format.end(&mut out);
    String::from_utf8(out).unwrap()
}

//! Output forms, one a file: adding one is a file here and a line in `options::To`.

mod aligned;
mod columns;
mod csv;
mod gauge;
mod json;
mod logfmt;
pub(crate) mod ndjson;
pub(crate) mod options;
mod paint;
mod projection;
mod rows;
mod sheet;
mod table;
mod template;
mod text;
mod tsv;
mod visible;
mod zone;

use crate::item::Item;

/// Turns records into bytes.
pub(crate) trait Format {
    /// What comes before the first record.
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    /// Appends one record, or another value.
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>);

    /// Takes a `SUPD_MARK`, which is for programs that read our records.
    fn mark(&mut self, _item: &Item<'_>, _out: &mut Vec<u8>) {}

    /// The input is silent: a form that looks at several records at once writes what it has.
    fn idle(&mut self, _out: &mut Vec<u8>) {}

    /// What comes after the last record.
    fn end(&mut self, _out: &mut Vec<u8>) {}

    /// Whether what is written of a record depends on that record alone. If so, several can be written side by side.
    fn is_stateless(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use supd_core::flat::Scanner;

    use super::Format;
    use crate::item::Item;

    /// What a form makes of records, or of other values.
    pub(super) fn formatted(mut format: impl Format, lines: &[&str]) -> String {
        let mut out = Vec::new();
        format.begin(&mut out);
        for line in lines {
            let mut scanner = Scanner::default();
            format.write(&Item::read_any(&mut scanner, line.as_bytes()), &mut out);
        }
        format.end(&mut out);
        String::from_utf8(out).unwrap()
    }
}

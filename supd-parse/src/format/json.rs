//! One JSON array, a record a line.

use super::Format;
use super::columns::Columns;
use super::projection;
use crate::item::Item;

#[derive(Default)]
pub(crate) struct Json {
    /// The keys that were asked for.
    columns: Option<Columns>,
    written: bool,
}

impl Json {
    pub(crate) fn new(columns: Option<Columns>) -> Self {
        Self { columns, written: false }
    }
}

impl Format for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.written { b",\n" } else { b"\n" });
        self.written = true;
        projection::push_line(item, self.columns.as_ref(), out);
        out.pop();
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.written { b"\n]\n" } else { b"]\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::formatted;
    use super::*;

    #[test]
    fn an_array_with_a_record_a_line() {
        let lines = [r#"{"eventname":"TICK_5"}"#, r#"{"eventname":"TICK_60"}"#];
        assert_eq!(
            formatted(Json::default(), &lines),
            "[\n{\"eventname\":\"TICK_5\"},\n{\"eventname\":\"TICK_60\"}\n]\n"
        );
        assert_eq!(formatted(Json::default(), &[]), "[]\n");
    }
}

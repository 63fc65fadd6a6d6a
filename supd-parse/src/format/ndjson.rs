//! One JSON object a line. A record that was not changed keeps its bytes, unknown keys, order and spacing included.

use super::Format;
use super::columns::Columns;
use super::projection;
use crate::item::Item;

#[derive(Default)]
pub(crate) struct Ndjson {
    /// The keys that were asked for.
    pub(crate) columns: Option<Columns>,
}

impl Format for Ndjson {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        projection::push_line(item, self.columns.as_ref(), out);
    }

    /// Whole, whatever is asked for of other records: it is a word between programs.
    fn mark(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        item.write_line(out);
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::formatted;
    use super::*;

    #[test]
    fn an_unchanged_record_keeps_its_bytes() {
        let line = r#"{ "eventname" : "TICK_5", "\u0061":1 }"#;
        assert_eq!(formatted(Ndjson::default(), &[line, line]), format!("{line}\n{line}\n"));
    }

    #[test]
    fn keys_that_are_asked_for_come_in_that_order_and_absent_ones_not_at_all() {
        let ndjson = Ndjson { columns: Some("note,pid,host,severity,expected".parse().unwrap()) };
        let line = r#"{"host":"a\"b","eventname":"TICK_5","expected":true,"note":{"x":null}}"#;
        assert_eq!(
            formatted(ndjson, &[line, "[1]"]),
            "{\"note\":{\"x\":null},\"host\":\"a\\\"b\",\"severity\":\"info\",\"expected\":true}\n[1]\n"
        );
    }
}

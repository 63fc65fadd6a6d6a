//! Text of the fields that were asked for: columns without a heading, as wide as what has been in them.

use supd_core::describe::{self, Severity, printable};
use supd_core::fields::Field;

use super::Format;
use super::columns::Columns;
use super::gauge::Growing;
use super::paint::Paint;
use super::rows::Rows;
use super::text::push_line;
use super::zone::Times;
use crate::item::Item;

/// The widest column. What is longer is not cut.
const WIDEST: usize = 32;

pub(crate) struct Aligned {
    rows: Rows,
    /// Keys, and how wide their columns are by now.
    columns: Vec<(String, Growing)>,
    paint: Paint,
}

impl Aligned {
    pub(crate) fn new(columns: Columns, times: Times, paint: Paint) -> Self {
        let growing = columns.keys().map(|key| (key.to_owned(), Growing::up_to(WIDEST))).collect();
        Self { rows: Rows::new(Some(columns), &[], false, times), columns: growing, paint }
    }
}

impl Format for Aligned {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        let Self { rows, columns, paint } = self;
        let severity = item.record().map_or(Severity::Info, |record| describe::severity(&record));
        let mut line = String::new();
        let mut at = 0;
        rows.each_cell(item, |cell| {
            let text = cell.map(Field::into_plain).unwrap_or_default();
            let text = printable(&text);
            if at == columns.len() {
                // An array has as many elements as it likes.
                columns.push((String::new(), Growing::up_to(WIDEST)));
            }
            let (key, column) = &mut columns[at];
            column.put(&mut line, &text, &paint.cell(key, severity, &text));
            at += 1;
        });
        push_line(&line, out);
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::tests::formatted;
    use super::*;

    #[test]
    fn columns_grow_with_what_comes_and_empty_ones_take_no_place() {
        let columns = "ts,uptime,processname,what".parse().unwrap();
        let aligned = Aligned::new(columns, Times::Civil(TimeZone::UTC), Paint { on: false });
        let records = [
            r#"{"ts":"2026-01-05T08:00:00Z","eventname":"PROCESS_STATE_FATAL","processname":"a\u001b"}"#,
            r#"{"ts":"2026-01-05T08:00:01Z","eventname":"PROCESS_STATE_RUNNING","processname":"worker","uptime":3}"#,
            r#"[1]"#,
        ];
        assert_eq!(
            formatted(aligned, &records),
            "2026-01-05 08:00:00.000  a\\u001b  could not be started; supervisord gave up\n\
             2026-01-05 08:00:01.000  3  worker   is running\n1\n"
        );
    }
}

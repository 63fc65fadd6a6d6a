//! One JSON object a line. A record that was not changed keeps its bytes, unknown keys, order and spacing included.

use super::Format;
use crate::item::Item;

pub(crate) struct Ndjson;

impl Format for Ndjson {
    fn is_stateless(&self) -> bool {
        true
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        item.write_line(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::formatted;
    use super::*;

    #[test]
    fn an_unchanged_record_keeps_its_bytes() {
        let line = r#"{ "eventname" : "TICK_5", "\u0061":1 }"#;
        assert_eq!(formatted(Ndjson, &[line, line]), format!("{line}\n{line}\n"));
    }
}

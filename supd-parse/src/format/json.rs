//! One JSON array, a record a line.

use supd_core::Kind;
use supd_core::fields::Fields as _;

use super::Format;
use crate::item::Item;

#[derive(Default)]
pub(crate) struct Json {
    written: bool,
}

impl Format for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        if item.kind() == Kind::Mark {
            return;
        }
        out.extend_from_slice(if self.written { b",\n" } else { b"\n" });
        self.written = true;
        item.write_line(out);
        out.pop();
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.written { b"\n]\n" } else { b"]\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::super::formatted;
    use super::*;

    #[test]
    fn an_array_without_marks() {
        let lines = [
            r#"{"eventname":"TICK_5"}"#,
            r#"{"seq":1,"eventname":"SUPD_MARK"}"#,
            r#"{"eventname":"TICK_60"}"#,
        ];
        assert_eq!(
            formatted(Json::default(), &lines),
            "[\n{\"eventname\":\"TICK_5\"},\n{\"eventname\":\"TICK_60\"}\n]\n"
        );
        assert_eq!(formatted(Json::default(), &[]), "[]\n");
    }
}

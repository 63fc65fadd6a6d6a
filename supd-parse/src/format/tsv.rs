//! Values between tabs, a record a line, escaped as jq's `@tsv` does.

use super::sheet::{Dialect, Sheet};

pub(crate) type Tsv = Sheet<Tab>;

pub(crate) struct Tab;

impl Dialect for Tab {
    const BETWEEN: u8 = b'\t';

    fn push_text(text: &str, out: &mut Vec<u8>) {
        for part in text.as_bytes().split_inclusive(|byte| escape(*byte).is_some()) {
            match part.split_last() {
                Some((last, before)) if let Some(letter) = escape(*last) => {
                    out.extend_from_slice(before);
                    out.extend_from_slice(&[b'\\', letter]);
                }
                _ => out.extend_from_slice(part),
            }
        }
    }
}

fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::super::tests::formatted;
    use super::super::zone::Times;
    use super::*;

    #[test]
    fn a_record_stays_one_line_and_a_cell_one_cell() {
        let rows = Rows::new(Some("processname,pid,data".parse().unwrap()), &[], false, Times::AsIs);
        let log = r#"{"eventname":"E","processname":"a\tb\\","data":"x\r\ny\n"}"#;
        assert_eq!(
            formatted(Tsv::new(rows, true, false), &[log]),
            "processname\tpid\tdata\na\\tb\\\\\t\tx\\r\\ny\\n\n"
        );
    }
}

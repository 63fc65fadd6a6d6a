//! Comma-separated values as RFC 4180 quotes them.

use super::sheet::{Dialect, Sheet};

pub(crate) type Csv = Sheet<Comma>;

pub(crate) struct Comma;

impl Dialect for Comma {
    const BETWEEN: u8 = b',';

    fn push_text(text: &str, out: &mut Vec<u8>) {
        if !text.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
            return out.extend_from_slice(text.as_bytes());
        }
        for (at, part) in text.split('"').enumerate() {
            out.extend_from_slice(if at == 0 { b"\"" } else { b"\"\"" });
            out.extend_from_slice(part.as_bytes());
        }
        out.push(b'"');
    }

    fn push_lone_nothing(out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"\"");
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::super::tests::formatted;
    use super::super::zone::Times;
    use super::*;

    fn csv(fields: &str, safe: bool, lines: &[&str]) -> String {
        let rows = Rows::new(Some(fields.parse().unwrap()), &[], false, Times::AsIs);
        formatted(Csv::new(rows, false, safe), lines)
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let log = r#"{"eventname":"E","processname":"a,b","pid":7,"expected":false,"data":"x\n\"y\"","note":{"a":[1]}}"#;
        assert_eq!(
            csv("eventname,processname,pid,host,expected,data,note", false, &[log]),
            "E,\"a,b\",7,,false,\"x\n\"\"y\"\"\",\"{\"\"a\"\":[1]}\"\n"
        );
        assert_eq!(csv("pid", false, &[r#"{"eventname":"E"}"#]), "\"\"\n");
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_is_text() {
        let record =
            r#"{"eventname":"E","processname":"=1+1","groupname":"a=b","exitstatus":-9,"data":"\t@x"}"#;
        let fields = "processname,groupname,exitstatus,data";
        assert_eq!(csv(fields, true, &[record]), "'=1+1,a=b,-9,'\t@x\n");
        assert_eq!(csv(fields, false, &[record]), "=1+1,a=b,-9,\t@x\n");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_cell_comes_back_as_it_was(cells in proptest::collection::vec(proptest::string::string_regex("(?s)[\",\r\na é]*").unwrap(), 1..5)) {
            let line = serde_json::to_string(&cells).unwrap();
            let rows = Rows::new(None, &[], true, Times::AsIs);
            let written = formatted(Csv::new(rows, false, false), &[&line]);
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(written.as_bytes());
            let read: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
            proptest::prop_assert_eq!(read, [cells]);
        }
    }
}

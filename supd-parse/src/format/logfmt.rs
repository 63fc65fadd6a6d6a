//! `key=value` pairs, a record a line: what Loki, Heroku and many a grep read.

use supd_core::describe::acts;
use supd_core::fields::{Field, Fields as _};
use supd_core::json;

use super::Format;
use super::columns::Columns;
use super::zone::Times;
use crate::item::Item;

pub(crate) struct Logfmt {
    /// The keys that were asked for; all that there are, if none were.
    pub(crate) columns: Option<Columns>,
    pub(crate) times: Times,
}

impl Format for Logfmt {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        let mut line = Line { start: out.len(), out };
        match (item.value().filter(|value| !value.is_object()), &self.columns) {
            (Some(value), _) => line.push("value", value.into()),
            (None, Some(columns)) => columns.each(item, &self.times, |key, field| {
                if let Some(field) = field {
                    line.push(key, field);
                }
            }),
            (None, None) => item.each(&mut |key, field| {
                line.push(key, if key == "ts" { self.times.show(field) } else { field });
            }),
        }
        out.push(b'\n');
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl Line<'_> {
    fn push(&mut self, key: &str, field: Field<'_>) {
        if self.out.len() > self.start {
            self.out.push(b' ');
        }
        self.push_key(key);
        self.out.push(b'=');
        match field {
            Field::Number(number) => json::push_number(self.out, number),
            Field::Text(text) | Field::Json(text) => self.push_text(&text),
            field @ Field::Flag(_) => self.push_text(&field.into_plain()),
        }
    }

    /// A key cannot be quoted; what would end it becomes an underscore.
    fn push_key(&mut self, key: &str) {
        if key.is_empty() {
            return self.out.push(b'_');
        }
        let key: String = key.chars().map(|c| if must_be_quoted(c) { '_' } else { c }).collect();
        self.out.extend_from_slice(key.as_bytes());
    }

    /// In quotes it has JSON's escapes, as readers of logfmt expect; what acts on terminals is escaped too.
    fn push_text(&mut self, text: &str) {
        if !text.is_empty() && !text.contains(must_be_quoted) {
            return self.out.extend_from_slice(text.as_bytes());
        }
        let start = self.out.len();
        json::push_string(self.out, text);
        let quoted = String::from_utf8_lossy(&self.out[start..]);
        if quoted.contains(acts) {
            let shown = supd_core::describe::printable(&quoted).into_owned();
            self.out.truncate(start);
            self.out.extend_from_slice(shown.as_bytes());
        }
    }
}

fn must_be_quoted(c: char) -> bool {
    c.is_whitespace() || c == '=' || c == '"' || acts(c)
}

#[cfg(test)]
mod tests {
    use super::super::tests::formatted;
    use super::*;

    fn logfmt(fields: Option<&str>, line: &str) -> String {
        let columns = fields.map(|fields| fields.parse().unwrap());
        formatted(Logfmt { columns, times: Times::AsIs }, &[line])
    }

    #[test]
    fn pairs_are_quoted_where_they_have_to_be_and_stay_on_their_line() {
        let log = r#"{"ts":"2026-01-05T08:00:00.250Z","eventname":"E","processname":"a b","expected":false,"pid":7,"data":"x=\"1\"\n\u001b[31m\u202e\\","note":{"a":1},"none":"","odd key=":null}"#;
        assert_eq!(
            logfmt(None, log),
            "ts=2026-01-05T08:00:00.250Z eventname=E processname=\"a b\" expected=false pid=7 \
             data=\"x=\\\"1\\\"\\n\\u001b[31m\\u202e\\\\\" note=\"{\\\"a\\\":1}\" none=\"\" odd_key_=null\n"
        );
    }

    #[test]
    fn keys_that_are_asked_for_come_in_that_order_and_absent_ones_not_at_all() {
        let crash = r#"{"eventname":"PROCESS_STATE_FATAL","processname":"a"}"#;
        assert_eq!(logfmt(Some("severity,pid,processname"), crash), "severity=critical processname=a\n");
    }

    #[test]
    fn another_value_has_a_key_too() {
        assert_eq!(logfmt(None, r#""x y""#), "value=\"x y\"\n");
        assert_eq!(logfmt(None, "[1,2]"), "value=[1,2]\n");
        assert_eq!(logfmt(None, r#"{"n":null}"#), "n=null\n");
    }
}

//! Objects of the keys that were asked for, in that order, for ndjson and json.

use supd_core::fields::Field;
use supd_core::json;

use super::columns::Columns;
use super::zone::Times;
use crate::item::Item;

/// Appends an item as JSON on a line: of an object the keys that were asked for and that it has, or all as they are.
pub(crate) fn push_line(item: &Item<'_>, columns: Option<&Columns>, out: &mut Vec<u8>) {
    let is_object = item.value().is_none_or(|value| value.is_object());
    let Some(columns) = columns.filter(|_| is_object) else { return item.write_line(out) };
    let start = out.len();
    out.push(b'{');
    columns.each(item, &Times::AsIs, |key, field| {
        let Some(field) = field else { return };
        if out.len() > start + 1 {
            out.push(b',');
        }
        json::push_string(out, key);
        out.push(b':');
        push_value(out, &field);
    });
    out.extend_from_slice(b"}\n");
}

fn push_value(out: &mut Vec<u8>, field: &Field<'_>) {
    match field {
        Field::Text(text) => json::push_string(out, text),
        Field::Number(number) => json::push_number(out, *number),
        Field::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Field::Json(json) => out.extend_from_slice(json.as_bytes()),
    }
}

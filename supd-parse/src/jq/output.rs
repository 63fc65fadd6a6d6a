//! A value of the jq language as JSON text: always valid JSON, also where the value has more than JSON knows.

use std::fmt::Write as _;

use jaq_json::{Num, Val};
use supd_core::json::push_string;

/// Up to here every whole number is exact, and jq writes it without an exponent.
const LARGEST_WHOLE: f64 = 1e17;

/// Appends a value.
pub(super) fn push(out: &mut Vec<u8>, value: &Val) {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => push_number(out, number),
        Val::TStr(text) | Val::BStr(text) => push_string(out, &String::from_utf8_lossy(text)),
        Val::Arr(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                push_comma(out, at);
                push(out, value);
            }
            out.push(b']');
        }
        Val::Obj(members) => {
            out.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                push_comma(out, at);
                push_key(out, key);
                out.push(b':');
                push(out, value);
            }
            out.push(b'}');
        }
    }
}

fn push_comma(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

/// Any value can be a key in jaq; in JSON it is a string.
fn push_key(out: &mut Vec<u8>, key: &Val) {
    match key {
        Val::TStr(_) | Val::BStr(_) => push(out, key),
        other => push_string(out, &other.to_string()),
    }
}

/// As jq writes it: a quotient that is whole has no fraction, what is no number is null, and infinity is the largest
/// number there is.
fn push_number(out: &mut Vec<u8>, number: &Num) {
    let text = match number {
        Num::Float(float) if float.is_nan() => "null".to_owned(),
        Num::Float(float) if float.is_infinite() => {
            format!("{}1.7976931348623157e308", if *float < 0.0 { "-" } else { "" })
        }
        Num::Float(float) if float.fract() == 0.0 && float.abs() < LARGEST_WHOLE => format!("{float:.0}"),
        other => {
            let mut text = String::new();
            write!(text, "{other}").expect("a String takes everything");
            text
        }
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use jaq_json::read::parse_single;

    use super::*;

    fn text(value: &Val) -> String {
        let mut out = Vec::new();
        push(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_read_is_written_as_it_was() {
        for json in [
            r#"{"a":[1,-2.50,1e3,null,true,false,"\"\\\n\u0001é😀"],"b":{},"c":[]}"#,
            "123456789012345678901234567890.10",
        ] {
            assert_eq!(text(&parse_single(json.as_bytes()).unwrap()), json);
        }
    }

    #[test]
    fn what_json_has_no_word_for_is_json_all_the_same() {
        for (value, expected) in [
            (Val::from(f64::NAN), "null"),
            (Val::from(f64::NEG_INFINITY), "-1.7976931348623157e308"),
            (Val::from(4.0 / 2.0), "2"),
            (Val::from(-0.5), "-0.5"),
            (Val::byte_str(&b"a\xff"[..]), "\"a\u{fffd}\""),
            (Val::obj([(Val::from(1_usize), Val::Null)].into_iter().collect()), r#"{"1":null}"#),
        ] {
            assert_eq!(text(&value), expected);
            serde_json::from_str::<serde_json::Value>(&text(&value)).unwrap();
        }
    }
}

//! Functions of the language that are ours: they touch what is outside the filter, or what jaq's do otherwise or lack.

use jaq_core::box_iter::{box_once, then};
use jaq_core::native::{self, bome, unary, v};
use jaq_core::{DataT, Error, RunPtr, ValXs};
use jaq_json::{Val, read};

use super::program::Data;
use super::{delete, environment, output, row};

/// As deep as jq reads. Text that processes wrote must not use up the stack.
const DEEPEST: usize = 256;

pub(super) type Function = native::Filter<RunPtr<Data>>;

/// All of them.
pub(super) fn all() -> Vec<Function> {
    vec![
        ("env", v(0), |_| box_once(Ok(environment::value()))),
        ("debug_empty", v(0), |cv| {
            log::info!("--jq: debug: {}", json(&cv.1));
            Box::new(std::iter::empty())
        }),
        ("stderr_empty", v(0), |cv| {
            log::error!("--jq: {}", plain(&cv.1));
            Box::new(std::iter::empty())
        }),
        ("fromjson", v(0), |cv| from_json(cv.1)),
        ("delpaths_in_order", v(1), |cv| unary(cv, delete::paths)),
        ("@csv", v(0), |cv| bome(row::csv(&cv.1).map(Val::utf8_str))),
        ("@tsv", v(0), |cv| bome(row::tsv(&cv.1).map(Val::utf8_str))),
    ]
}

/// A value as JSON.
pub(super) fn json(value: &Val) -> String {
    let mut text = Vec::new();
    output::push(&mut text, value);
    String::from_utf8(text).expect("JSON text is UTF-8")
}

/// A string as it is, any other value as JSON.
pub(super) fn plain(value: &Val) -> String {
    match value {
        Val::TStr(text) => String::from_utf8_lossy(text).into_owned(),
        value => json(value),
    }
}

fn from_json<'a>(value: Val) -> ValXs<'a, <Data as DataT>::V<'a>> {
    let values = value.try_as_utf8_bytes_owned().and_then(|text| {
        if depth(&text) > DEEPEST {
            return Err(Error::str(format_args!("the JSON is nested more than {DEEPEST} deep")));
        }
        let unreadable = |error| Error::str(format_args!("cannot parse {value} as JSON: {error}"));
        // The reader does not get past what it cannot read, and would say so for ever.
        let values: Result<Vec<Val>, _> = read::parse_many(&text).collect();
        values.map(|values| values.into_iter().map(Ok)).map_err(unreadable)
    });
    then(values.map(|values| Box::new(values) as ValXs<'a, Val>).map_err(Into::into), |values| values)
}

/// How deep arrays and objects are nested.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_does_not_count_what_stands_in_strings() {
        for (text, expected) in
            [("1", 0), (r#"{"a":[[]],"b":[]}"#, 3), (r#"["[[[\"[[", "{"]"#, 1), ("]]][", 1), ("[\"", 1)]
        {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }
}

//! `@csv` and `@tsv`: an array as a line of a table.

use jaq_core::Error;
use jaq_json::Val;

type Result = std::result::Result<String, Error<Val>>;

/// Strings in quotes, everything else as it is.
pub(super) fn csv(value: &Val) -> Result {
    row(value, ",", "csv", |text| format!("\"{}\"", text.replace('"', "\"\"")))
}

/// What would end a cell is escaped.
pub(super) fn tsv(value: &Val) -> Result {
    row(value, "\t", "tsv", |text| {
        let escaped = text.replace('\\', "\\\\").replace('\t', "\\t");
        escaped.replace('\n', "\\n").replace('\r', "\\r")
    })
}

fn row(value: &Val, between: &str, format: &str, quote: impl Fn(&str) -> String) -> Result {
    let Val::Arr(values) = value else {
        return Err(Error::str(format_args!("cannot use {value} as a row of @{format}: it is no array")));
    };
    let cell = |value: &Val| match value {
        Val::Null => Ok(String::new()),
        Val::TStr(text) => Ok(quote(&String::from_utf8_lossy(text))),
        Val::Bool(_) | Val::Num(_) => Ok(super::functions::json(value)),
        _ => Err(Error::str(format_args!("cannot use {value} in a row of @{format}"))),
    };
    Ok(values.iter().map(cell).collect::<std::result::Result<Vec<_>, _>>()?.join(between))
}

//! What is wrong with the text of a filter, and where, on one line.

use jaq_core::compile::{self, Undefined};
use jaq_core::load::{self, File, lex, parse, span};
use supd_core::words::shortened;

/// So much of the offending part is shown.
const MOST_SHOWN: usize = 30;

/// What an input besides the record would be: there is none.
const INPUTS: [&str; 4] = ["input", "inputs", "input_filename", "input_line_number"];

/// What the lexer, the parser or the loader found first.
pub(super) fn load(errors: load::Errors<&str, ()>) -> String {
    let first = errors.into_iter().next().and_then(|(File { code, .. }, error)| match error {
        load::Error::Lex(errors) => errors.into_iter().next().map(|error| of_lexer(code, error)),
        load::Error::Parse(errors) => errors.into_iter().next().map(|error| of_parser(code, &error)),
        load::Error::Io(errors) => {
            errors.into_iter().next().map(|(path, reason)| at(code, path, &format!("'{path}': {reason}")))
        }
    });
    first.unwrap_or_else(|| "it makes no sense".to_owned())
}

/// What the compiler found first; `is_defined` tells whether a name has a meaning with other arguments.
pub(super) fn compile(errors: compile::Errors<&str, ()>, is_defined: &dyn Fn(&str) -> bool) -> String {
    let first = errors.into_iter().find_map(|(File { code, .. }, errors)| {
        let (name, undefined) = errors.into_iter().next()?;
        Some(at(code, name, &of_compiler(name, &undefined, is_defined)))
    });
    first.unwrap_or_else(|| "it makes no sense".to_owned())
}

fn of_lexer(code: &str, (expected, found): lex::Error<&str>) -> String {
    match expected {
        lex::Expect::Delim(open) => at(code, open, &format!("'{open}' is not closed")),
        _ if found.is_empty() => {
            at(code, found, &format!("it ends where {} is expected", a(expected.as_str())))
        }
        lex::Expect::Token => at(code, found, &format!("'{}' has no meaning here", first_character(found))),
        _ => {
            let wanted = a(expected.as_str());
            at(code, found, &format!("'{}' where {wanted} is expected", first_character(found)))
        }
    }
}

fn of_parser(code: &str, (expected, found): &parse::Error<&str>) -> String {
    let wanted = match expected {
        parse::Expect::Just(text) => format!("'{text}'"),
        parse::Expect::Nothing => "the end".to_owned(),
        other => a(other.as_str()),
    };
    if found.is_empty() {
        at(code, &code[code.len()..], &format!("it ends where {wanted} is expected"))
    } else {
        at(code, found, &format!("'{}' where {wanted} is expected", shown(found)))
    }
}

fn of_compiler(name: &str, undefined: &Undefined, is_defined: &dyn Fn(&str) -> bool) -> String {
    match (name, undefined) {
        ("reduce", Undefined::Filter(_)) => "'reduce' takes 2 arguments".to_owned(),
        ("foreach", Undefined::Filter(_)) => "'foreach' takes 2 or 3 arguments".to_owned(),
        (_, Undefined::Filter(_)) if INPUTS.contains(&name) => {
            format!("'{name}' is not defined: there is one record at a time")
        }
        (_, Undefined::Filter(count)) if is_defined(name) => match count {
            0 => format!("'{name}' takes arguments"),
            1 => format!("'{name}' does not take 1 argument"),
            _ => format!("'{name}' does not take {count} arguments"),
        },
        _ => format!("'{}' is not defined", shown(name)),
    }
}

/// Where a part of the code begins, then the message.
fn at(code: &str, part: &str, message: &str) -> String {
    let before = code.get(..span(code, part).start).unwrap_or(code);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() + 1;
    if code.trim_end().contains('\n') {
        let line = before.matches('\n').count() + 1;
        format!("line {line}, column {column}: {message}")
    } else {
        format!("column {column}: {message}")
    }
}

fn a(thing: &str) -> String {
    let article = if thing.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {thing}")
}

fn first_character(text: &str) -> &str {
    text.chars().next().map_or("", |first| &text[..first.len_utf8()])
}

fn shown(text: &str) -> String {
    shortened(text.to_owned(), MOST_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::super::program;

    fn complaint(code: &str) -> String {
        program::compile(code, &[]).map(drop).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (code, expected) in [
            ("selct(.pid)", "column 1: 'selct' is not defined"),
            (".a | select", "column 6: 'select' takes arguments"),
            ("map(1; 2)", "column 1: 'map' does not take 2 arguments"),
            ("\"é\" | $pid", "column 7: '$pid' is not defined"),
            ("[inputs]", "column 2: 'inputs' is not defined: there is one record at a time"),
            ("select(.pid", "column 7: '(' is not closed"),
            ("\"a", "column 1: '\"' is not closed"),
            (".a & .b", "column 4: '&' has no meaning here"),
            ("", "column 1: it ends where a term is expected"),
            (".a |", "column 5: it ends where a term is expected"),
            ("if .a then 1 fi", "column 14: 'fi' where an else or end is expected"),
            (".a\n| foo\n", "line 2, column 3: 'foo' is not defined"),
            ("import \"x\" as x; .", "column 9: 'x': module loading not supported"),
        ] {
            assert_eq!(complaint(code), expected, "{code}");
        }
    }
}

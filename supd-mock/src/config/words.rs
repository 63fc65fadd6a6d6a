//! Words and quotes, as the two modes of Python's shlex.py have them.

use std::iter::Peekable;
use std::str::Chars;

const SPACE: &str = " \t\r\n";

/// A command's words; as `shlex.split`.
///
/// # Errors
/// A quote that is not closed, or a backslash at the end.
pub(crate) fn split(command: &str) -> Result<Vec<String>, &'static str> {
    Ok(marked(command)?.into_iter().map(|word| word.into_iter().map(|(c, _)| c).collect()).collect())
}

/// How a character of a word was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    Bare,
    /// Within `"…"`, where a shell still replaces `$VAR`.
    Double,
    /// Within `'…'`, or behind a backslash.
    Literal,
}

/// The words, each character with its quoting: what a shell would act on can be told from what is meant literally.
pub(crate) fn marked(command: &str) -> Result<Vec<Vec<(char, Quoting)>>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Vec<(char, Quoting)>> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        if SPACE.contains(c) {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\'' => loop {
                match chars.next().ok_or("a quote is not closed")? {
                    '\'' => break,
                    c => word.push((c, Quoting::Literal)),
                }
            },
            '"' => loop {
                match chars.next().ok_or("a quote is not closed")? {
                    '"' => break,
                    '\\' => match chars.next().ok_or("it ends in a backslash")? {
                        c @ ('"' | '\\') => word.push((c, Quoting::Literal)),
                        // A shell would also take the backslash before these two, and leave them alone.
                        c @ ('$' | '`') => word.extend([('\\', Quoting::Literal), (c, Quoting::Literal)]),
                        c => word.extend([('\\', Quoting::Double), (c, Quoting::Double)]),
                    },
                    c => word.push((c, Quoting::Double)),
                }
            },
            '\\' => word.push((chars.next().ok_or("it ends in a backslash")?, Quoting::Literal)),
            c => word.push((c, Quoting::Bare)),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The tokens of `KEY="value",KEY2=value2`; as `shlex.shlex` without `posix`, so quotes stay and end a token.
///
/// # Errors
/// A quote that is not closed.
pub(crate) fn tokens(text: &str) -> Result<Vec<String>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if SPACE.contains(c) => {}
            '#' => skip_line(&mut chars),
            '"' | '\'' => {
                let mut token = String::from(c);
                loop {
                    let next = chars.next().ok_or("a quote is not closed")?;
                    token.push(next);
                    if next == c {
                        break;
                    }
                }
                tokens.push(token);
            }
            c if is_word(c) => {
                let mut token = String::from(c);
                while let Some(c) = chars.next_if(|c| is_word(*c) || "#\"'".contains(*c)) {
                    // A comment does not end a word: the word goes on in the next line.
                    if c == '#' { skip_line(&mut chars) } else { token.push(c) }
                }
                tokens.push(token);
            }
            c => tokens.push(c.to_string()),
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

fn skip_line(chars: &mut Peekable<Chars<'_>>) {
    for c in chars.by_ref() {
        if c == '\n' {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What shlex.split of Python 3.11 makes of them; the crates shlex and shell-words drop comments and line ends.
    #[test]
    fn words_are_pythons() {
        for (command, expected) in [
            ("a 'b c' \"d e\"", vec!["a", "b c", "d e"]),
            (r#"a\ b "\"\\\n\$" '\n' ''"#, vec!["a b", "\"\\\\n\\$", "\\n", ""]),
            ("a # b;c\n d", vec!["a", "#", "b;c", "d"]),
            ("a\\\nb é", vec!["a\nb", "é"]),
            (" ", vec![]),
        ] {
            assert_eq!(split(command).unwrap(), expected, "{command}");
        }
        assert!(split("a 'b").is_err() && split("a \"b").is_err() && split("a\\").is_err());
    }

    #[test]
    fn tokens_are_pythons() {
        for (text, expected) in [
            (
                r#"A="1,2",B='x',C=/a:b"#,
                vec!["A", "=", "\"1,2\"", ",", "B", "=", "'x'", ",", "C", "=", "/a:b"],
            ),
            ("A=é", vec!["A", "=", "é"]),
            ("A=b\"c d", vec!["A", "=", "b\"c", "d"]),
            ("A=b#c\nd", vec!["A", "=", "bd"]),
            ("A=\"\"", vec!["A", "=", "\"\""]),
        ] {
            assert_eq!(tokens(text).unwrap(), expected, "{text}");
        }
        assert!(tokens("A='b").is_err());
    }
}

//! Words and quotes, as the two modes of Python's shlex.py have them.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

const SPACE: &str = " \t\r\n";

/// What cannot be split, and where in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordError {
    pub(crate) offset: usize,
    pub(crate) problem: String,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) chars: Vec<(char, Quoting)>,
    /// Where in the text it begins.
    pub(crate) offset: usize,
}

/// A command's words; as `shlex.split`.
///
/// # Errors
/// A quote that is not closed, or a backslash at the end.
pub(crate) fn split(command: &str) -> Result<Vec<String>, WordError> {
    Ok(marked(command)?.iter().map(Word::plain).collect())
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

impl Word {
    /// The word without its quoting.
    pub(crate) fn plain(&self) -> String {
        self.chars.iter().map(|(c, _)| c).collect()
    }

    /// The word, with a `\0` for each character that is quoted.
    pub(crate) fn bare(&self) -> String {
        self.chars.iter().map(|(c, quoting)| if *quoting == Quoting::Bare { *c } else { '\0' }).collect()
    }
}

/// The words, each character with its quoting: what a shell would act on can be told from what is meant literally.
///
/// # Errors
/// As [`split`].
pub(crate) fn marked(command: &str) -> Result<Vec<Word>, WordError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = command.char_indices();
    while let Some((offset, c)) = chars.next() {
        if SPACE.contains(c) {
            words.extend(word.take());
            continue;
        }
        let Word { chars: word, .. } = word.get_or_insert(Word { chars: Vec::new(), offset });
        let mut next = |problem: &'static str| {
            let error = || WordError { offset, problem: problem.to_owned() };
            chars.next().map(|(_, c)| c).ok_or_else(error)
        };
        match c {
            '\'' => loop {
                match next("a quote is not closed")? {
                    '\'' => break,
                    c => word.push((c, Quoting::Literal)),
                }
            },
            '"' => loop {
                match next("a quote is not closed")? {
                    '"' => break,
                    '\\' => match next("it ends in a backslash")? {
                        c @ ('"' | '\\') => word.push((c, Quoting::Literal)),
                        // A shell would also take the backslash before these two, and leave them alone.
                        c @ ('$' | '`') => word.extend([('\\', Quoting::Literal), (c, Quoting::Literal)]),
                        c => word.extend([('\\', Quoting::Double), (c, Quoting::Double)]),
                    },
                    c => word.push((c, Quoting::Double)),
                }
            },
            '\\' => word.push((next("it ends in a backslash")?, Quoting::Literal)),
            c => word.push((c, Quoting::Bare)),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The tokens of `KEY="value",KEY2=value2`, each with the place in the text where it begins; as `shlex.shlex` without
/// `posix`, so quotes stay and end a token.
///
/// # Errors
/// A quote that is not closed.
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, String)>, WordError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        match c {
            c if SPACE.contains(c) => {}
            '#' => skip_line(&mut chars),
            '"' | '\'' => {
                let mut token = String::from(c);
                loop {
                    let unclosed = || WordError { offset, problem: "a quote is not closed".to_owned() };
                    let (_, next) = chars.next().ok_or_else(unclosed)?;
                    token.push(next);
                    if next == c {
                        break;
                    }
                }
                tokens.push((offset, token));
            }
            c if is_word(c) => {
                let mut token = String::from(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| is_word(*c) || "#\"'".contains(*c)) {
                    // A comment does not end a word: the word goes on in the next line.
                    if c == '#' { skip_line(&mut chars) } else { token.push(c) }
                }
                tokens.push((offset, token));
            }
            c => tokens.push((offset, c.to_string())),
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

fn skip_line(chars: &mut Peekable<CharIndices<'_>>) {
    for (_, c) in chars.by_ref() {
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
            let tokens: Vec<String> = tokens(text).unwrap().into_iter().map(|(_, token)| token).collect();
            assert_eq!(tokens, expected, "{text}");
        }
        assert_eq!(tokens("A='b").unwrap_err().offset, 2);
    }
}

//! What Python and Rust see differently in a text: white space, quotes in messages, lines.

/// White space as Python's `str.isspace` has it, and so `strip`, `split` and `\s`.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Python's `strip`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python's `split`.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The lines of a file opened as text: `\r\n` and `\r` end a line as well.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    // What follows the last line's end is no line.
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

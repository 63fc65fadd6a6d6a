//! A value with its lines: where each of them stands, and which comments cut them.

use super::fault::Origin;

/// One value, all its lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// The lines without comments and the white space around them, joined by `\n`.
    pub(crate) text: String,
    /// Where its key stands.
    pub(crate) at: Origin,
    /// The comments on its lines, each with what stands before it on the line, white space included.
    pub(crate) comments: Vec<Comment>,
    /// The number of each line of the text in the file; lines that are only a comment are none of them.
    lines: Vec<usize>,
}

/// A comment at the end of a value's line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comment {
    pub(crate) at: Origin,
    pub(crate) before: String,
    pub(crate) text: String,
}

impl Value {
    pub(crate) fn new(text: &str, at: &Origin) -> Self {
        Self { text: text.to_owned(), at: at.clone(), comments: Vec::new(), lines: vec![at.line] }
    }

    pub(crate) fn extend(&mut self, line: &str, number: usize) {
        self.text.push('\n');
        self.text.push_str(line);
        self.lines.push(number);
    }

    /// Where a part of the text stands, given what comes before it. What was expanded has its lines still.
    pub(crate) fn at_end_of(&self, before: &str) -> Origin {
        self.at_line(before.matches('\n').count())
    }

    /// Where the text's line with this number stands, counted from 0.
    pub(crate) fn at_line(&self, number: usize) -> Origin {
        let line = self.lines.get(number).or(self.lines.last()).copied().unwrap_or(self.at.line);
        Origin { line, ..self.at.clone() }
    }

    /// The text as it would be if its comments belonged to it.
    pub(crate) fn with_comments(&self) -> String {
        let whole = |(line, number): (&str, &usize)| {
            let comments = self.comments.iter().filter(|comment| comment.at.line == *number);
            let comments = comments.map(|comment| {
                let blanks = &comment.before[comment.before.trim_end().len()..];
                format!("{blanks}{}", comment.text)
            });
            line.to_owned() + &comments.collect::<String>()
        };
        self.text.split('\n').zip(&self.lines).map(whole).collect::<Vec<_>>().join("\n")
    }
}

impl Comment {
    /// Whether there is more than one blank before it, as before a comment that is meant.
    pub(crate) fn stands_apart(&self) -> bool {
        let text = self.before.trim_end();
        text.is_empty() || self.before[text.len()..] != *" "
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn value() -> Value {
        let at = Origin { file: Path::new("x").into(), line: 3 };
        let mut value = Value::new("a", &at);
        value.extend("b", 5);
        let at = Origin { line: 5, ..at };
        value.comments.push(Comment { at, before: "  b  ".into(), text: "; c".into() });
        value
    }

    #[test]
    fn each_part_stands_on_its_own_line() {
        let line = |before| value().at_end_of(before).line;
        assert_eq!((line(""), line("a\n"), line("a\nb\n\n")), (3, 5, 5));
    }

    #[test]
    fn a_comment_that_is_meant_stands_apart() {
        let apart = |before: &str| {
            let comment = value().comments.remove(0);
            Comment { before: before.into(), ..comment }.stands_apart()
        };
        assert!(apart("command=a  ") && apart("command=a\t") && apart(" "));
        assert!(!apart("command=a "));
    }

    #[test]
    fn comments_can_be_put_back() {
        assert_eq!(value().with_comments(), "a\nb  ; c");
    }
}

//! How wide text is on a terminal, where a character may take two places or none.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Places that this takes. It has been made printable before.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text, and spaces up to this width.
pub(crate) fn padded(text: &str, to: usize) -> String {
    format!("{text}{:1$}", "", to.saturating_sub(width(text)))
}

/// The text where it fits, or its beginning and an ellipsis; marks stay with the character that they stand on.
pub(crate) fn cut(text: &str, to: usize) -> String {
    if fits(text, to) {
        return text.to_owned();
    }
    let room = to.saturating_sub(1);
    let mut end = beginning(text, room);
    // A character may be wider for what follows it.
    while width(&text[..end]) > room {
        end = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    }
    format!("{}…", &text[..end])
}

/// The end of what can be seen of it; no character is looked at that lies further on.
fn fits(text: &str, to: usize) -> bool {
    // What is far longer could only be marks without end, which nobody can read.
    text.len() <= to * 16 + 64 && width(text) <= to
}

fn beginning(text: &str, room: usize) -> usize {
    let mut taken = 0;
    let longest = room * 16 + 64;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > room || at + c.len_utf8() > longest {
            return at;
        }
    }
    text.len()
}

/// A column that is as wide as what has been in it. What is wider than the limit is not cut, and does not push aside
/// what comes after it.
#[derive(Debug)]
pub(crate) struct Growing {
    width: usize,
    most: usize,
}

impl Growing {
    pub(crate) fn up_to(most: usize) -> Self {
        Self { width: 0, most }
    }

    /// Appends the text as it is painted, spaces up to the column's width, and two more before the next column; nothing
    /// as long as nothing has been in it.
    pub(crate) fn put(&mut self, line: &mut String, text: &str, painted: &str) {
        let width = width(text);
        if width <= self.most {
            self.width = self.width.max(width);
        }
        let room = self.width.max(width);
        if room > 0 {
            line.push_str(painted);
            line.extend(std::iter::repeat_n(' ', room - width + 2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_and_marks_take_the_places_that_they_take() {
        assert_eq!(padded("漢字", 6) + "|", "漢字  |");
        assert_eq!(padded("e\u{301}", 3) + "|", "e\u{301}  |");
        assert_eq!(padded("😀", 1), "😀");
    }

    #[test]
    fn a_cut_leaves_whole_characters_and_room_for_the_ellipsis() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢", 5), "漢字…");
        assert_eq!(cut("漢字漢", 4), "漢…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("☁\u{fe0f}☁\u{fe0f}", 3), "☁\u{fe0f}…");
        assert_eq!(cut("x", 0), "…");
    }

    #[test]
    fn a_column_grows_up_to_its_limit_and_what_is_wider_stands_alone() {
        let mut column = Growing::up_to(4);
        let mut put = |text: &str| {
            let mut line = String::new();
            column.put(&mut line, text, text);
            line
        };
        let lines = ["", "abcdef", "ab", "漢字", "ab", ""].map(&mut put);
        assert_eq!(lines, ["", "abcdef  ", "ab  ", "漢字  ", "ab    ", "      "]);
    }

    #[test]
    fn marks_without_end_come_to_one() {
        let text = format!("e{}", "\u{301}".repeat(1_000_000));
        assert!(cut(&text, 10).len() < 300);
    }
}

//! Numbers, spans and long texts as people read them in a sentence.

use std::time::Duration;

/// So many of a thing whose plural takes an s: `1 record`, `12 records`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The text, or so many characters of it and an ellipsis.
pub fn shortened(text: String, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A span of time in its two largest units: `5m 3s`, `4h`, `2d 3h`.
pub fn span(span: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = span.as_secs();
    let Some(largest) = UNITS.iter().position(|(size, _)| seconds >= *size) else {
        return "less than 1s".to_owned();
    };
    let (size, unit) = UNITS[largest];
    let rest = UNITS.get(largest + 1).map(|(next, unit)| (seconds % size / next, unit));
    match rest {
        Some((rest, smaller)) if rest > 0 => format!("{}{unit} {rest}{smaller}", seconds / size),
        _ => format!("{}{unit}", seconds / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let said = [0, 1, 2].map(|number| counted(number, "record"));
        assert_eq!(said, ["0 records", "1 record", "2 records"]);
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(shortened("é漢😀".into(), 3), "é漢😀");
        assert_eq!(shortened("é漢😀".into(), 2), "é漢…");
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 303].map(said), ["less than 1s", "1s", "59s", "1m", "5m 3s"]);
        assert_eq!([3_600, 14_403, 14_460, 183_600].map(said), ["1h", "4h", "4h 1m", "2d 3h"]);
    }
}

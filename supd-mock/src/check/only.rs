//! `--only`: which cases a person means.

use supd_core::cli::Usage;

use super::case::Entry;

/// The entries that any of these words names; all when there are no words.
pub(crate) fn choose(entries: &[Entry], words: &[String]) -> Result<Vec<Entry>, Usage> {
    if let Some(word) = words.iter().find(|word| !entries.iter().any(|entry| is_meant(entry, word))) {
        return Err(Usage(format!(
            "choose '{word}': no case or section is called so; near are {}",
            near(entries, word)
        )));
    }
    let chosen = |entry: &&Entry| words.is_empty() || words.iter().any(|word| is_meant(entry, word));
    Ok(entries.iter().filter(chosen).copied().collect())
}

fn is_meant(entry: &Entry, word: &str) -> bool {
    word == entry.case.id
        || word == entry.number()
        || word == entry.section.name
        || word == entry.number.0.to_string()
}

fn near(entries: &[Entry], word: &str) -> String {
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry.case.id).collect();
    // Whoever knows only one half of an id means it too.
    let halves = |id: &str| id.split('/').map(|half| distance(half, word)).min().unwrap_or(usize::MAX);
    ids.sort_by_key(|id| distance(id, word).min(halves(id)));
    ids.truncate(3);
    ids.join(", ")
}

/// How many characters must be changed, put in or taken out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.chars().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use supd_core::LenUnit;

    use super::super::{SECTIONS, case};
    use super::*;

    fn ids(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let chosen = choose(&case::entries(&SECTIONS, LenUnit::Chars), &words).unwrap();
        chosen.iter().map(|entry| entry.case.id).collect()
    }

    #[test]
    fn cases_and_sections_go_by_name_and_number() {
        assert_eq!(ids(&["reply/length", "1.2"]), ["start/ready", "reply/length"]);
        assert_eq!(ids(&["start"]), ids(&["1"]));
        assert_eq!(ids(&[]).len(), case::entries(&SECTIONS, LenUnit::Chars).len());
    }

    #[test]
    fn what_is_not_there_brings_up_what_is_near() {
        let entries = case::entries(&SECTIONS, LenUnit::Chars);
        let error = choose(&entries, &["reply/lenght".to_owned()]).unwrap_err().to_string();
        assert!(
            error.starts_with("choose 'reply/lenght'") && error.contains("near are reply/length"),
            "{error}"
        );
        let error = choose(&entries, &["crlf".to_owned()]).map(drop).unwrap_err().to_string();
        assert!(error.contains("near are text/crlf"), "{error}");
    }

    #[test]
    fn distances_are_levenshteins() {
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("a", "a")), (3, 3, 0));
    }
}

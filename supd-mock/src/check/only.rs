//! `--only` and `--skip`: which cases a person means.

use supd_core::cli::Usage;

use super::case::Entry;

/// The entries that any of the first words names, all when there are none, without those that the others name.
pub(crate) fn choose(entries: &[Entry], only: &[String], skip: &[String]) -> Result<Vec<Entry>, Usage> {
    let mut words = only.iter().chain(skip);
    if let Some(word) = words.find(|word| !entries.iter().any(|entry| is_meant(entry, word))) {
        return Err(Usage(format!(
            "choose '{word}': no case or section is called so; near are {}; --list shows them all",
            near(entries, word)
        )));
    }
    let names = |words: &[String], entry: &Entry| words.iter().any(|word| is_meant(entry, word));
    let chosen = |entry: &&Entry| (only.is_empty() || names(only, entry)) && !names(skip, entry);
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
    let distance = |part: &str| strsim::levenshtein(part, word);
    ids.sort_by_key(|id| id.split('/').map(distance).min().unwrap_or(usize::MAX).min(distance(id)));
    ids.truncate(3);
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use supd_core::LenUnit;

    use super::super::{SECTIONS, case};
    use super::*;

    fn ids(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let chosen = choose(&case::entries(&SECTIONS, LenUnit::Chars), &words, &[]).unwrap();
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
        let error = choose(&entries, &["reply/lenght".to_owned()], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("choose 'reply/lenght'") && error.contains("near are reply/length"),
            "{error}"
        );
        let error = choose(&entries, &[], &["crlf".to_owned()]).map(drop).unwrap_err().to_string();
        assert!(error.contains("near are text/crlf"), "{error}");
    }
}

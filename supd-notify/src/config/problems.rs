//! What is wrong with a configuration, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

use supd_core::cli::Usage;
use toml::Spanned;

/// What is wrong with a file, and what is only odd.
#[derive(Debug)]
pub(crate) struct Problems {
    path: PathBuf,
    text: String,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    /// Which bytes of the text; `None` when it is something that is not there.
    place: Option<Range<usize>>,
    message: String,
}

impl Problems {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), errors: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn error(&mut self, place: impl Into<Option<Range<usize>>>, message: impl Into<String>) {
        self.errors.push(Problem { place: place.into(), message: message.into() });
    }

    pub(super) fn unknown_key<'a>(
        &mut self,
        key: &Spanned<String>,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        let alike = did_you_mean(key.get_ref(), known.clone());
        let message = format!("unknown key '{}', expected one of {}{alike}", key.get_ref(), list(known));
        self.error(key.span(), message);
    }

    pub(super) fn warn(&mut self, place: impl Into<Option<Range<usize>>>, message: impl Into<String>) {
        self.warnings.push(Problem { place: place.into(), message: message.into() });
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// A line for everything that is wrong, in the file's order.
    pub(super) fn errors(&self) -> Vec<String> {
        self.lines(&self.errors)
    }

    /// A line for everything that is odd, in the file's order.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.lines(&self.warnings)
    }

    /// The first error, and how many more there are.
    pub(crate) fn in_one_line(&self) -> Usage {
        let mut errors = self.errors().into_iter();
        let first = errors.next().unwrap_or_default();
        Usage(match errors.len() {
            0 => first,
            more => format!("{first} (and {more} more, which 'supd-notify check-config' shows)"),
        })
    }

    fn lines(&self, problems: &[Problem]) -> Vec<String> {
        let mut problems: Vec<&Problem> = problems.iter().collect();
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.start));
        let line = |problem: &&Problem| {
            let place = problem.place.as_ref().map_or(String::new(), |place| self.position(place.start));
            format!("read configuration '{}': {place}{}", self.path.display(), problem.message)
        };
        problems.iter().map(line).collect()
    }

    /// `line 7, column 3: `, both counted from 1, columns in characters.
    fn position(&self, byte: usize) -> String {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: ")
    }
}

/// `'a', 'b', 'c'`
pub(super) fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

/// `; did you mean 'event'?` when one of these words is near; else nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &&str| strsim::osa_distance(known, word);
    let nearest = known.min_by_key(distance).filter(|known| distance(known) <= 2.min(word.len() / 3));
    nearest.map_or(String::new(), |nearest| format!("; did you mean '{nearest}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_the_file_is_said_first_with_its_place() {
        let mut problems = Problems::new(Path::new("a.toml"), "é = 1\nb = 2\n");
        problems.error(7..8, "no b");
        assert_eq!(problems.in_one_line().0, "read configuration 'a.toml': line 2, column 1: no b");
        problems.error(3..4, "no =");
        problems.error(None, "no c");
        assert_eq!(
            problems.in_one_line().0,
            "read configuration 'a.toml': no c (and 2 more, which 'supd-notify check-config' shows)"
        );
        assert_eq!(problems.errors()[1], "read configuration 'a.toml': line 1, column 3: no =");
    }

    #[test]
    fn a_word_that_is_near_is_proposed() {
        let known = || ["event", "process", "group"].into_iter();
        assert_eq!(did_you_mean("evnet", known()), "; did you mean 'event'?");
        assert_eq!(did_you_mean("severity", known()), "");
        assert_eq!(did_you_mean("x", known()), "");
    }
}

//! `--grep`: regular expressions on the text of an event, as its process wrote it.

use regex::bytes::{RegexSet, RegexSetBuilder};
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use supd_core::fields::Fields as _;

use super::literals::plain_run;
use crate::item::Item;

/// More literals than this are not looked for: a search for many costs more than it saves.
const MAX_LITERALS: usize = 64;

/// Expressions, one of which has to match.
#[derive(Debug, Clone)]
pub(crate) struct Grep {
    set: RegexSet,
    /// Texts one of which stands in every line whose text matches; `None` where there is nothing to go by.
    pub(crate) literals: Option<Vec<Vec<u8>>>,
    /// Where the text of the record in hand is put together.
    body: Vec<u8>,
}

impl Grep {
    /// From expressions that [`check`] has found to be some.
    ///
    /// # Errors
    /// A one-line message: together they are too large.
    pub(crate) fn new(patterns: &[String], ignore_case: bool) -> Result<Self, String> {
        let set = RegexSetBuilder::new(patterns)
            .multi_line(true)
            .case_insensitive(ignore_case)
            .build()
            .map_err(|_| "--grep: the expressions are too large")?;
        let each = patterns.iter().map(|pattern| literals(&parse(pattern, ignore_case).ok()?));
        let literals: Option<Vec<_>> = each.collect();
        let literals = literals.map(Vec::into_iter).map(|each| each.flatten().collect());
        Ok(Self { set, literals, body: Vec::new() })
    }

    /// Whether the record has a text, and one of the expressions matches in it.
    pub(crate) fn matches(&mut self, item: &Item<'_>) -> bool {
        item.body_in(&mut self.body).is_some_and(|body| self.set.is_match(body))
    }
}

/// Takes what is a regular expression.
///
/// # Errors
/// A one-line message.
pub(crate) fn check(pattern: &str) -> Result<String, String> {
    parse(pattern, false)?;
    Ok(pattern.to_owned())
}

/// Lines of a text are matched as grep does, each with a beginning and an end.
fn parse(pattern: &str, ignore_case: bool) -> Result<Hir, String> {
    let mut parser = regex_syntax::ParserBuilder::new();
    parser.multi_line(true).case_insensitive(ignore_case).utf8(false);
    parser.build().parse(pattern).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        error => error.to_string(),
    })
}

/// What every match begins with, or what it ends with, if that says more.
fn literals(expression: &Hir) -> Option<Vec<Vec<u8>>> {
    let kinds = [ExtractKind::Prefix, ExtractKind::Suffix];
    let found = kinds.into_iter().filter_map(|kind| {
        let mut extractor = Extractor::new();
        extractor.kind(kind.clone()).limit_total(MAX_LITERALS);
        let mut sequence = extractor.extract(expression);
        match kind {
            ExtractKind::Suffix => sequence.optimize_for_suffix_by_preference(),
            _ => sequence.optimize_for_prefix_by_preference(),
        }
        in_lines(&sequence)
    });
    found.max_by_key(|literals| literals.iter().map(Vec::len).min())
}

fn in_lines(sequence: &Seq) -> Option<Vec<Vec<u8>>> {
    let literals = sequence.literals().filter(|literals| literals.len() <= MAX_LITERALS)?;
    literals.iter().map(|literal| plain_run(literal.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pattern: &str, ignore_case: bool) -> Option<Vec<String>> {
        let grep = Grep::new(&[check(pattern).unwrap()], ignore_case).unwrap();
        let text = |literal: &Vec<u8>| String::from_utf8(literal.clone()).unwrap();
        grep.literals.map(|literals| literals.iter().map(text).collect())
    }

    #[test]
    fn what_a_match_must_hold_is_looked_for_first() {
        for (pattern, literals) in [
            ("timeout", &["timeout"][..]),
            ("error|panic", &["error", "panic"]),
            ("^Traceback .*most", &["Traceback "]),
            (r"\w+Error", &["Error"]),
            (r#"say "hello/world""#, &["hello"]),
            ("café", &["café"]),
        ] {
            assert_eq!(said(pattern, false).unwrap(), literals, "{pattern}");
        }
        for nothing in [r"\d+", ".*", "a?", "", "error|", r#""/"#, "[\n]x?"] {
            assert_eq!(said(nothing, false), None, "{nothing}");
        }
    }

    #[test]
    fn any_case_is_looked_for_in_each() {
        let literals = said("oom", true).unwrap();
        assert!(literals.contains(&"OoM".to_owned()) && literals.len() == 8, "{literals:?}");
    }

    #[test]
    fn what_is_no_expression_is_refused_in_a_line() {
        assert_eq!(check("(").unwrap_err(), "unclosed group");
        assert!(!check("[z-a]").unwrap_err().contains('\n'));
    }
}

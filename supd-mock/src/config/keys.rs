//! A section's values: looked up, expanded and taken for what they should be, with a fault for each that is not.

use super::datatypes;
use super::expand::{ExpandError, Expansion, Expansions, expand};
use super::fault::{Fault, Origin};
use super::ini::{Ini, Section};
use super::value::{Comment, Value};
use super::words::WordError;

/// One section, with the names that may be used in its values.
pub(crate) struct Keys<'a> {
    ini: &'a Ini,
    pub(crate) section: &'a Section,
    pub(crate) expansions: Expansions,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(
        ini: &'a Ini,
        section: &'a Section,
        expansions: &Expansions,
        faults: &'a mut Vec<Fault>,
    ) -> Self {
        Self { ini, section, expansions: expansions.clone(), faults }
    }

    pub(crate) fn know(&mut self, name: &str, expansion: Expansion) {
        self.expansions.insert(name.to_owned(), expansion);
    }

    /// The value as it stands in the file.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a Value> {
        self.ini.value(self.section, key)
    }

    /// The value expanded; nothing when the key is missing, or cannot be expanded, which is a fault.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let raw = self.raw(key)?;
        self.expand(key, &raw.text)
    }

    /// The value as a number, a boolean, … The default stands in when the key is missing or faulty.
    pub(crate) fn get<T>(
        &mut self,
        key: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.parsed(key, parse, false).unwrap_or(default)
    }

    /// As [`Self::get`], when only the check matters.
    pub(crate) fn check<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) {
        self.parsed(key, parse, false);
    }

    /// As [`Self::check`], where the answer depends on the machine.
    pub(crate) fn local<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.parsed(key, parse, true)
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        local: bool,
    ) -> Option<T> {
        let text = self.text(key)?;
        let problem = match parse(&text) {
            Ok(parsed) => return Some(parsed),
            Err(problem) => problem,
        };
        let fault = Fault::of_key(&self.at(key), &self.section.name, key, &problem);
        self.refuse(Fault { local, ..fault.cure(format!("correct it, or leave {key} out")) });
        None
    }

    pub(crate) fn expand(&mut self, key: &str, text: &str) -> Option<String> {
        let errors = match expand(text, &self.expansions) {
            Ok(expanded) => return Some(expanded),
            Err(errors) => errors,
        };
        for (offset, error) in errors {
            let at = self.at_end_of(key, &text[..offset]);
            let fault = Fault::of_key(&at, &self.section.name, key, &error.to_string());
            let local = matches!(&error, ExpandError::Unknown(name) if name.starts_with("ENV_"));
            self.refuse(Fault { local, ..fault.cure(error.cure()) });
        }
        None
    }

    /// Reads `KEY="value"` pairs. Where a comment has cut them, it is to blame.
    pub(crate) fn environment(&mut self, text: &str) -> Vec<(String, String)> {
        let WordError { offset, problem } = match datatypes::environment(text) {
            Ok(environment) => return environment,
            Err(error) => error,
        };
        let value = self.raw("environment");
        let whole = value.and_then(|value| expand(&value.with_comments(), &self.expansions).ok());
        let comment = value.and_then(|value| value.comments.first());
        match comment.filter(|_| whole.is_some_and(|whole| datatypes::environment(&whole).is_ok())) {
            Some(Comment { at, text, .. }) => {
                let problem = format!("{problem} (supervisord takes '{text}' for a comment)");
                let fault = Fault::of_key(at, &self.section.name, "environment", &problem);
                self.refuse(fault.cure("no blank before ; and #"));
            }
            None => {
                let cure = "write KEY=\"value\",KEY2=\"value\"";
                self.fault_after("environment", &text[..offset], &problem, Some(cure));
            }
        }
        Vec::new()
    }

    /// Where a key stands, or else its section.
    pub(crate) fn at(&self, key: &str) -> Origin {
        self.raw(key).map_or_else(|| self.section.at(), |value| &value.at).clone()
    }

    fn at_end_of(&self, key: &str, before: &str) -> Origin {
        self.raw(key).map_or_else(|| self.section.at().clone(), |value| value.at_end_of(before))
    }

    /// A problem with a key; each is said once, however many processes it concerns.
    pub(crate) fn fault(&mut self, key: &str, problem: &str, cure: Option<&str>) {
        self.fault_after(key, "", problem, cure);
    }

    /// A problem with a part of a value, behind what stands before it.
    pub(crate) fn fault_after(&mut self, key: &str, before: &str, problem: &str, cure: Option<&str>) {
        let at = if before.is_empty() { self.at(key) } else { self.at_end_of(key, before) };
        let fault = Fault::of_key(&at, &self.section.name, key, problem);
        self.refuse(Fault { cure: cure.map(str::to_owned), ..fault });
    }

    /// A problem with the section as a whole.
    pub(crate) fn section_fault(&mut self, problem: &str, cure: &str) {
        self.refuse(Fault::new(self.section.at(), &self.section.name, problem).cure(cure));
    }

    fn refuse(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

//! A section's values: looked up, expanded and taken for what they should be, with a fault for each that is not.

use super::expand::{Expansion, Expansions, expand};
use super::fault::{Fault, Origin};
use super::ini::{Ini, Section, Value};

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
        let Some(text) = self.text(key) else { return default };
        parse(&text).unwrap_or_else(|problem| {
            self.fault(key, &problem, Some(&format!("correct it, or leave {key} out")));
            default
        })
    }

    /// As [`Self::get`], when only the check matters.
    pub(crate) fn check<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) {
        self.get(key, None, |text| parse(text).map(Some));
    }

    pub(crate) fn expand(&mut self, key: &str, text: &str) -> Option<String> {
        match expand(text, &self.expansions) {
            Ok(expanded) => Some(expanded),
            Err(errors) => {
                for error in errors {
                    self.fault(key, &error.to_string(), Some(&error.cure()));
                }
                None
            }
        }
    }

    /// Where a key stands, or else its section.
    pub(crate) fn at(&self, key: &str) -> Origin {
        self.raw(key).map_or_else(|| self.section.at(), |value| &value.at).clone()
    }

    /// A problem with a key; each is said once, however many processes it concerns.
    pub(crate) fn fault(&mut self, key: &str, problem: &str, cure: Option<&str>) {
        let mut fault = Fault::new(&self.at(key), &self.section.name, format!("{key}: {problem}"));
        fault.cure = cure.map(str::to_owned);
        self.refuse(fault);
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

//! The form of the file: sections, keys, values and comments, as Python's `RawConfigParser` reads them.
//!
//! From configparser.py with supervisor's settings: `inline_comment_prefixes=(';', '#')`, `strict=False`.

use std::path::Path;
use std::sync::Arc;

use super::fault::{Fault, Origin};
use super::text::{is_space, lines, strip};
use super::value::{Comment, Value};

const DEFAULT: &str = "DEFAULT";

#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// Where its headers stand: more than one when it was written more than once, which merges.
    pub(crate) headers: Vec<Origin>,
    values: Vec<(String, Value)>,
}

/// Everything that was read so far, from one file or several.
#[derive(Debug, Default)]
pub(crate) struct Ini {
    pub(crate) sections: Vec<Section>,
    /// `[DEFAULT]`: values for the keys that a section does not have.
    defaults: Vec<(String, Value)>,
}

/// Which section a line belongs to.
#[derive(Clone, Copy)]
enum Place {
    Defaults,
    Section(usize),
}

impl Section {
    /// The keys that stand in the section itself.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn at(&self) -> &Origin {
        self.headers.first().expect("a section begins with a header")
    }

    /// What follows the colon in `[program:x]`, when the section is of this type.
    pub(crate) fn name_after(&self, prefix: &str) -> Option<&str> {
        self.name.strip_prefix(prefix)?.strip_prefix(':')
    }
}

impl Ini {
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// A key's value in this section, or else in `[DEFAULT]`.
    pub(crate) fn value<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Value> {
        find(&section.values, key).or_else(|| find(&self.defaults, key))
    }

    /// Adds a file's text. A line that is neither header nor key is a fault, for which supervisord refuses the file;
    /// the rest is read all the same.
    pub(crate) fn read(&mut self, file: &Arc<Path>, text: &str, faults: &mut Vec<Fault>) {
        let mut place = None;
        // The key whose value the next line may continue.
        let mut key: Option<String> = None;
        let mut indent = 0;
        // A byte order mark stands before the first section, as far as supervisord is concerned.
        let unmarked = text.strip_prefix('\u{feff}');
        if unmarked.is_some() {
            let at = Origin { file: Arc::clone(file), line: 1 };
            let problem = "the file begins with a byte order mark, which is no section";
            faults.push(Fault::new(&at, "", problem).cure("save it as UTF-8 without a byte order mark"));
        }
        for (line, number) in lines(unmarked.unwrap_or(text)).iter().zip(1..) {
            let at = Origin { file: Arc::clone(file), line: number };
            let comment = comment_start(line);
            let value = strip(&line[..comment.unwrap_or(line.len())]);
            let open = place.zip(key.as_deref());
            if value.is_empty() {
                // An empty line belongs to the value around it, a comment's line does not.
                if let (None, Some((place, key))) = (comment, open) {
                    self.extend(place, key, "", number);
                }
                continue;
            }
            let depth = line.chars().take_while(|c| is_space(*c)).count();
            if let Some((place, key)) = open.filter(|_| depth > indent) {
                self.extend(place, key, value, number);
            } else {
                indent = depth;
                if let Some(name) = header(value) {
                    place = Some(self.open(name, &at));
                    key = None;
                    continue;
                }
                let Some(place) = place else {
                    let problem = format!("'{value}' stands before the first section");
                    faults.push(Fault::new(&at, "", problem).cure("begin with [supervisord]"));
                    continue;
                };
                let Some((name, value)) = value.split_once(['=', ':']).filter(|(name, _)| !name.is_empty())
                else {
                    let problem = format!("'{value}' is neither a section nor key=value");
                    let cure = "write key=value; indent a line that continues a value";
                    faults.push(Fault::new(&at, self.name(place), problem).cure(cure));
                    continue;
                };
                let name = name.trim_end_matches(is_space).to_lowercase();
                put(self.values(place), &name, Value::new(strip(value), &at));
                key = Some(name);
            }
            if let (Some(start), Some((place, key))) = (comment, place.zip(key.as_deref())) {
                let (before, text) = (line[..start].to_owned(), line[start..].trim_end().to_owned());
                self.value_mut(place, key).comments.push(Comment { at, before, text });
            }
        }
        let all = self.sections.iter_mut().map(|section| &mut section.values);
        for (_, value) in all.chain([&mut self.defaults]).flatten() {
            value.text.truncate(value.text.trim_end_matches(is_space).len());
        }
    }

    /// Replaces `%(here)s` in all that was read, and was not replaced before.
    pub(crate) fn expand_here(&mut self, here: &str) {
        let replaced = |value: &Value| {
            let mut value = value.text.contains("%(here)s").then(|| value.clone())?;
            value.text = value.text.replace("%(here)s", here);
            Some(value)
        };
        for section in &mut self.sections {
            // A default that names its directory means the directory of the first file that is read after it.
            for (key, value) in &self.defaults {
                if let (None, Some(value)) = (find(&section.values, key), replaced(value)) {
                    section.values.push((key.clone(), value));
                }
            }
            for (_, value) in &mut section.values {
                if let Some(new) = replaced(value) {
                    *value = new;
                }
            }
        }
    }

    fn open(&mut self, name: &str, at: &Origin) -> Place {
        if let Some(index) = self.sections.iter().position(|section| section.name == name) {
            self.sections[index].headers.push(at.clone());
            return Place::Section(index);
        }
        if name == DEFAULT {
            return Place::Defaults;
        }
        self.sections.push(Section { name: name.to_owned(), headers: vec![at.clone()], values: Vec::new() });
        Place::Section(self.sections.len() - 1)
    }

    fn name(&self, place: Place) -> &str {
        match place {
            Place::Defaults => DEFAULT,
            Place::Section(index) => &self.sections[index].name,
        }
    }

    fn values(&mut self, place: Place) -> &mut Vec<(String, Value)> {
        match place {
            Place::Defaults => &mut self.defaults,
            Place::Section(index) => &mut self.sections[index].values,
        }
    }

    fn value_mut(&mut self, place: Place, key: &str) -> &mut Value {
        let found = self.values(place).iter_mut().find(|(name, _)| name == key);
        &mut found.expect("a key that was read has a value").1
    }

    fn extend(&mut self, place: Place, key: &str, line: &str, number: usize) {
        self.value_mut(place, key).extend(line, number);
    }
}

fn find<'a>(values: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    values.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The last one counts, at the place of the first.
fn put(values: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match values.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => values.push((key.to_owned(), value)),
    }
}

/// `[name]`, up to the last bracket; what follows it counts for nothing.
fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?;
    name.rfind(']').filter(|end| *end > 0).map(|end| &name[..end])
}

/// Where the line's comment begins: at its first character, or behind white space.
///
/// Python looks for the next `;` and the next `#` in turns, and stops at the turn in which one of them begins a comment:
/// in `a;b #c ;d` the second turn never comes, although it would not matter here.
fn comment_start(line: &str) -> Option<usize> {
    if strip(line).starts_with([';', '#']) {
        return Some(0);
    }
    let mut from = [(';', Some(0)), ('#', Some(0))];
    while from.iter().any(|(_, from)| from.is_some()) {
        let mut start = None;
        for (prefix, from) in &mut from {
            let found = from.and_then(|from| Some(from + line[from..].find(*prefix)?));
            *from = found.map(|at| at + 1);
            let begins = |at: &usize| line[..*at].chars().next_back().is_none_or(is_space);
            start = [start, found.filter(begins)].into_iter().flatten().min();
        }
        if start.is_some() {
            return start;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Ini, Vec<Fault>) {
        let (mut ini, mut faults) = (Ini::default(), Vec::new());
        ini.read(&Arc::from(Path::new("x.conf")), text, &mut faults);
        (ini, faults)
    }

    fn value(text: &str, key: &str) -> String {
        let ini = read(text).0;
        ini.value(ini.section("s").unwrap(), key).unwrap().text.clone()
    }

    #[test]
    fn a_comment_needs_white_space_before_it() {
        assert_eq!(value("[s]\na=1;2 ;3", "a"), "1;2");
        assert_eq!(value("[s]\na=x#y", "a"), "x#y");
        assert_eq!(value("[s]\na=x\t# y", "a"), "x");
        // Python's turns: '#' is found in the first one, before the second ';' is looked at.
        assert_eq!(value("[s]\na=p;q ;r #s", "a"), "p;q ;r");
    }

    #[test]
    fn deeper_lines_and_empty_ones_continue_a_value() {
        assert_eq!(value("[s]\na=1\n  2 ; no\n\n  3\n\nb=4\n", "a"), "1\n2\n\n3");
        assert_eq!(value("[s]\na:\n\tx\n ; not here\n\ty", "a"), "\nx\ny");
    }

    #[test]
    fn sections_merge_and_the_last_value_counts() {
        let text = "[DEFAULT]\nd = 0\n[s]\nA = 1\n[t]\n[s] junk\na : 2";
        assert_eq!(value(text, "a"), "2");
        assert_eq!(value(text, "d"), "0");
        assert_eq!(read(text).0.section("s").unwrap().headers.len(), 2);
    }

    #[test]
    fn what_is_no_line_of_a_configuration_is_a_fault() {
        for (text, line) in [("a=1", 1), ("[s]\n\nnonsense", 3), ("[s]\n=x", 2), ("[]\n[s]", 1)] {
            assert_eq!(read(text).1[0].at.line, line, "{text}");
        }
    }
}

//! What must stand in a line for its record to pass: texts to look for before anything is parsed.
//!
//! A text stands in a JSON string as it is, unless it holds what JSON writes otherwise (a quote, a backslash, a control
//! character) or may (a slash), or is spelled with `\u`: the former are left out here, and the search stops at the
//! latter whatever it looks for. The quotes around a string are part of a text that is all of it, or an end of it.

use supd_core::State;
use supd_core::pattern::{Glob, ProcessPattern};

use super::Select;

/// A shorter text stands in every other line.
const SHORTEST: usize = 3;

/// So many lines of a hundred pass a search that is not worth it.
const TOO_COMMON: u32 = 90;

/// Texts one of which stands in every line that meets a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literals {
    pub(crate) any: Vec<Vec<u8>>,
    /// In about so many lines of a hundred, as far as one can tell without having seen them.
    share: u32,
}

impl Select {
    /// The texts of the condition that lets the fewest lines pass; `None` where each line has to be read.
    pub(crate) fn literals(&self, problems: bool) -> Option<Literals> {
        if self.invert {
            return None;
        }
        let glob = |share| move |glob: &Glob| Some((vec![of_glob(&glob.to_string())?], share));
        let grep = self.grep.as_ref().and_then(|grep| grep.literals.clone());
        [
            Literals::of(&self.events, |event| of_event(&event.to_string())),
            Literals::of(&self.processes, of_process),
            Literals::of(&self.groups, glob(12)),
            Literals::of(&self.hosts, glob(30)),
            Literals::of(&self.servers, glob(60)),
            Literals::of(&self.from_states, |state| Some((vec![quoted(state.name())], 20))),
            Literals::of(&self.states, |state| Some(of_state(*state))),
            self.unexpected.then(|| Literals { any: vec![quoted("PROCESS_STATE_EXITED")], share: 15 }),
            // The text of a body that is not UTF-8 cannot be looked for.
            grep.map(|any| Literals { any: [any, vec![b"data_b64".to_vec()]].concat(), share: 5 }),
            problems.then(of_problems),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|literals| (literals.share, literals.any.len()))
        .filter(|literals| literals.share < TOO_COMMON)
    }
}

impl Literals {
    /// Of alternatives, all of which must have some.
    fn of<T>(alternatives: &[T], each: impl Fn(&T) -> Option<(Vec<Vec<u8>>, u32)>) -> Option<Self> {
        let all: Vec<_> = alternatives.iter().map(each).collect::<Option<_>>()?;
        let share = all.iter().map(|(_, share)| share).sum();
        let mut any: Vec<_> = all.into_iter().flat_map(|(any, _)| any).collect();
        any.sort();
        any.dedup();
        (!any.is_empty()).then_some(Self { any, share })
    }
}

/// The longest part of a text that stands in a line as it is; the first of several.
pub(crate) fn plain_run(text: &[u8]) -> Option<Vec<u8>> {
    let runs = text.split(|byte| matches!(byte, ..0x20 | b'"' | b'\\' | b'/'));
    longest(runs.map(<[u8]>::to_vec))
}

fn longest(runs: impl Iterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
    let longest = runs.reduce(|longest, run| if run.len() > longest.len() { run } else { longest })?;
    (longest.len() >= SHORTEST).then_some(longest)
}

fn quoted(text: &str) -> Vec<u8> {
    format!("\"{text}\"").into_bytes()
}

fn of_glob(glob: &str) -> Option<Vec<u8>> {
    let is_cut = |c: char| matches!(c, '*' | '?' | '"' | '\\' | '/') || c < ' ';
    let mut runs: Vec<Vec<u8>> = glob.split(is_cut).map(|run| run.as_bytes().to_vec()).collect();
    runs.first_mut()?.insert(0, b'"');
    runs.last_mut()?.push(b'"');
    longest(runs.into_iter())
}

/// The name says more than the group, unless it is any.
fn of_process(pattern: &ProcessPattern) -> Option<(Vec<Vec<u8>>, u32)> {
    let text = pattern.to_string();
    let (group, name) = text.split_once(':').map_or((None, &*text), |(group, name)| (Some(group), name));
    let named = of_glob(name).map(|literal| (vec![literal], 8));
    named.or_else(|| Some((vec![of_glob(group?)?], 12)))
}

/// A name and all that continue it.
fn of_event(name: &str) -> Option<(Vec<Vec<u8>>, u32)> {
    let share = match name {
        "EVENT" => return None,
        "PROCESS_STATE" => 95,
        "PROCESS_STATE_STARTING" | "PROCESS_STATE_RUNNING" | "PROCESS_LOG" => 30,
        "PROCESS_STATE_BACKOFF" | "PROCESS_STATE_EXITED" | "PROCESS_LOG_STDOUT" => 15,
        "PROCESS_STATE_FATAL" => 3,
        _ if name.starts_with("SUPD") => 2,
        _ => 7,
    };
    // Ours may have any name; the rest of an odd one may be spelled otherwise.
    let plain = name.split(|c| matches!(c, ..' ' | '"' | '\\' | '/')).next().unwrap_or_default();
    Some((vec![[b"\"", plain.as_bytes()].concat()], share))
}

/// The end of the event's name; or the key of one that another program has derived.
fn of_state(state: State) -> (Vec<Vec<u8>>, u32) {
    let name = format!("PROCESS_STATE_{}", state.name());
    let share = of_event(&name).map_or(0, |(_, share)| share);
    (vec![quoted(&name), quoted("state")], share)
}

/// What is one or may end one is a process's state, or an event of our own. In what supervisord sends most of when it
/// sends much, which is logs, neither stands.
fn of_problems() -> Literals {
    Literals { any: vec![b"\"PROCESS_STATE_".to_vec(), b"\"SUPD_".to_vec()], share: 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(glob: &str) -> Option<String> {
        of_glob(glob).map(|literal| String::from_utf8(literal).unwrap())
    }

    #[test]
    fn of_a_glob_the_longest_run_is_looked_for_with_the_quotes_it_touches() {
        for (text, literal) in [
            ("web", "\"web\""),
            ("web_*", "\"web_"),
            ("*-worker", "-worker\""),
            ("a*middle*z", "middle"),
            ("w?b:long", "b:long\""),
            ("a/bcd", "bcd\""),
            ("café", "\"café\""),
        ] {
            assert_eq!(glob(text).as_deref(), Some(literal));
        }
        for nothing in ["*", "?*", "", "a*", "a\"*"] {
            assert_eq!(glob(nothing), None);
        }
    }

    #[test]
    fn the_rarest_condition_is_looked_for() {
        let select = Select {
            events: ["running", "fatal"].map(|name| supd_core::EventPattern::parse(name).unwrap()).into(),
            processes: vec!["web:*".to_owned().into()],
            ..Select::default()
        };
        assert_eq!(select.literals(true).unwrap().any, [b"\"web\""]);
        let inverted = Select { invert: true, ..select };
        assert_eq!(inverted.literals(false), None);
        let all =
            Select { processes: vec!["web".to_owned().into(), "*".to_owned().into()], ..Select::default() };
        assert_eq!(all.literals(false), None);
    }
}

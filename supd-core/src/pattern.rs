//! Names with `*` and `?` in them, as people write them to say which processes they mean.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use wildmatch::WildMatch;

use crate::record::Record;

/// A glob on a name; an event that has no such name does not match.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "String")]
pub struct Glob(WildMatch);

impl Glob {
    /// Whether the name is there and matches.
    pub fn matches(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.0.matches(name))
    }
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Self(WildMatch::new(&text))
    }
}

impl FromStr for Glob {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A glob on `name`, or on `group:name` when it holds a colon: names cannot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "String")]
pub struct ProcessPattern {
    group: Option<Glob>,
    name: Glob,
}

impl ProcessPattern {
    /// Whether the record's process is meant.
    pub fn matches(&self, record: &Record) -> bool {
        self.matches_names(record.payload.processname.as_deref(), record.payload.groupname.as_deref())
    }

    /// Whether the process of this name, in the group of that name, is meant.
    pub fn matches_names(&self, process: Option<&str>, group: Option<&str>) -> bool {
        self.name.matches(process) && self.group.as_ref().is_none_or(|pattern| pattern.matches(group))
    }
}

impl From<String> for ProcessPattern {
    fn from(text: String) -> Self {
        match text.split_once(':') {
            Some((group, name)) => {
                Self { group: Some(group.to_owned().into()), name: name.to_owned().into() }
            }
            None => Self { group: None, name: text.into() },
        }
    }
}

impl fmt::Display for ProcessPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{group}:{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl FromStr for ProcessPattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(process: &str, group: &str) -> Record {
        let text = format!(
            r#"{{"eventname":"PROCESS_STATE_FATAL","processname":"{process}","groupname":"{group}"}}"#
        );
        Record::from_line(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_process_is_named_alone_or_with_its_group() {
        let matches = |glob: &str, process, group| {
            ProcessPattern::from(glob.to_owned()).matches(&record(process, group))
        };
        assert!(matches("web_*", "web_00", "web"));
        assert!(matches("web:*", "web_00", "web"));
        assert!(matches("w?b:web_00", "web_00", "web"));
        assert!(!matches("web", "web_00", "web"));
        assert!(!matches("api:*", "web_00", "web"));
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_written() {
        for text in ["web_*", "w?b:*"] {
            assert_eq!(ProcessPattern::from(text.to_owned()).to_string(), text);
        }
    }

    #[test]
    fn an_event_without_a_process_matches_no_process() {
        let tick = Record::from_line(br#"{"eventname":"TICK_5"}"#).unwrap();
        assert!(!ProcessPattern::from("*".to_owned()).matches(&tick));
        assert!(!Glob::from("*".to_owned()).matches(tick.payload.groupname.as_deref()));
    }
}

//! What supervisord refuses in a configuration, where it stands, and what to do about it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) file: Arc<Path>,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// A reason for supervisord not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Origin,
    /// Empty outside of sections.
    pub(crate) section: String,
    /// The key whose value is refused; nothing when it is the section as a whole.
    pub(crate) key: Option<String>,
    pub(crate) problem: String,
    pub(crate) cure: Option<String>,
    /// Whether another machine, with its own users and environment, may see no fault in it.
    pub(crate) local: bool,
}

impl Fault {
    pub(crate) fn new(at: &Origin, section: &str, problem: impl Into<String>) -> Self {
        let (section, problem) = (section.to_owned(), problem.into());
        Self { at: at.clone(), section, key: None, problem, cure: None, local: false }
    }

    /// The fault of one key.
    pub(crate) fn of_key(at: &Origin, section: &str, key: &str, problem: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::new(at, section, format!("{key}: {problem}")) }
    }

    pub(crate) fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// `supervisord.conf:12: [eventlistener:x] events: …`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, section, problem, .. } = self;
        if section.is_empty() {
            write!(f, "{at}: {problem}")
        } else {
            write!(f, "{at}: [{section}] {problem}")
        }
    }
}

impl std::error::Error for Fault {}

//! A finding, and its line.

use std::fmt;

use serde_json::json;
use supd_core::describe::printable;

use crate::config::{Fault, Origin, Section};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// What is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) at: Origin,
    pub(super) severity: Severity,
    /// Empty outside of sections.
    section: String,
    problem: String,
    cure: String,
}

impl Finding {
    pub(super) fn error(at: Origin, section: &Section, problem: String, cure: impl Into<String>) -> Self {
        Self { at, severity: Severity::Error, section: section.name.clone(), problem, cure: cure.into() }
    }

    pub(super) fn warning(at: Origin, section: &Section, problem: String, cure: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(at, section, problem, cure) }
    }

    pub(super) fn to_json(&self) -> String {
        let Self { at, severity, section, problem, cure } = self;
        let (file, severity) = (at.file.to_string_lossy(), severity.to_string());
        json!({"file": file, "line": at.line, "severity": severity, "section": section, "problem": problem, "cure": cure})
            .to_string()
    }
}

impl From<&Fault> for Finding {
    fn from(fault: &Fault) -> Self {
        Self {
            at: fault.at.clone(),
            severity: Severity::Error,
            section: fault.section.clone(),
            problem: format!("{}, so supervisord does not start", fault.problem),
            cure: fault.cure.clone().unwrap_or_else(|| "correct it".to_owned()),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// `FILE:LINE: warning: [section] what is wrong, and why it matters; cure: …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, severity, section, problem, cure } = self;
        let section = if section.is_empty() { String::new() } else { format!("[{section}] ") };
        f.write_str(&printable(&format!("{at}: {severity}: {section}{problem}; cure: {cure}")))
    }
}

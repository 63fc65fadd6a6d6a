//! What a case is: what it requires of a listener, why, how it is tried, and how it can end.

use std::fmt;

use supd_core::LenUnit;

use super::session::Session;

/// How bad it is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Breaking it silences the listener, loses events, or harms supervisord.
    Must,
    /// Everything else.
    Should,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        }
    }
}

/// One thing that a listener's author must get right.
#[derive(Debug)]
pub(crate) struct Case {
    /// Such as `text/in-step`; the part before the slash is the section's.
    pub(crate) id: &'static str,
    pub(crate) level: Level,
    /// What is required, as a sentence without its full stop; short enough for a line.
    pub(crate) requires: &'static str,
    /// Why that is so, or what it is good for: a sentence.
    pub(crate) why: &'static str,
    /// Cases without which this one could only fail for their reason. They come earlier in the list.
    pub(crate) needs: &'static [&'static str],
    /// The only unit of `len` in which it makes sense.
    pub(crate) only: Option<LenUnit>,
    pub(crate) run: fn(&mut Session<'_>) -> Verdict,
}

/// Cases about one subject.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) cases: &'static [Case],
}

/// A case with its place in the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) section: &'static Section,
    pub(crate) case: &'static Case,
    /// Both count from one: `2.3`.
    pub(crate) number: (usize, usize),
}

impl Entry {
    pub(crate) fn number(&self) -> String {
        format!("{}.{}", self.number.0, self.number.1)
    }
}

/// All cases that make sense for this unit of `len`, in their order.
pub(crate) fn entries(sections: &[&'static Section], len: LenUnit) -> Vec<Entry> {
    let numbered = sections.iter().zip(1..).flat_map(|(&section, major)| {
        section.cases.iter().zip(1..).map(move |(case, minor)| Entry {
            section,
            case,
            number: (major, minor),
        })
    });
    numbered.filter(|entry| entry.case.only.is_none_or(|only| only == len)).collect()
}

/// A case's outcome: `Err` holds a [`Failure`], or what kept us from trying.
pub(crate) type Verdict = anyhow::Result<()>;

/// The listener did not do what was required.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What it did instead, as a sentence without its full stop.
    pub(crate) happened: String,
    /// What supervisord makes of that.
    pub(crate) consequence: String,
}

/// A [`Failure`] as the error of a [`Verdict`].
pub(crate) fn failure(happened: impl Into<String>, consequence: impl Into<String>) -> anyhow::Error {
    Failure { happened: happened.into(), consequence: consequence.into() }.into()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.happened)
    }
}

impl std::error::Error for Failure {}

//! How the outcome is told; one file for each form.

mod json;
mod junit;
mod tap;
mod text;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::case::{Entry, Failure, Level};
use super::transcript::{Transcript, shown};

/// How many characters of what was said are worth reading.
const WIDTH: usize = 240;

/// A form of report, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// Test Anything Protocol, for prove(1) and others
    Tap,
    /// JUnit's XML, for CI servers
    Junit,
    /// One JSON object
    Json,
}

impl Form {
    pub(crate) fn start(self, run: Run) -> Box<dyn Report> {
        match self {
            Self::Text => {
                let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                Box::new(text::Text::new(run, io::stdout().is_terminal() && !plain))
            }
            Self::Tap => Box::new(tap::Tap::new(run)),
            Self::Junit => Box::new(junit::Junit(run)),
            Self::Json => Box::new(json::Json(run)),
        }
    }
}

/// What is being judged.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The listener's command line.
    pub(crate) listener: String,
    pub(crate) strict: bool,
}

/// How a case ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    Failed(Failure, Transcript),
    /// Because this one, which it needs, failed.
    NotTried(Entry),
}

#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) entry: Entry,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl Judged {
    /// Whether the listener is not good enough.
    pub(crate) fn is_fatal(&self, strict: bool) -> bool {
        matches!(self.outcome, Outcome::Failed(..)) && (strict || self.entry.case.level == Level::Must)
    }

    /// One word for it.
    fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(..) => "failed",
            Outcome::NotTried(_) => "not tried",
        }
    }
}

/// A report in the making: each call gives the text to write next.
pub(crate) trait Report {
    fn begin(&mut self, _entries: &[Entry]) -> String {
        String::new()
    }

    fn case(&mut self, _judged: &Judged) -> String {
        String::new()
    }

    fn end(&mut self, all: &[Judged], took: Duration) -> String;
}

/// How many cases ended in which way.
struct Counts {
    passed: usize,
    failed: usize,
    warned: usize,
    not_tried: usize,
}

impl Counts {
    fn of(all: &[Judged], strict: bool) -> Self {
        let count = |of: &dyn Fn(&Judged) -> bool| all.iter().filter(|judged| of(judged)).count();
        let failed = count(&|judged| judged.is_fatal(strict));
        Self {
            passed: count(&|judged| matches!(judged.outcome, Outcome::Passed)),
            failed,
            warned: count(&|judged| matches!(judged.outcome, Outcome::Failed(..))) - failed,
            not_tried: count(&|judged| matches!(judged.outcome, Outcome::NotTried(_))),
        }
    }
}

/// What proves a failure, by name.
fn evidence(judged: &Judged) -> Option<Value> {
    let Outcome::Failed(failure, transcript) = &judged.outcome else {
        return None;
    };
    let exchanges: Vec<Value> = transcript
        .exchanges()
        .map(|said| json!({"sent": shown(&said.sent, WIDTH), "received": shown(&said.received, WIDTH)}))
        .collect();
    Some(json!({
        "exchanges": exchanges,
        "happened": failure.happened,
        "consequence": failure.consequence,
        "stderr": transcript.last_words(),
    }))
}

//! The Test Anything Protocol.
//!
//! It announces version 13: what is written is the same in 14, but prove(1) up to Perl 5.38 refuses that number.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::case::Entry;
use super::{Judged, Outcome, Report, Run, evidence};

pub(super) struct Tap {
    run: Run,
    number: usize,
}

impl Tap {
    pub(super) fn new(run: Run) -> Self {
        Self { run, number: 0 }
    }
}

impl Report for Tap {
    fn begin(&mut self, entries: &[Entry]) -> String {
        format!("TAP version 13\n1..{}\n", entries.len())
    }

    fn case(&mut self, judged: &Judged) -> String {
        self.number += 1;
        let Judged { entry, outcome, .. } = judged;
        let ok = if matches!(outcome, Outcome::Failed(..)) { "not ok" } else { "ok" };
        let mut text = format!("{ok} {} - {} {}", self.number, entry.number(), entry.case.id);
        match outcome {
            Outcome::Passed => {}
            // What SHOULD be done is to do, and no failure.
            Outcome::Failed(..) if !judged.is_fatal(self.run.strict) => text += " # TODO SHOULD",
            Outcome::Failed(..) => {}
            Outcome::NotTried(reason) => {
                let _ = write!(text, " # SKIP needs {} {}", reason.number(), reason.case.id);
            }
        }
        text.push('\n');
        if let Some(evidence) = evidence(judged) {
            let _ = writeln!(text, "  ---\n  level: {}", entry.case.level.name());
            let _ = writeln!(text, "  required: {}", serde_json::Value::from(entry.case.requires));
            // JSON is YAML.
            for (key, value) in evidence.as_object().into_iter().flatten() {
                let _ = writeln!(text, "  {key}: {value}");
            }
            text += "  ...\n";
        }
        text
    }

    fn end(&mut self, _all: &[Judged], _took: Duration) -> String {
        String::new()
    }
}

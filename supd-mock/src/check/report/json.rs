//! One JSON object, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Counts, Judged, Outcome, Report, Run, evidence};

pub(super) struct Json(pub(super) Run);

impl Report for Json {
    fn end(&mut self, all: &[Judged], took: Duration) -> String {
        let Counts { passed, failed, warned, not_tried } = Counts::of(all, self.0.strict);
        let cases: Vec<Value> = all.iter().map(case).collect();
        let report = json!({
            "listener": self.0.listener,
            "strict": self.0.strict,
            "seconds": seconds(took),
            "passed": passed,
            "failed": failed,
            "warned": warned,
            "not_tried": not_tried,
            "cases": cases,
        });
        format!("{report:#}\n")
    }
}

fn case(judged: &Judged) -> Value {
    let case = judged.entry.case;
    let mut value = json!({
        "id": case.id,
        "number": judged.entry.number(),
        "section": judged.entry.section.title,
        "level": case.level.name(),
        "required": case.requires,
        "why": case.why,
        "outcome": judged.word(),
        "seconds": seconds(judged.took),
    });
    if let Outcome::NotTried(reason) = &judged.outcome {
        value["needs"] = reason.case.id.into();
    }
    if let Some(evidence) = evidence(judged) {
        value["evidence"] = evidence;
    }
    value
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

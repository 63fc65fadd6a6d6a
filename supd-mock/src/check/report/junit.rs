//! JUnit's XML, as CI servers read it: a suite for each section.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::case::Level;
use super::super::transcript::shown;
use super::{Counts, Judged, Outcome, Report, Run, WIDTH, evidence};

pub(super) struct Junit(pub(super) Run);

impl Report for Junit {
    fn end(&mut self, all: &[Judged], took: Duration) -> String {
        let name = escape(&shown(self.0.listener.as_bytes(), WIDTH));
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let attributes = self.counts(all, took);
        // A String cannot fail, here and below.
        let _ = writeln!(text, "<testsuites name=\"{name}\" {attributes}>");
        for section in all.chunk_by(|one, other| one.entry.number.0 == other.entry.number.0) {
            let title = escape(section[0].entry.section.title);
            let took = section.iter().map(|judged| judged.took).sum();
            let _ = writeln!(text, "  <testsuite name=\"{title}\" {}>", self.counts(section, took));
            for judged in section {
                text += &self.testcase(judged);
            }
            text += "  </testsuite>\n";
        }
        text + "</testsuites>\n"
    }
}

impl Junit {
    fn counts(&self, all: &[Judged], took: Duration) -> String {
        let Counts { failed, warned, not_tried, .. } = Counts::of(all, self.0.strict);
        format!(
            "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\"",
            all.len(),
            warned + not_tried,
            took.as_secs_f64()
        )
    }

    fn testcase(&self, judged: &Judged) -> String {
        let case = judged.entry.case;
        let mut text = format!(
            "    <testcase classname=\"{}\" name=\"{} {}\" time=\"{:.3}\"",
            judged.entry.section.name,
            judged.entry.number(),
            case.id,
            judged.took.as_secs_f64()
        );
        match &judged.outcome {
            Outcome::Passed => return text + "/>\n",
            Outcome::NotTried(reason) => {
                let needs = format!("needs {} {}", reason.number(), reason.case.id);
                let _ = writeln!(text, ">\n      <skipped message=\"{needs}\"/>");
            }
            Outcome::Failed(failure, _) => {
                let message = escape(&format!("{}: {}", case.requires, failure.happened));
                let proof = escape(&evidence(judged).map(|value| format!("{value:#}")).unwrap_or_default());
                let _ = match case.level {
                    // CI servers know no warnings.
                    Level::Should if !self.0.strict => writeln!(
                        text,
                        ">\n      <skipped message=\"SHOULD: {message}\"/>\n      <system-out>{proof}</system-out>"
                    ),
                    level => writeln!(
                        text,
                        ">\n      <failure type=\"{}\" message=\"{message}\">{proof}</failure>",
                        level.name()
                    ),
                };
            }
        }
        text + "    </testcase>\n"
    }
}

/// Control characters, which XML cannot hold, do not occur: all that was said is shown escaped.
fn escape(text: &str) -> String {
    let text = text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escape("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}

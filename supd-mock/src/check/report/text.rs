//! The report for people: a line for each case as it ends, and the evidence below those that failed.

use std::fmt::Write as _;
use std::time::Duration;

use supd_core::words::counted;

use super::super::case::{Entry, Failure};
use super::super::transcript::{Transcript, shown};
use super::{Counts, Judged, Outcome, Report, Run, WIDTH};

const COLUMNS: usize = 80;
/// Where the evidence stands, and where what it says.
const INDENT: usize = 10;
const VALUE: usize = INDENT + 10;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

pub(super) struct Text {
    run: Run,
    colour: bool,
    section: &'static str,
    /// Cases one after the other that were not tried: their numbers, and what they need.
    left_out: Vec<(String, String)>,
}

impl Text {
    pub(super) fn new(run: Run, colour: bool) -> Self {
        Self { run, colour, section: "", left_out: Vec::new() }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn evidence(&self, entry: &Entry, failure: &Failure, transcript: &Transcript) -> String {
        let case = entry.case;
        let mut lines = vec![(case.level.name(), case.id.to_owned())];
        for said in transcript.exchanges() {
            if !said.sent.is_empty() {
                lines.push(("sent", shown(&said.sent, WIDTH)));
            }
            lines.push((
                "received",
                match &said.received[..] {
                    [] => "nothing".to_owned(),
                    received => shown(received, WIDTH),
                },
            ));
        }
        lines.push(("happened", failure.happened.clone()));
        lines.push(("then", failure.consequence.clone()));
        lines.push(("why", case.why.to_owned()));
        let labels = std::iter::once("stderr").chain(std::iter::repeat(""));
        lines.extend(labels.zip(transcript.last_words()));
        lines.iter().map(|(label, value)| self.labelled(label, value)).collect()
    }

    /// One line for cases that were left out for the same reason, however many.
    fn take_left_out(&mut self) -> String {
        let left_out = std::mem::take(&mut self.left_out);
        let lines = left_out.chunk_by(|one, next| one.1 == next.1).map(|chunk| {
            let (first, needed) = &chunk[0];
            let which = match chunk.last().map(|(last, _)| last).filter(|last| *last != first) {
                Some(last) => {
                    format!("{first:>5} to {last}: {} cases not tried, they need {needed}", chunk.len())
                }
                None => format!("{first:>5} not tried, it needs {needed}"),
            };
            format!("  {}\n", self.paint(DIM, &format!("– {which}")))
        });
        lines.collect()
    }

    fn labelled(&self, label: &str, value: &str) -> String {
        let mut text = String::new();
        for (number, line) in wrap(value, COLUMNS - VALUE).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let label = self.paint(DIM, &format!("{label:<width$}", width = VALUE - INDENT));
            // A String cannot fail.
            let _ = writeln!(text, "{:INDENT$}{label}{line}", "");
        }
        text
    }
}

impl Report for Text {
    fn begin(&mut self, _entries: &[Entry]) -> String {
        let words = shown(self.run.listener.as_bytes(), WIDTH);
        wrap(&words, COLUMNS).iter().map(|line| self.paint(BOLD, line) + "\n").collect()
    }

    fn case(&mut self, judged: &Judged) -> String {
        let Judged { entry, outcome, .. } = judged;
        let (mark, what, evidence) = match outcome {
            Outcome::Passed => (self.paint(GREEN, "✔"), entry.case.requires.to_owned(), String::new()),
            Outcome::Failed(failure, transcript) => {
                let fatal = judged.is_fatal(self.run.strict);
                let mark = if fatal { self.paint(RED, "✘") } else { self.paint(YELLOW, "!") };
                let style = if fatal { RED } else { YELLOW };
                (mark, self.paint(style, entry.case.requires), self.evidence(entry, failure, transcript))
            }
            Outcome::NotTried(reason) => {
                self.left_out.push((entry.number(), reason.number()));
                return String::new();
            }
        };
        let mut text = self.take_left_out();
        if self.section != entry.section.name {
            self.section = entry.section.name;
            let heading = format!("{} {}", entry.number.0, entry.section.title);
            text += &format!("\n{}\n", self.paint(BOLD, &heading));
        }
        // A String cannot fail.
        let _ = write!(text, "  {mark} {:>5} {what}\n{evidence}", entry.number());
        text
    }

    fn end(&mut self, all: &[Judged], took: Duration) -> String {
        let Counts { passed, failed, warned, not_tried } = Counts::of(all, self.run.strict);
        let left_out = self.take_left_out();
        let mut parts = vec![self.paint(if passed > 0 { GREEN } else { DIM }, &format!("{passed} passed"))];
        for (count, what, style) in
            [(failed, "failed", RED), (warned, "not as it SHOULD be", YELLOW), (not_tried, "not tried", DIM)]
        {
            if count > 0 {
                parts.push(self.paint(style, &format!("{count} {what}")));
            }
        }
        format!(
            "{left_out}\n{} in {:.1} s: {}\n",
            counted(all.len() as u64, "case"),
            took.as_secs_f64(),
            parts.join(", ")
        )
    }
}

/// Lines of at most so many characters, cut between words where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > width {
        let space = rest[..=width].iter().rposition(|&c| c == ' ').filter(|&at| at > width / 2);
        let at = space.unwrap_or(width);
        let line: String = rest.drain(..at).collect();
        lines.push(line);
        if space.is_some() {
            rest.remove(0);
        }
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_or_where_they_must() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijkl", 5), ["abcde", "fghij", "kl"]);
        assert_eq!(wrap("", 5), [""]);
    }
}

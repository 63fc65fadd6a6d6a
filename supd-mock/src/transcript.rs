//! What was said between supervisord and its listeners, as lines that are the same in every run that goes the same way:
//! no times, no process ids, and replies whole however they were cut.
//!
//! ```text
//! alerts = STARTING -> RUNNING
//! alerts < READY\n
//! alerts > ver:3.0 server:supervisor serial:0 … len:15\nwhen:1795356105
//! alerts < RESULT 2\nOK
//! alerts ! a line that supervisord does not understand\n
//! ```

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::Signal;
use similar::TextDiff;
use supd_core::State;
use supd_core::stdio;
use supd_core::supervisor::{ListenerState, Report};

/// Writes a transcript, keeps one for a comparison, or both.
#[derive(Debug)]
pub(crate) struct Transcript {
    file: Option<(BufWriter<File>, PathBuf)>,
    lines: Option<Vec<String>>,
    to_stdout: bool,
}

impl Transcript {
    /// Writes to a file, if one is given; `keep` makes [`Self::lines`] possible.
    pub(crate) fn new(path: Option<&Path>, keep: bool) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let file = File::create(path).with_context(|| format!("create '{}'", path.display()))?;
            anyhow::Ok((BufWriter::new(file), path.to_owned()))
        };
        Ok(Self { file: path.map(open).transpose()?, lines: keep.then(Vec::new), to_stdout: false })
    }

    /// Writes each line to standard output at once.
    pub(crate) fn to_stdout() -> Self {
        Self { file: None, lines: None, to_stdout: true }
    }

    /// An event was written to a listener.
    pub(crate) fn sent(&mut self, process: &str, wire: &[u8]) -> anyhow::Result<()> {
        self.line(process, '>', &escaped(wire))
    }

    /// A listener was sent a signal.
    pub(crate) fn signalled(&mut self, process: &str, signal: Signal) -> anyhow::Result<()> {
        let name = match signal {
            Signal::TERM => "SIGTERM".to_owned(),
            Signal::KILL => "SIGKILL".to_owned(),
            other => format!("signal {}", other.as_raw()),
        };
        self.line(process, '=', &name)
    }

    /// Something happened.
    pub(crate) fn report(&mut self, report: &Report) -> anyhow::Result<()> {
        match report {
            Report::Process { process, change } => {
                let expected = match (change.to, change.expected) {
                    (State::Exited, true) => " (expected)",
                    (State::Exited, false) => " (unexpected)",
                    _ => "",
                };
                let change = format!("{} -> {}{expected}", change.from.name(), change.to.name());
                self.line(process, '=', &change)
            }
            Report::Listener { process, to: ListenerState::Ready, .. } => self.line(process, '<', "READY\\n"),
            Report::Accepted { process, .. } => self.line(process, '<', "RESULT 2\\nOK"),
            Report::Rejected { process, result: Some(result), .. } => {
                let text = format!("RESULT {}\\n{}", result.len(), escaped(result));
                self.line(process, '<', &text)
            }
            Report::Rejected { process, serial, result: None } => {
                self.line(process, '=', &format!("event {serial} unanswered"))
            }
            Report::Poisoned { process, output } => self.line(process, '!', &escaped(output)),
            Report::Dropped { pool, serial, .. } => self.line(pool, '=', &format!("event {serial} dropped")),
            Report::Listener { process, to: ListenerState::Unknown, .. } => {
                self.line(process, '=', "UNKNOWN")
            }
            Report::Listener { .. } | Report::Sent { .. } => Ok(()),
        }
    }

    fn line(&mut self, process: &str, direction: char, text: &str) -> anyhow::Result<()> {
        let line = format!("{process} {direction} {text}\n");
        if self.to_stdout {
            stdio::print(line.as_bytes())?;
        }
        if let Some((file, path)) = &mut self.file {
            file.write_all(line.as_bytes()).with_context(|| format!("write '{}'", path.display()))?;
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
        Ok(())
    }

    /// Ends the file, and gives what was kept.
    pub(crate) fn finish(mut self) -> anyhow::Result<String> {
        if let Some((file, path)) = &mut self.file {
            file.flush().with_context(|| format!("write '{}'", path.display()))?;
        }
        Ok(self.lines.unwrap_or_default().concat())
    }
}

/// How a transcript differs from an earlier one, as a unified diff; `None` when it does not. What comes first is left
/// aside where that is chance: of several processes, and between a conversation and supervisord's own doing.
pub(crate) fn difference(name: &str, expected: &str, actual: &str) -> Option<String> {
    let (old, new) = (by_process(expected), by_process(actual));
    let diff = TextDiff::from_lines(&old, &new);
    (old != new).then(|| diff.unified_diff().context_radius(3).header(name, "this run").to_string())
}

fn by_process(transcript: &str) -> String {
    let mut lines: Vec<&str> = transcript.split_inclusive('\n').collect();
    lines.sort_by_key(|line| {
        let mut words = line.split(' ');
        (words.next(), words.next() != Some("="))
    });
    lines.concat()
}

/// Bytes on one line: UTF-8 as it is, line ends, control characters and other bytes escaped.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() || char == '\\' {
                text.extend(char.escape_default());
            } else {
                text.push(char);
            }
        }
        text += &chunk.invalid().escape_ascii().to_string();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_on_one_line_and_text_stays_readable() {
        assert_eq!(escaped("é\n\\\u{1b}".as_bytes()), "é\\n\\\\\\u{1b}");
        assert_eq!(escaped(b"a\xffb"), "a\\xffb");
    }

    #[test]
    fn only_what_each_process_said_is_compared() {
        let old = "a < READY\\n\na = STARTING -> RUNNING\nb < READY\\n\na > x\n";
        let same = difference("old", old, "b < READY\\n\na = STARTING -> RUNNING\na < READY\\n\na > x\n");
        let other = difference("old", old, "a = STARTING -> RUNNING\na < READY\\n\na > y\nb < READY\\n\n");
        assert_eq!(same, None);
        assert!(other.unwrap().contains("-a > x\n+a > y\n"));
    }
}

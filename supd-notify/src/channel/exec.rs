//! A program for each record: the record on its standard input, its keys in the environment.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Value, json};
use supd_core::cli::Usage;

use super::{Audience, Channel, Failure, Receipt};
use crate::message::Message;
use crate::parcel::Parcel;
use crate::program;

/// What sysexits.h calls EX_DATAERR: the program says that this record will never do.
const EX_DATAERR: i32 = 65;

/// The system refuses an environment with a longer value; the record on standard input is whole.
const MAX_VALUE: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  supd-parse -e fatal | supd-notify exec -- /usr/local/bin/page-me
  supd-parse --problems |
    supd-notify exec -- sh -c 'echo \"$SUPD_TITLE\" | wall'";

/// Run a program for each record
///
/// The record is the program's standard input, its keys are in the environment: SUPD_EVENTNAME, SUPD_PROCESSNAME,
/// SUPD_PID and so on, and as words for people SUPD_TITLE, SUPD_SEVERITY and SUPD_TEXT. Status 0 means delivered, 65 (EX_DATAERR) that it never will be; after any other, or when the
/// attempt's time is up, it is run again. What the program prints goes to standard error. No shell is involved.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<PathBuf>,
}

impl Args {
    /// That the program is not there, if so.
    pub(crate) fn oddity(&self) -> Option<String> {
        self.program.first().and_then(|program| program::missing(program))
    }
}

pub(crate) struct Exec {
    program: PathBuf,
    args: Vec<PathBuf>,
}

impl Exec {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let Some((program, args)) = args.program.split_first() else {
            bail!(Usage("exec: the program is missing".into()));
        };
        Ok(Self { program: program.clone(), args: args.to_vec() })
    }
}

impl Channel for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        let words: Vec<_> =
            std::iter::once(&self.program).chain(&self.args).map(|word| word.to_string_lossy()).collect();
        let environment: serde_json::Map<_, _> =
            environment(parcel).map(|(key, value)| (key, Value::from(value))).collect();
        Ok(json!({"exec": words, "environment": environment, "stdin": String::from_utf8_lossy(parcel.line())})
            .to_string())
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(environment(parcel));
        let ended = program::run(&mut command, &[parcel.line(), b"\n"].concat(), timeout)?;
        match ended.status {
            0 => Ok(Receipt(ended.words)),
            EX_DATAERR => Err(Failure::permanent(ended.words)),
            _ => Err(Failure::temporary(ended.words)),
        }
    }
}

/// The record's keys as variables: `SUPD_PROCESSNAME=web_00`; before them, so that a key of such a name wins, the words of
/// the message.
fn environment(parcel: &Parcel) -> impl Iterator<Item = (String, String)> {
    let fields = match serde_json::to_value(parcel.record()) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let message = Message::of(parcel);
    let words = [
        ("title", Value::from(message.title)),
        ("severity", message.severity.name().into()),
        ("text", message.text.unwrap_or_default().into()),
    ];
    let words = words.into_iter().map(|(key, value)| (key.to_owned(), value));
    words.chain(fields).map(|(key, value)| {
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (variable(&key), value_for_environment(&text))
    })
}

/// A key is ours or supervisor's, or from a hostile line: then it must not make a name that the shell takes apart.
fn variable(key: &str) -> String {
    let plain = key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    format!("SUPD_{}", plain.collect::<String>())
}

fn value_for_environment(text: &str) -> String {
    let mut end = text.len().min(MAX_VALUE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn deliver(words: &[&str], timeout: Duration) -> Result<Receipt, Failure> {
        let args = Args { program: words.iter().map(PathBuf::from).collect() };
        Exec::new(&args)
            .unwrap()
            .deliver(&parcel(r#"{"eventname":"TICK_5","when":5,"data":"a\u0000b"}"#), timeout)
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn the_record_is_on_stdin_and_in_the_environment() {
        let script = r#"read -r line && test "$line" = '{"eventname":"TICK_5","when":5,"data":"a\u0000b"}' &&
            test "$SUPD_WHEN" = 5 && test "$SUPD_EVENTNAME" = TICK_5 && test "$SUPD_DATA" = "a�b" &&
            test "$SUPD_TITLE" = "supervisor ticked" && test "$SUPD_SEVERITY" = info && test "$SUPD_TEXT" = "a�b""#;
        deliver(&["sh", "-c", script], SOON).unwrap();
    }

    #[test]
    fn a_status_says_whether_another_attempt_makes_sense() {
        let temporary = |reason: &str| Err(Failure::temporary(reason));
        assert_eq!(deliver(&["sh", "-c", "exit 3"], SOON), temporary("'sh' ended with status 3"));
        assert_eq!(deliver(&["sh", "-c", "kill -9 $$"], SOON), temporary("'sh' was ended by signal 9"));
        assert_eq!(
            deliver(&["sh", "-c", "exit 65"], SOON),
            Err(Failure::permanent("'sh' ended with status 65"))
        );
        assert!(matches!(deliver(&["/nonexistent"], SOON), Err(Failure::Temporary { .. })));
    }

    #[test]
    fn a_key_makes_a_harmless_variable() {
        assert_eq!(variable("from_state"), "SUPD_FROM_STATE");
        assert_eq!(variable("x=$(rm) é"), "SUPD_X___RM___");
    }
}

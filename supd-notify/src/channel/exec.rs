//! A program for each record: the record on its standard input, its keys in the environment.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::Deserialize;
use serde_json::{Value, json};
use supd_core::cli::Usage;
use supd_core::stdio;

use super::{Audience, Channel, Failure, Receipt};
use crate::parcel::Parcel;

/// What sysexits.h calls EX_DATAERR: the program says that this record will never do.
const EX_DATAERR: i32 = 65;

/// The system refuses an environment with a longer value; the record on standard input is whole.
const MAX_VALUE: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  supd-parse -e fatal | supd-notify exec -- /usr/local/bin/page-me
  supd-parse --problems |
    supd-notify exec -- sh -c 'echo \"$SUPD_PROCESSNAME: $SUPD_EVENTNAME\" | wall'";

/// Run a program for each record
///
/// The record is the program's standard input, its keys are in the environment: SUPD_EVENTNAME, SUPD_PROCESSNAME,
/// SUPD_PID and so on. Status 0 means delivered, 65 (EX_DATAERR) that it never will be; after any other, or when the
/// attempt's time is up, it is run again. What the program prints goes to standard error. No shell is involved.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<PathBuf>,
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

    fn shown(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn start(&self, parcel: &Parcel) -> std::io::Result<Child> {
        // A file rather than a pipe: a program that does not read it cannot make us wait.
        let mut stdin = File::from(rustix::fs::memfd_create("record", MemfdFlags::CLOEXEC)?);
        stdin.write_all(parcel.line())?;
        stdin.write_all(b"\n")?;
        stdin.rewind()?;
        Command::new(&self.program)
            .args(&self.args)
            .envs(environment(parcel))
            .stdin(stdin)
            // Its children are ended with it when its time is up.
            .process_group(0)
            .spawn()
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
        let started = self.start(parcel);
        let child =
            started.map_err(|error| Failure::temporary(format!("start '{}': {error}", self.shown())))?;
        let ended = wait(child, timeout)
            .map_err(|error| Failure::temporary(format!("run '{}': {error}", self.shown())));
        match ended?.map(|status| (status.code(), status.signal())) {
            Some((Some(0), _)) => Ok(Receipt(format!("'{}' ended with status 0", self.shown()))),
            Some((Some(EX_DATAERR), _)) => {
                Err(Failure::permanent(format!("'{}' ended with status {EX_DATAERR}", self.shown())))
            }
            Some((Some(status), _)) => {
                Err(Failure::temporary(format!("'{}' ended with status {status}", self.shown())))
            }
            Some((None, signal)) => {
                let signal = signal.map_or("a signal".into(), |signal| format!("signal {signal}"));
                Err(Failure::temporary(format!("'{}' was ended by {signal}", self.shown())))
            }
            None => Err(Failure::temporary(format!("'{}' did not end within {timeout:.1?}", self.shown()))),
        }
    }
}

/// Waits for the program; `None` when its time was up, and it and its group were killed.
fn wait(mut child: Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    stdio::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(Instant::now() + timeout))?;
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    rustix::process::kill_process_group(pid, Signal::KILL)?;
    child.wait()?;
    Ok(None)
}

/// The record's keys as variables: `SUPD_PROCESSNAME=web_00`.
fn environment(parcel: &Parcel) -> impl Iterator<Item = (String, String)> {
    let fields = match serde_json::to_value(parcel.record()) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    fields.into_iter().map(|(key, value)| {
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
            test "$SUPD_WHEN" = 5 && test "$SUPD_EVENTNAME" = TICK_5 && test "$SUPD_DATA" = "a�b""#;
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
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let failure = deliver(&["sh", "-c", "sleep 1000 & wait"], Duration::from_millis(50)).unwrap_err();
        assert_eq!(failure, Failure::temporary("'sh' did not end within 50.0ms"));
    }

    #[test]
    fn a_key_makes_a_harmless_variable() {
        assert_eq!(variable("from_state"), "SUPD_FROM_STATE");
        assert_eq!(variable("x=$(rm) é"), "SUPD_X___RM___");
    }
}

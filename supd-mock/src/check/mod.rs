//! `supd-mock check`: judges a listener, case by case, by what supervisord would make of it.

mod case;
mod clock;
mod consequence;
mod end;
mod event;
mod expect;
mod framing;
mod header;
mod idle;
mod kind;
mod memory;
mod only;
mod pace;
mod reply;
mod report;
mod session;
mod size;
mod start;
mod text;
mod transcript;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use supd_core::children::Children;
use supd_core::interruption::Interruption;
use supd_core::signals::{SIGCHLD, SignalPipe};
use supd_core::stdio::{self, ClosedStdout};
use supd_core::{LenUnit, cli};

use case::{Entry, Failure, Section};
use report::{Form, Judged, Outcome, Run};
use session::Session;

use crate::process::Program;

/// In the order in which they are tried: what others take for granted comes first.
const SECTIONS: [&Section; 11] = [
    &start::SECTION,
    &reply::SECTION,
    &idle::SECTION,
    &framing::SECTION,
    &text::SECTION,
    &header::SECTION,
    &size::SECTION,
    &pace::SECTION,
    &kind::SECTION,
    &end::SECTION,
    &memory::SECTION,
];

const EXAMPLES: &str = "\
Examples:
  supd-mock check -- python3 my_listener.py
  supd-mock check --only text 3.5 end/sigterm -- ./listener
  supd-mock check --skip header/spaces header/colons -- ./listener
  supd-mock check --strict --report junit -- ./listener > report.xml
  supd-mock check --list

Exit status: 0 when the listener does all that it MUST (with --strict, also what
it SHOULD); 1 when it does not; 2 for wrong usage.";

/// Judge any event listener, in any language: what it gets wrong, and what supervisord makes of that
///
/// Each case starts the listener afresh, as supervisord does, and plays one situation. MUST is what silences the
/// listener, loses events or harms supervisord; SHOULD is everything else. A case that could only fail for the reason
/// of an earlier one is not tried. The listener is started some sixty times: let it notify nobody while it is judged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Try only these: cases (reply/exact, 2.5) or sections (reply, 2)
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,

    /// Leave these out, such as what no identifier of yours will ever ask for
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    skip: Vec<String>,

    /// Show the cases instead of trying them
    #[arg(long)]
    list: bool,

    /// Form of the report
    #[arg(long, value_enum, default_value = "text", value_name = "FORM")]
    report: Form,

    /// Let what SHOULD be done count as what MUST be done
    #[arg(long)]
    strict: bool,

    /// How long the listener may take to be READY, for each event, and to end
    #[arg(long, value_name = "DURATION", value_parser = patience, default_value = "2s")]
    timeout: Duration,

    /// What an event's length counts
    #[arg(long, value_enum, default_value = "chars", value_name = "UNIT")]
    len: LenUnit,

    /// The listener and its arguments
    #[arg(last = true, required_unless_present = "list", value_name = "LISTENER")]
    listener: Vec<OsString>,
}

/// What all cases of a run have in common.
pub(crate) struct Setting {
    listener: Vec<OsString>,
    timeout: Duration,
    len: LenUnit,
    sigchld: SignalPipe,
    interruption: Interruption,
}

pub(crate) fn run(args: &Check) -> anyhow::Result<u8> {
    let entries = only::choose(&case::entries(&SECTIONS, args.len), &args.only, &args.skip)?;
    if args.list {
        stdio::print(list(&entries).as_bytes())?;
        return Ok(cli::DONE);
    }
    Program::new(&args.listener, "listener").look_up()?;
    let setting = Setting {
        listener: args.listener.clone(),
        timeout: args.timeout,
        len: args.len,
        sigchld: SignalPipe::watch(&[SIGCHLD]).context("catch SIGCHLD")?,
        interruption: Interruption::watch().context("catch the signals that end us")?,
    };
    Children::adopt_orphans().context("become a subreaper")?;
    let words: Vec<_> = args.listener.iter().map(|word| word.to_string_lossy()).collect();
    let mut report = args.report.start(Run { listener: words.join(" "), strict: args.strict });
    let began = Instant::now();
    tell(&report.begin(&entries))?;
    let mut judged = Vec::new();
    let mut reasons = Reasons::default();
    for entry in entries {
        let result = reasons.judge(&setting, entry)?;
        tell(&report.case(&result))?;
        judged.push(result);
    }
    tell(&report.end(&judged, began.elapsed()))?;
    let failed = judged.iter().any(|result| result.is_fatal(args.strict));
    Ok(if failed { cli::FAILED } else { cli::DONE })
}

/// Part of the report. Where nobody reads it any more, the exit status still tells.
fn tell(text: &str) -> anyhow::Result<()> {
    match stdio::print(text.as_bytes()) {
        Err(error) if error.is::<ClosedStdout>() => Ok(()),
        result => result,
    }
}

/// Which cases were not passed, and the one that is the reason.
#[derive(Default)]
struct Reasons(HashMap<&'static str, Entry>);

impl Reasons {
    fn judge(&mut self, setting: &Setting, entry: Entry) -> anyhow::Result<Judged> {
        let began = Instant::now();
        // What was not chosen to be tried is no reason.
        let reason = entry.case.needs.iter().find_map(|need| self.0.get(need)).copied();
        let outcome = match reason {
            Some(reason) => Outcome::NotTried(reason),
            None => attempt(setting, entry, true)?,
        };
        if !matches!(outcome, Outcome::Passed) {
            self.0.insert(entry.case.id, reason.unwrap_or(entry));
        }
        Ok(Judged { entry, outcome, took: began.elapsed() })
    }
}

/// What fails while the machine stands still from time to time is tried once more.
fn attempt(setting: &Setting, entry: Entry, may_repeat: bool) -> anyhow::Result<Outcome> {
    let mut session = Session::start(setting)?;
    let verdict = (entry.case.run)(&mut session);
    let may_repeat = may_repeat && session.stood_still();
    let transcript = session.finish()?;
    setting.interruption.check()?;
    match verdict {
        Ok(()) => Ok(Outcome::Passed),
        Err(error) if may_repeat && error.is::<Failure>() => attempt(setting, entry, false),
        Err(error) => Ok(Outcome::Failed(error.downcast::<Failure>()?, transcript)),
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    match cli::duration(text)? {
        Duration::ZERO => Err("no listener is as fast as that".into()),
        patience => Ok(patience),
    }
}

fn list(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let case = entry.case;
        let (number, level) = (entry.number(), case.level.name());
        // A String cannot fail.
        let _ = writeln!(text, "{number:<5} {:<21} {level:<6}  {}", case.id, case.requires);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_begin_with_their_section() {
        let mut seen = Vec::new();
        for Entry { section, case, .. } in case::entries(&SECTIONS, LenUnit::Bytes) {
            assert!(case.id.starts_with(&format!("{}/", section.name)), "{}", case.id);
            assert!(!seen.contains(&case.id), "{}", case.id);
            seen.push(case.id);
        }
    }

    #[test]
    fn what_a_case_needs_is_tried_before_it() {
        let mut seen = Vec::new();
        for Entry { case, .. } in case::entries(&SECTIONS, LenUnit::Bytes) {
            assert!(case.needs.iter().all(|need| seen.contains(need)), "{}", case.id);
            assert!(!case.needs.is_empty() || seen.is_empty(), "{} needs nothing", case.id);
            seen.push(case.id);
        }
    }

    #[test]
    fn requirements_fit_on_a_line_and_are_no_full_sentences() {
        for Entry { case, .. } in case::entries(&SECTIONS, LenUnit::Bytes) {
            assert!(case.requires.chars().count() <= 69, "{}", case.requires);
            assert!(!case.requires.ends_with('.') && case.why.ends_with('.'), "{}", case.id);
        }
    }
}

//! `supd-mock lint`: what would go wrong with a supervisord.conf, before it does.

mod builtin;
mod command;
mod events;
mod finding;
mod listener;
mod program;
mod sections;
mod shell;
mod spelling;
mod unheard;

use std::path::PathBuf;

use supd_core::{cli, stdio};

use crate::config::{self, Config, Environment, Reading};

use self::finding::{Finding, Severity};

const EXAMPLES: &str = "\
Examples:
  supd-mock lint /etc/supervisor/supervisord.conf
  supd-mock -q lint --elsewhere deploy/supervisord.conf     # in CI: errors only

Exit status: 0 when there are no errors, though there may be warnings; 1 when
there are, or a file cannot be read; 2 for wrong usage.";

/// Say what would go wrong with a supervisord.conf
///
/// Reads the files as supervisord 4.3.0 does, with what they include, in the environment that supd-mock itself was
/// started with. Each finding is a line on standard output, with its file and line, why it matters, and a cure. An
/// error keeps supervisord or a process from starting, or a listener from hearing anything; a warning is for what loses
/// or doubles events, or is not what it looks like. --elsewhere is for a check of files that are to be installed on
/// another machine, in CI for one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lint {
    /// Configurations to read, each by itself
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One JSON object a finding: file, line, severity, section, problem, cure
    #[arg(long)]
    json: bool,

    /// Say instead what supervisord makes of each file, as one JSON object a file
    #[arg(long, conflicts_with = "json")]
    dump: bool,

    /// Leave out what depends on this machine: programs in PATH and elsewhere, users and groups, variables of the
    /// environment, and included files with an absolute path
    #[arg(long, conflicts_with = "dump")]
    elsewhere: bool,
}

/// Its exit status is 1 when a file has errors or cannot be read; warnings alone leave it 0.
pub(crate) fn run(args: &Lint) -> anyhow::Result<u8> {
    let environment = config::own_environment();
    cli::each_file(args.files.iter().map(|file| {
        if args.dump {
            let config = Config::read(file, &environment)?;
            let dump = serde_json::to_string(&config).expect("a configuration has only names as keys");
            return stdio::print((dump + "\n").as_bytes()).map(|()| 0);
        }
        let here = (!args.elsewhere).then_some(&environment);
        let mut findings = findings(&Reading::of(file, &environment)?, here);
        // As messages of less weight, with -q.
        findings.retain(|finding| {
            finding.severity == Severity::Error || log::max_level() > log::LevelFilter::Error
        });
        let line = |finding: &Finding| {
            if args.json { finding.to_json() + "\n" } else { finding.to_string() + "\n" }
        };
        stdio::print(findings.iter().map(line).collect::<String>().as_bytes())?;
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        Ok(errors.count() as u64)
    }))
}

/// All findings, by file and line; those that depend on this machine only with its environment.
fn findings(reading: &Reading, here: Option<&Environment>) -> Vec<Finding> {
    let faults = reading.faults.iter().filter(|fault| here.is_some() || !fault.local);
    let mut findings: Vec<Finding> = faults.map(Finding::from).collect();
    spelling::check(reading, &mut findings);
    sections::check(reading, here.is_some(), &mut findings);
    events::check(reading, &mut findings);
    listener::check(reading, &mut findings);
    unheard::check(reading, &mut findings);
    command::check(reading, here, &mut findings);
    // One section's processes have the same troubles.
    let mut seen = Vec::new();
    findings.retain(|finding| {
        let new = !seen.contains(finding);
        if new {
            seen.push(finding.clone());
        }
        new
    });
    findings.sort_by(|a, b| a.at.cmp(&b.at));
    findings
}

//! `supd-mock lint`: what would go wrong with a supervisord.conf, before it does.

mod command;
mod events;
mod finding;
mod listener;
mod sections;

use std::path::PathBuf;

use supd_core::{cli, stdio};

use crate::config::{self, Config, Environment, Reading};

use self::finding::{Finding, Severity};

/// Say what would go wrong with a supervisord.conf
///
/// Reads the files as supervisord 4.3.0 does, with what they include, in the environment that supd-mock itself was
/// started with. Each finding is a line on standard output, with its file and line, why it matters, and a cure. An
/// error keeps supervisord or a process from starting, or a listener from hearing anything; a warning loses or doubles
/// events.
#[derive(Debug, clap::Args)]
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
        let findings = findings(&Reading::of(file, &environment)?, &environment);
        let line = |finding: &Finding| {
            if args.json { finding.to_json() + "\n" } else { finding.to_string() + "\n" }
        };
        stdio::print(findings.iter().map(line).collect::<String>().as_bytes())?;
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        Ok(errors.count() as u64)
    }))
}

/// All findings, by file and line.
fn findings(reading: &Reading, environment: &Environment) -> Vec<Finding> {
    let mut findings: Vec<Finding> = reading.faults.iter().map(Finding::from).collect();
    sections::check(reading, &mut findings);
    events::check(reading, &mut findings);
    listener::check(reading, &mut findings);
    command::check(reading, environment.get("PATH").map(String::as_str), &mut findings);
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

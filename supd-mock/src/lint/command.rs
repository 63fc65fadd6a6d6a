//! Commands that cannot be split, are cut off, are meant for a shell, or cannot be found.

use crate::config::words::marked;
use crate::config::{Environment, Origin, ProcessConfig, Reading, Section, Value};

use super::builtin::first_word;
use super::finding::Finding;
use super::{program, shell};

/// Looks at every process's command; for programs that are missing only with the environment of this machine.
pub(super) fn check(reading: &Reading, here: Option<&Environment>, findings: &mut Vec<Finding>) {
    let programs = reading.config.programs.iter().flat_map(|group| &group.processes);
    let listeners = reading.config.pools.iter().flat_map(|pool| &pool.processes);
    for process in programs.chain(listeners) {
        let Some(section) = reading.ini.section(&process.section) else { continue };
        let Some(command) = reading.ini.value(section, "command") else { continue };
        if !reading.is_faulty(&section.name, "command") {
            check_one(reading, process, section, command, here, findings);
        }
    }
}

fn check_one(
    reading: &Reading,
    process: &ProcessConfig,
    section: &Section,
    command: &Value,
    here: Option<&Environment>,
    findings: &mut Vec<Finding>,
) {
    let at = |offset: usize| command.at_end_of(&process.command[..offset]);
    let words = match marked(&process.command) {
        Ok(words) => words,
        Err(error) => return findings.push(unsplit(section, command, at(error.offset), &error.problem)),
    };
    findings.extend(cut(section, command));
    let Some(first) = words.first() else {
        let problem = "command: nothing to start".to_owned();
        return findings.push(Finding::error(command.at.clone(), section, problem, "name a program"));
    };
    let meant_for_shell = shell::check(&words, section.name_after("eventlistener").is_some());
    for shell::Found { offset, problem, cure, is_error } in meant_for_shell {
        let finding = if is_error { Finding::error } else { Finding::warning };
        findings.push(finding(at(offset), section, problem, cure));
    }
    let Some(environment) = here.filter(|_| first_word(first).is_none()) else { return };
    let path = environment.get("PATH").map(String::as_str);
    let own = reading.config.directory.as_deref();
    let missing = program::missing(process, &first.plain(), path, own);
    findings.extend(missing.map(|(problem, cure)| Finding::error(at(first.offset), section, problem, cure)));
}

/// A command that cannot be split, which may be a comment's fault.
fn unsplit(section: &Section, command: &Value, at: Origin, problem: &str) -> Finding {
    let comment = command.comments.first().filter(|_| marked(&command.with_comments()).is_ok());
    let Some(comment) = comment else {
        let cure = if problem.contains("quote") { "close the quote" } else { "write two backslashes" };
        let problem = format!("command: {problem}, so it cannot be started");
        return Finding::error(at, section, problem, cure);
    };
    let because = format!("supervisord takes '{}' for a comment", comment.text);
    let problem = format!("command: {problem} ({because}), so it cannot be started");
    Finding::error(comment.at.clone(), section, problem, "no blank before ; and #")
}

/// A comment that may have been meant as part of the command: comments that are meant stand apart.
fn cut(section: &Section, command: &Value) -> Option<Finding> {
    let comment = command.comments.iter().find(|comment| !comment.stands_apart())?;
    let problem = format!("command: supervisord takes '{}' for a comment, and cuts it off", comment.text);
    let cure = "no blank before ; and # that belong to the command, two before a comment";
    Some(Finding::warning(comment.at.clone(), section, problem, cure))
}

//! Sections and files: written twice, or not there at all.

use crate::config::{Missed, Reading, is_pattern};

use super::finding::Finding;

/// Files that are named by absolute path are looked for `here` only.
pub(super) fn check(reading: &Reading, here: bool, findings: &mut Vec<Finding>) {
    for section in &reading.ini.sections {
        let first = section.at();
        for again in &section.headers[1..] {
            if section.name == "include" && again.file != first.file {
                let problem =
                    "an included file includes no others, so supervisord ignores this section".to_owned();
                findings.push(Finding::warning(
                    again.clone(),
                    section,
                    problem,
                    "name the files in the main file",
                ));
                continue;
            }
            let problem =
                format!("the section began at {first} already, and both are merged: the later value counts");
            findings.push(Finding::warning(
                again.clone(),
                section,
                problem,
                "rename one, or make it one section",
            ));
        }
    }
    let Some(include) = reading.ini.section("include") else { return };
    for missed in &reading.missed {
        match missed {
            // A directory that has no files yet is as usual as not.
            Missed::Nothing { pattern, .. } if is_pattern(pattern) => {}
            Missed::Nothing { pattern, .. } if pattern.starts_with('/') && !here => {}
            Missed::Nothing { at, pattern } => {
                let problem = format!("files: there is no '{pattern}', which supervisord only logs");
                findings.push(Finding::warning(
                    at.clone(),
                    include,
                    problem,
                    "create the file, or remove its name",
                ));
            }
            Missed::Unreadable { at, file, error } => {
                let problem = format!(
                    "files: '{}' cannot be read ({error}), and supervisord passes over it",
                    file.display()
                );
                findings.push(Finding::error(
                    at.clone(),
                    include,
                    problem,
                    "make it a readable file, or exclude it",
                ));
            }
        }
    }
}

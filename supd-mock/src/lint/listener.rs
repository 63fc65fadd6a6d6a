//! Listeners that are not started again, or that get each other's events.

use std::collections::BTreeMap;

use supd_core::supervisor::Autorestart;

use crate::config::{ProcessConfig, Reading, Section};

use super::finding::Finding;

pub(super) fn check(reading: &Reading, findings: &mut Vec<Finding>) {
    let mut priorities: BTreeMap<i64, Vec<&Section>> = BTreeMap::new();
    for pool in &reading.config.pools {
        let Some(section) = reading.ini.section(&format!("eventlistener:{}", pool.name)) else { continue };
        let Some(process) = pool.processes.first() else { continue };
        if !reading.is_faulty(&section.name, "autorestart") {
            findings.extend(ends_for_good(reading, section, process));
        }
        if !reading.is_faulty(&section.name, "priority") {
            priorities.entry(process.priority).or_default().push(section);
        }
    }
    for (priority, sections) in priorities.iter().filter(|(_, sections)| sections.len() > 1) {
        for section in sections {
            let others = sections.iter().filter(|other| other.name != section.name);
            let others: Vec<String> = others.map(|other| format!("[{}]", other.name)).collect();
            let problem = format!(
                "priority: {priority}, as in {}: an event that one of them rejects, or leaves unanswered when it ends, \
                 is sent to the others too, subscribed or not",
                others.join(" and ")
            );
            let at = reading.at(section, "priority");
            findings.push(Finding::warning(
                at,
                section,
                problem,
                "give each listener a priority of its own, below 999",
            ));
        }
    }
}

/// A finding for a listener that may end and not be started again.
fn ends_for_good(reading: &Reading, section: &Section, process: &ProcessConfig) -> Option<Finding> {
    let codes: Vec<String> = process.exitcodes.iter().map(ToString::to_string).collect();
    let problem = match process.autorestart {
        Autorestart::Always => return None,
        Autorestart::Never => {
            "autorestart: false, so a listener that has ended is not started again".to_owned()
        }
        Autorestart::Unexpected if codes.is_empty() => return None,
        Autorestart::Unexpected => format!(
            "autorestart: 'unexpected' takes exit status {} for intended, so a listener that ended with it is not \
             started again",
            codes.join(" or ")
        ),
    };
    Some(Finding::warning(reading.at(section, "autorestart"), section, problem, "autorestart=true"))
}

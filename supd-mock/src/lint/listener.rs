//! Listeners that are not started again, that get each other's events, or whose keys nobody knows.

use std::collections::BTreeMap;

use supd_core::supervisor::Autorestart;

use crate::config::{Reading, Section};

use super::finding::Finding;

/// Every key that supervisord looks up in an `[eventlistener:x]`.
const KEYS: [&str; 35] = [
    "autorestart",
    "autostart",
    "buffer_size",
    "command",
    "directory",
    "environment",
    "events",
    "exitcodes",
    "killasgroup",
    "numprocs",
    "numprocs_start",
    "priority",
    "process_name",
    "redirect_stderr",
    "result_handler",
    "serverurl",
    "startretries",
    "startsecs",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_logfile",
    "stderr_logfile_backups",
    "stderr_logfile_maxbytes",
    "stderr_syslog",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_logfile",
    "stdout_logfile_backups",
    "stdout_logfile_maxbytes",
    "stdout_syslog",
    "stopasgroup",
    "stopsignal",
    "stopwaitsecs",
    "umask",
    "user",
];

pub(super) fn check(reading: &Reading, findings: &mut Vec<Finding>) {
    let mut priorities: BTreeMap<i64, Vec<&Section>> = BTreeMap::new();
    for pool in &reading.config.pools {
        let Some(section) = reading.ini.section(&format!("eventlistener:{}", pool.name)) else { continue };
        misspelled(section, findings);
        let Some(process) = pool.processes.first() else { continue };
        if process.autorestart != Autorestart::Always && !reading.is_faulty(&section.name, "autorestart") {
            let problem = match process.autorestart {
                Autorestart::Never => "autorestart: false, so a listener that has ended is not started again",
                _ => {
                    "autorestart: 'unexpected' takes exit status 0 for intended, so a listener that ended with it is not started again"
                }
            };
            let at = reading.at(section, "autorestart");
            findings.push(Finding::warning(at, section, problem.to_owned(), "autorestart=true"));
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

fn misspelled(section: &Section, findings: &mut Vec<Finding>) {
    for (key, value) in section.own().filter(|(key, _)| !KEYS.contains(key)) {
        let distance = |known: &&str| strsim::osa_distance(known, key);
        let alike =
            KEYS.into_iter().min_by_key(distance).filter(|known| distance(known) <= 2.min(key.len() / 3));
        if let Some(alike) = alike {
            let problem = format!("{key}: no key of supervisord's, which ignores it");
            findings.push(Finding::warning(
                value.at.clone(),
                section,
                problem,
                format!("did you mean {alike}?"),
            ));
        }
    }
}

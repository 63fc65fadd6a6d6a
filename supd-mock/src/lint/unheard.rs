//! Events that a listener waits for and that never come, and those that it makes itself.

use crate::config::{ProcessConfig, Reading, Section};

use super::events;
use super::finding::Finding;

/// What has to be set, somewhere, for an event to come.
struct Source {
    event: &'static str,
    /// Whether a program makes it.
    program: fn(&ProcessConfig) -> bool,
    /// Whether a listener makes it; its standard output is the protocol's.
    listener: fn(&ProcessConfig) -> bool,
}

const SOURCES: [Source; 4] = [
    Source {
        event: "PROCESS_LOG_STDOUT",
        program: |process| process.stdout_events_enabled,
        listener: |_| false,
    },
    Source {
        event: "PROCESS_LOG_STDERR",
        program: |process| process.stderr_events_enabled && !process.redirect_stderr,
        listener: |process| process.stderr_events_enabled,
    },
    Source {
        event: "PROCESS_COMMUNICATION_STDOUT",
        program: |process| process.stdout_capture_maxbytes != 0,
        listener: |_| false,
    },
    Source {
        event: "PROCESS_COMMUNICATION_STDERR",
        program: |process| process.stderr_capture_maxbytes != 0 && !process.redirect_stderr,
        listener: |process| process.stderr_capture_maxbytes != 0,
    },
];

pub(super) fn check(reading: &Reading, findings: &mut Vec<Finding>) {
    for pool in &reading.config.pools {
        let Some(section) = reading.ini.section(&format!("eventlistener:{}", pool.name)) else { continue };
        for event in pool.events.iter().map(ToString::to_string) {
            // Families above these two have other members.
            if ["PROCESS_LOG", "PROCESS_COMMUNICATION"].iter().any(|family| event.starts_with(family)) {
                findings.extend(never(reading, section, &event));
            }
        }
        let hears = |event: &str| pool.events.iter().any(|pattern| pattern.covers(event));
        let Some(process) = pool.processes.first() else { continue };
        if process.stderr_events_enabled && hears("PROCESS_LOG_STDERR") {
            let problem = "stderr_events_enabled: true, so the listener hears what it writes to standard error itself, \
                 and each event may bring the next";
            let at = reading.at(section, "stderr_events_enabled");
            let cure = "leave stderr_events_enabled out";
            findings.push(Finding::warning(at, section, problem.to_owned(), cure));
        }
        if process.stdout_events_enabled && hears("PROCESS_LOG_STDOUT") {
            let problem = "stdout_events_enabled: supervisord ignores it here: a listener's standard output is its replies";
            let at = reading.at(section, "stdout_events_enabled");
            let cure = "set it in the programs that are to be heard";
            findings.push(Finding::warning(at, section, problem.to_owned(), cure));
        }
    }
}

/// A finding when nothing makes any event of this name or family.
fn never(reading: &Reading, section: &Section, event: &str) -> Option<Finding> {
    let mut programs = reading.config.programs.iter().flat_map(|group| &group.processes);
    let mut listeners = reading.config.pools.iter().flat_map(|pool| &pool.processes);
    let sources = || SOURCES.iter().filter(|source| source.event.starts_with(event));
    let comes = programs.any(|process| sources().any(|source| (source.program)(process)))
        || listeners.any(|process| sources().any(|source| (source.listener)(process)));
    if comes {
        return None;
    }
    let (suffix, value) = if event.starts_with("PROCESS_LOG") {
        ("events_enabled", "true")
    } else {
        ("capture_maxbytes", "1MB")
    };
    let streams = ["stdout", "stderr"];
    let named = streams.iter().filter(|stream| event.ends_with(&stream.to_uppercase())).copied();
    let named: Vec<&str> = named.collect();
    let named = if named.is_empty() { streams.to_vec() } else { named };
    let keys: Vec<String> = named.iter().map(|stream| format!("{stream}_{suffix}")).collect();
    let problem = format!("events: {event} never comes, because no program has {}", keys.join(" or "));
    let cure = format!("{}={value} in the programs that are to be heard", keys[0]);
    Some(Finding::warning(events::at(reading, section, event), section, problem, cure))
}

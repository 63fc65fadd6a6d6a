//! What listeners hear: twice, not all of it, or nothing.

use supd_core::EventPattern;

use crate::config::{Origin, Pool, Reading, Section};

use super::finding::Finding;

/// What a listener's buffer should hold at least, and how many events for each process that supervisord starts: a start
/// of all of them is STARTING and RUNNING, a deployment twice as much.
const BUFFER_SIZE: usize = 100;
const EVENTS_PER_PROCESS: usize = 4;

pub(super) fn check(reading: &Reading, findings: &mut Vec<Finding>) {
    for pool in &reading.config.pools {
        let Some(section) = reading.ini.section(&format!("eventlistener:{}", pool.name)) else { continue };
        findings.extend(overlap(reading, section, &pool.events));
        findings.extend(small_buffer(reading, section, pool));
    }
    for section in &reading.ini.sections {
        if ["program", "fcgi-program"].iter().any(|prefix| section.name_after(prefix).is_some()) {
            for (key, value) in section.own().filter(|(key, _)| ["events", "buffer_size"].contains(key)) {
                let problem = format!(
                    "{key}: supervisord ignores it here, so a listener would wait for its first event for ever"
                );
                let cure =
                    format!("[eventlistener:{}]", section.name.split_once(':').map_or("", |(_, name)| name));
                findings.push(Finding::error(value.at.clone(), section, problem, cure));
            }
        }
    }
}

/// The line of `events=` that names an event.
pub(super) fn at(reading: &Reading, section: &Section, event: &str) -> Origin {
    let Some(value) = reading.ini.value(section, "events") else { return section.at().clone() };
    let names = |line: &str| line.split(',').any(|name| name.trim().eq_ignore_ascii_case(event));
    value.at_line(value.text.split('\n').position(names).unwrap_or(0))
}

/// A finding for each family that is named beside its members.
fn overlap(reading: &Reading, section: &Section, events: &[EventPattern]) -> Vec<Finding> {
    let names: Vec<String> = events.iter().map(ToString::to_string).collect();
    let members = |family: &EventPattern| {
        let covered = |name: &&String| **name != family.to_string() && family.covers(name);
        let members: Vec<&str> = names.iter().filter(covered).map(String::as_str).collect();
        (!members.is_empty()).then(|| members.join(", "))
    };
    let finding = |(family, members): (&EventPattern, String)| {
        let problem =
            format!("events: {family} includes {members}, so the listener gets these events more than once");
        let first = members.split(',').next().unwrap_or_default();
        Finding::warning(at(reading, section, first), section, problem, format!("remove {members}"))
    };
    events.iter().filter_map(|family| Some((family, members(family)?))).map(finding).collect()
}

fn small_buffer(reading: &Reading, section: &Section, pool: &Pool) -> Option<Finding> {
    let config = &reading.config;
    let programs = config.programs.iter().map(|group| group.processes.len());
    let listeners = config.pools.iter().map(|pool| pool.processes.len());
    let processes: usize = programs.chain(listeners).sum();
    let wanted = BUFFER_SIZE.max(EVENTS_PER_PROCESS * processes);
    let hears = |event: &EventPattern| event.covers("PROCESS_") || event.to_string().starts_with("PROCESS_");
    if pool.buffer_size >= wanted
        || !pool.events.iter().any(hears)
        || reading.is_faulty(&section.name, "buffer_size")
    {
        return None;
    }
    let what = if reading.ini.value(section, "buffer_size").is_some() { "" } else { " (the default)" };
    let problem = format!(
        "buffer_size: {}{what} is too small for {}: while the listener is busy or starts, supervisord drops the oldest \
         events, with no more than a line in its log",
        pool.buffer_size,
        if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") },
    );
    Some(Finding::warning(
        reading.at(section, "buffer_size"),
        section,
        problem,
        format!("buffer_size={}", wanted.max(1024)),
    ))
}

//! Sections and keys that are none of supervisord's, but look like one that is: it ignores them without a word.

use crate::config::{Reading, Section};

use super::finding::Finding;

/// The kinds of sections that have a name behind a colon.
const NAMED: [&str; 6] = ["ctlplugin", "eventlistener", "fcgi-program", "group", "program", "rpcinterface"];

/// Those that have none.
const ALONE: [&str; 5] = ["include", "inet_http_server", "supervisorctl", "supervisord", "unix_http_server"];

/// Every key that supervisord looks up for a process, in whichever kind of section.
const PROCESS: [&str; 32] = [
    "autorestart",
    "autostart",
    "command",
    "directory",
    "environment",
    "exitcodes",
    "killasgroup",
    "numprocs",
    "numprocs_start",
    "priority",
    "process_name",
    "redirect_stderr",
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

/// What else it looks up in these; `events` and `buffer_size` in a program have a finding of their own.
const LISTENER: [&str; 3] = ["buffer_size", "events", "result_handler"];
const FCGI: [&str; 6] = ["buffer_size", "events", "socket", "socket_backlog", "socket_mode", "socket_owner"];
const PROGRAM: [&str; 2] = ["buffer_size", "events"];

pub(super) fn check(reading: &Reading, findings: &mut Vec<Finding>) {
    for section in &reading.ini.sections {
        if let Some(meant) = meant(&section.name) {
            let problem = "no section of supervisord's, which ignores it with all its keys".to_owned();
            let cure = format!("did you mean [{meant}]?");
            findings.push(Finding::error(section.at().clone(), section, problem, cure));
        }
        let own = [("eventlistener", &LISTENER[..]), ("fcgi-program", &FCGI), ("program", &PROGRAM)];
        let own = own.into_iter().find(|(kind, _)| section.name_after(kind).is_some());
        if let Some((_, own)) = own {
            keys(section, own, findings);
        }
    }
}

/// The section that somebody may have meant by one that supervisord does not know.
fn meant(name: &str) -> Option<String> {
    let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
    let rest = if rest.is_empty() { "NAME" } else { rest };
    // A mark in front is the usual way to take a section out.
    let out = kind.starts_with(|c: char| c.is_ascii_punctuation());
    if out || NAMED.contains(&kind) && name.contains(':') || ALONE.iter().any(|alone| is_alone(name, alone)) {
        return None;
    }
    let written = kind.trim().to_lowercase();
    // `[eventlistener x]`.
    let (written, rest) = match written.split_once(' ') {
        Some((written, name)) if rest == "NAME" => (written.to_owned(), name.trim().to_owned()),
        _ => (written, rest.to_owned()),
    };
    let alike = nearest(&written, NAMED.into_iter().chain(ALONE))?;
    Some(if ALONE.contains(&alike) { alike.to_owned() } else { format!("{alike}:{rest}") })
}

/// The servers' sections may have more behind their names.
fn is_alone(name: &str, alone: &str) -> bool {
    if alone.ends_with("_server") { name.starts_with(alone) } else { name == alone }
}

fn keys(section: &Section, own: &[&'static str], findings: &mut Vec<Finding>) {
    let known = || PROCESS.into_iter().chain(own.iter().copied());
    for (key, value) in section.own().filter(|(key, _)| !known().any(|known| known == *key)) {
        if let Some(alike) = nearest(key, known()) {
            let problem = format!("{key}: no key of supervisord's, which ignores it");
            let cure = format!("did you mean {alike}?");
            findings.push(Finding::warning(value.at.clone(), section, problem, cure));
        }
    }
}

/// The nearest of these names, if it is near: two letters away, or one in a short name.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |known: &&str| strsim::osa_distance(known, name);
    known.min_by_key(distance).filter(|known| distance(known) <= 2.min(name.len() / 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_is_nearly_one_of_supervisords_is_seen() {
        for (name, expected) in [
            ("eventlistner:x", "eventlistener:x"),
            ("event-listener:x", "eventlistener:x"),
            ("eventlistener x", "eventlistener:x"),
            ("eventlistener", "eventlistener:NAME"),
            ("EventListener:x", "eventlistener:x"),
            ("programs:y", "program:y"),
            (" program:y", "program:y"),
            ("fcgi_program:y", "fcgi-program:y"),
            ("groups:g", "group:g"),
            ("includes", "include"),
            ("include:x", "include"),
            ("supervisor", "supervisord"),
            ("supervisorctrl", "supervisorctl"),
            ("unix_http_sever", "unix_http_server"),
            ("rpc_interface:supervisor", "rpcinterface:supervisor"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_section_of_somebody_elses_is_not() {
        let known =
            ["program:x", "group:", "include", "unix_http_server", "unix_http_server:2", "ctlplugin:x"];
        let others =
            ["-program:x", ";program:x", "_eventlistener:x", "app", "my section", "", "grp:x", "x:program"];
        for name in known.into_iter().chain(others) {
            assert_eq!(meant(name), None, "{name}");
        }
    }
}

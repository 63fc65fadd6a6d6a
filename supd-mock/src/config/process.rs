//! One section's processes; `_processes_from_section` in supervisor's options.py.

use std::path::PathBuf;

use serde::Serialize;
use supd_core::supervisor::Autorestart;

use super::datatypes::{self, boolean, byte_size, exitcodes, integer, octal};
use super::expand::Expansion;
use super::keys::Keys;
use super::{Surroundings, users, words};

/// More processes of one section than anybody starts, and less than what fills the memory.
const NUMPROCS: i64 = 10_000;

/// A process as supervisord starts it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProcessConfig {
    pub(crate) name: String,
    pub(crate) groupname: String,
    /// The section that it comes from.
    #[serde(skip)]
    pub(crate) section: String,
    pub(crate) command: String,
    /// The program and its arguments; nothing when a quote is not closed, for which supervisord refuses to start the
    /// process, not to read the file.
    pub(crate) words: Option<Vec<String>>,
    /// What `environment=` sets here and in `[supervisord]`.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) umask: Option<i64>,
    pub(crate) user: Option<String>,
    /// Its own `serverurl=`, instead of supervisord's.
    pub(crate) serverurl: Option<String>,
    /// 999 by default, for listeners too: which rejected events reach it depends on this one.
    pub(crate) priority: i64,
    pub(crate) autostart: bool,
    pub(crate) autorestart: Autorestart,
    pub(crate) startsecs: i64,
    pub(crate) startretries: i64,
    pub(crate) exitcodes: Vec<i32>,
    pub(crate) stopsignal: i32,
    pub(crate) stopwaitsecs: i64,
    pub(crate) stopasgroup: bool,
    pub(crate) killasgroup: bool,
    pub(crate) redirect_stderr: bool,
    pub(crate) stdout_events_enabled: bool,
    pub(crate) stderr_events_enabled: bool,
    /// In bytes; with none, nothing is captured.
    pub(crate) stdout_capture_maxbytes: i64,
    pub(crate) stderr_capture_maxbytes: i64,
}

impl ProcessConfig {
    /// Where supervisord looks for a program without a slash: the PATH of the process, if `environment=` sets one, else
    /// its own, else a default; from get_path in supervisor's options.py.
    pub(crate) fn search_path<'a>(&'a self, own: Option<&'a str>) -> Vec<&'a str> {
        let set = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_str());
        match set.or(own.filter(|path| !path.is_empty())) {
            Some(path) => path.split(':').collect(),
            None => vec!["/bin", "/usr/bin", "/usr/local/bin"],
        }
    }
}

/// The section's processes in supervisord's order: by name.
pub(super) fn read(mut keys: Keys<'_>, groupname: &str, surroundings: &Surroundings) -> Vec<ProcessConfig> {
    let keys = &mut keys;
    let (_, after) = keys.section.name.split_once(':').expect("only sections with a name have processes");
    let program_name = datatypes::name(after).unwrap_or_else(|problem| {
        keys.section_fault(&problem, "use letters, digits, '-', '_' and '.'");
        after.to_owned()
    });
    keys.know("here", surroundings.here.as_str().into());
    keys.know("program_name", program_name.as_str().into());
    keys.know("host_node_name", surroundings.host_node_name.as_str().into());
    keys.know("group_name", groupname.into());

    let stopasgroup = keys.get("stopasgroup", false, boolean);
    let killasgroup = keys.get("killasgroup", stopasgroup, boolean);
    let template = ProcessConfig {
        name: String::new(),
        groupname: groupname.to_owned(),
        section: keys.section.name.clone(),
        command: String::new(),
        words: None,
        environment: Vec::new(),
        directory: None,
        umask: keys.get("umask", None, |text| octal(text).map(Some)),
        user: keys.local("user", users::user),
        serverurl: keys.text("serverurl").filter(|url| super::text::strip(url).to_uppercase() != "AUTO"),
        priority: keys.get("priority", 999, integer),
        autostart: keys.get("autostart", true, boolean),
        autorestart: keys.get("autorestart", Autorestart::Unexpected, datatypes::autorestart),
        startsecs: keys.get("startsecs", 1, integer),
        startretries: keys.get("startretries", 3, integer),
        exitcodes: keys.get("exitcodes", vec![0], exitcodes),
        stopsignal: keys.get("stopsignal", 15, datatypes::signal),
        stopwaitsecs: keys.get("stopwaitsecs", 10, integer),
        stopasgroup,
        killasgroup,
        redirect_stderr: keys.get("redirect_stderr", false, boolean),
        stdout_events_enabled: keys.get("stdout_events_enabled", false, boolean),
        stderr_events_enabled: keys.get("stderr_events_enabled", false, boolean),
        stdout_capture_maxbytes: keys.get("stdout_capture_maxbytes", 0, byte_size),
        stderr_capture_maxbytes: keys.get("stderr_capture_maxbytes", 0, byte_size),
    };
    let numprocs = keys.get("numprocs", 1, integer);
    let numprocs_start = keys.get("numprocs_start", 0, integer);

    let process_name = keys.raw("process_name").map_or("%(program_name)s", |value| &value.text);
    let process_name = datatypes::name(process_name).unwrap_or_else(|problem| {
        keys.fault("process_name", &problem, Some("use letters, digits, '-', '_' and '.'"));
        "%(program_name)s_%(process_num)d".to_owned()
    });
    if numprocs > 1 && !process_name.contains("%(process_num)") {
        let problem = "more than one process needs a process_name that tells them apart";
        keys.fault("numprocs", problem, Some("process_name=%(program_name)s_%(process_num)02d"));
    }
    if numprocs > NUMPROCS {
        keys.fault("numprocs", &format!("more than {NUMPROCS} processes"), None);
    }
    if stopasgroup && !killasgroup {
        let problem = "false, though stopasgroup is true";
        keys.fault("killasgroup", problem, Some("leave killasgroup out, or set it to true"));
    }
    if keys.raw("command").is_none() {
        keys.section_fault("no command=", "add command=");
    }

    let mut processes = Vec::new();
    for number in (0..numprocs.min(NUMPROCS)).map(|number| number.saturating_add(numprocs_start)) {
        keys.know("process_num", Expansion::Number(number));
        keys.know("numprocs", Expansion::Number(numprocs));
        processes.push(one(keys, &process_name, &template, surroundings));
    }
    processes.sort_by(|a, b| a.name.cmp(&b.name));
    processes
}

/// One of `numprocs` processes.
fn one(
    keys: &mut Keys<'_>,
    process_name: &str,
    template: &ProcessConfig,
    surroundings: &Surroundings,
) -> ProcessConfig {
    // What an earlier process has set in its environment stays known, but not instead of supervisord's.
    keys.expansions.extend(surroundings.globals.clone());
    let text = keys.raw("environment").map_or("", |value| &value.text);
    let text = keys.expand("environment", text).unwrap_or_default();
    let own = keys.environment(&text);
    let mut environment = surroundings.environment.clone();
    for (name, value) in &own {
        keys.know(&format!("ENV_{name}"), value.as_str().into());
        datatypes::merge(&mut environment, name, value);
    }
    let directory = keys.text("directory").map(PathBuf::from);
    for stream in ["stdout", "stderr"] {
        let key = format!("{stream}_logfile");
        // supervisor expands these twice.
        if let Some(once) = keys.text(&key) {
            keys.expand(&key, &once);
        }
        keys.check(&format!("{key}_backups"), integer);
        keys.check(&format!("{key}_maxbytes"), byte_size);
        keys.check(&format!("{stream}_syslog"), boolean);
    }
    let command = keys.text("command").unwrap_or_default();
    let name = keys.expand("process_name", process_name).unwrap_or_default();
    let words = words::split(&command).ok();
    ProcessConfig { name, command, words, environment, directory, ..template.clone() }
}

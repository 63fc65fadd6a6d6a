//! supervisord's own sections: `[supervisord]`, the two HTTP servers, and the RPC interfaces.

use std::path::{Path, PathBuf};

use super::datatypes::{boolean, byte_size, inet_address, integer, octal};
use super::ini::Ini;
use super::keys::Keys;
use super::text::strip;
use super::{Environment, Fault, Surroundings, path, users};

const LOGLEVELS: [&str; 7] = ["critical", "error", "warn", "info", "debug", "trace", "blather"];

/// Reads `[supervisord]`: its identifier and directory, and its environment, which its processes get.
pub(super) fn supervisord(mut keys: Keys<'_>, surroundings: &mut Surroundings) -> (String, Option<PathBuf>) {
    let keys = &mut keys;
    for key in ["minfds", "minprocs", "logfile_backups"] {
        keys.check(key, integer);
    }
    keys.check("logfile_maxbytes", byte_size);
    keys.check("umask", octal);
    for key in ["nodaemon", "silent", "nocleanup", "strip_ansi"] {
        keys.check(key, boolean);
    }
    // Whether the directories exist is the other machine's business as often as not: only their form is looked at.
    for key in ["logfile", "pidfile", "childlogdir"] {
        keys.text(key);
    }
    let directory = keys.text("directory").map(PathBuf::from);
    keys.local("user", users::user);
    keys.check("loglevel", |text| match text.to_lowercase() {
        level if LOGLEVELS.contains(&level.as_str()) => Ok(()),
        _ => Err(format!("'{text}' is none of {}", LOGLEVELS.join(", "))),
    });
    let identifier = keys.text("identifier").unwrap_or_else(|| "supervisor".to_owned());
    // supervisor expands this twice, the second time with the host's name.
    let once = keys.text("environment").unwrap_or_default();
    keys.know("host_node_name", surroundings.host_node_name.as_str().into());
    let text = keys.expand("environment", &once).unwrap_or_default();
    surroundings.set(keys.environment(&text));
    (identifier, directory)
}

/// Reads the RPC interfaces; whether Python can import them is not looked at.
pub(super) fn rpcinterfaces(ini: &Ini, surroundings: &Surroundings, faults: &mut Vec<Fault>) {
    for section in &ini.sections {
        if section.name_after("rpcinterface").is_none() {
            continue;
        }
        let mut keys = Keys::new(ini, section, &surroundings.globals, faults);
        let factory = "supervisor.rpcinterface_factory";
        if keys.raw(factory).is_none() {
            let cure = format!("{factory} = supervisor.rpcinterface:make_main_rpcinterface");
            keys.section_fault(&format!("no {factory}="), &cure);
        }
        for (key, _) in section.own() {
            keys.text(key);
        }
    }
}

/// Where supervisord listens, as it tells its processes: the first unix socket, or else the first TCP port.
pub(super) fn serverurl(
    ini: &Ini,
    surroundings: &Surroundings,
    environment: &Environment,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let with =
        |prefix: &'static str| ini.sections.iter().filter(move |section| section.name.starts_with(prefix));
    let mut urls = Vec::new();
    for section in with("inet_http_server") {
        urls.push((1, inet(Keys::new(ini, section, &surroundings.globals, faults))));
    }
    for section in with("unix_http_server") {
        let keys = Keys::new(ini, section, &surroundings.globals, faults);
        urls.push((0, unix(keys, &surroundings.here, environment)));
    }
    urls.sort_by_key(|(rank, _)| *rank);
    urls.into_iter().find_map(|(_, url)| url)
}

fn inet(mut keys: Keys<'_>) -> Option<String> {
    credentials(&mut keys);
    if keys.raw("port").is_none() {
        keys.section_fault("no port=", "port=127.0.0.1:9001");
    }
    let (host, port) = keys.get("port", None, |text| inet_address(text).map(Some))?;
    let host = if host.is_empty() { "localhost" } else { &host };
    Some(format!("http://{host}:{port}"))
}

fn unix(mut keys: Keys<'_>, here: &str, environment: &Environment) -> Option<String> {
    credentials(&mut keys);
    keys.local("chown", users::owner);
    keys.check("chmod", octal);
    if keys.raw("file").is_none() {
        keys.section_fault("no file=", "file=/run/supervisor.sock");
    }
    // Only this key knows the directory.
    keys.know("here", here.into());
    let file = keys.text("file")?;
    let file = path::expanduser(strip(&file), environment);
    Some(format!("unix://{}", path::absolute(Path::new(&file)).display()))
}

fn credentials(keys: &mut Keys<'_>) {
    let [username, password] = ["username", "password"].map(|key| {
        keys.text(key);
        keys.raw(key).is_some()
    });
    if username != password {
        keys.section_fault("a username needs a password, and a password a username", "set both or neither");
    }
}

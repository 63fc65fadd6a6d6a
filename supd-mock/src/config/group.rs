//! The programs: `[program:x]` and `[fcgi-program:x]`, alone or together in a `[group:x]`.

use serde::Serialize;

use super::datatypes::{self, integer, placed_list};
use super::ini::{Ini, Section};
use super::keys::Keys;
use super::{Fault, ProcessConfig, Surroundings, process, users};

/// What `supervisorctl` shows before the colon.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) priority: i64,
    pub(crate) processes: Vec<ProcessConfig>,
}

/// All groups, sorted as supervisord starts them.
pub(super) fn read(ini: &Ini, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut taken = Vec::new();
    for section in &ini.sections {
        groups.extend(together(ini, section, surroundings, faults, &mut taken));
    }
    for prefix in ["program", "fcgi-program"] {
        let alone = |section: &&Section| !taken.contains(&section.name.as_str());
        for section in ini.sections.iter().filter(alone) {
            if let Some(name) = section.name_after(prefix) {
                groups.push(alone_group(ini, section, name, surroundings, faults));
            }
        }
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    groups
}

/// A `[group:x]` with the sections that it names.
fn together<'a>(
    ini: &'a Ini,
    section: &'a Section,
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
    taken: &mut Vec<&'a str>,
) -> Option<Group> {
    let mut keys = Keys::new(ini, section, &surroundings.common(), faults);
    let name = name(&mut keys, section.name_after("group")?);
    let priority = keys.get("priority", 999, integer);
    let mut members = Vec::new();
    let programs = keys.text("programs").unwrap_or_default();
    for (before, program) in placed_list(&programs) {
        let [plain, fcgi] = ["program", "fcgi-program"].map(|kind| ini.section(&format!("{kind}:{program}")));
        match plain.or(fcgi) {
            Some(_) if plain.is_some() && fcgi.is_some() => {
                let problem = format!("'{program}' is a program and an fcgi-program");
                keys.fault_after("programs", before, &problem, Some("rename one of them"));
            }
            Some(member) => members.push(member),
            None if program.is_empty() => {
                let problem = "a comma too many is a program without a name";
                keys.fault_after("programs", before, problem, Some("remove the comma"));
            }
            None => {
                let problem = format!("there is no [program:{program}]");
                keys.fault_after("programs", before, &problem, Some("add the section, or correct the name"));
            }
        }
    }
    taken.extend(members.iter().map(|member| member.name.as_str()));
    let mut of =
        |member| process::read(Keys::new(ini, member, &surroundings.globals, faults), &name, surroundings);
    let processes = members.into_iter().flat_map(&mut of).collect();
    Some(Group { name, priority, processes })
}

/// A program that is in no group is one by itself.
fn alone_group(
    ini: &Ini,
    section: &Section,
    name: &str,
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
) -> Group {
    let mut keys = Keys::new(ini, section, &surroundings.common(), faults);
    let name = self::name(&mut keys, name);
    let priority = keys.get("priority", 999, integer);
    if section.name.starts_with("fcgi-") {
        socket(&mut keys, &name);
    }
    let keys = Keys::new(ini, section, &surroundings.globals, faults);
    let processes = process::read(keys, &name, surroundings);
    Group { name, priority, processes }
}

fn name(keys: &mut Keys<'_>, name: &str) -> String {
    datatypes::name(name).unwrap_or_else(|problem| {
        keys.section_fault(&problem, "use letters, digits, '-', '_' and '.'");
        name.to_owned()
    })
}

/// Checks what an fcgi-program says of its socket; a group does not look at its members' sockets.
fn socket(keys: &mut Keys<'_>, program_name: &str) {
    keys.local("user", users::user);
    keys.check("socket_backlog", |text| match integer(text)? {
        1..=65_535 => Ok(()),
        other => Err(format!("{other} is not from 1 to 65535")),
    });
    keys.local("socket_owner", users::owner);
    keys.check("socket_mode", datatypes::octal);
    keys.know("program_name", program_name.into());
    match keys.text("socket") {
        Some(socket) if !socket.is_empty() => {
            let tcp = |rest: &str| {
                rest.rsplit_once(':').is_some_and(|(host, port)| {
                    !host.is_empty()
                        && !host.contains(':')
                        && (1..=65_535).contains(&integer(port).unwrap_or(0))
                })
            };
            let fits = match (socket.strip_prefix("unix://"), socket.strip_prefix("tcp://")) {
                (Some(path), _) => path.starts_with('/'),
                (_, Some(address)) => {
                    if ["socket_owner", "socket_mode"].iter().any(|key| keys.raw(key).is_some()) {
                        keys.fault("socket", "only a unix socket has an owner and a mode", None);
                    }
                    tcp(address)
                }
                _ => false,
            };
            if !fits {
                let problem = format!("'{socket}' is neither unix:///path nor tcp://host:port");
                keys.fault("socket", &problem, None);
            }
        }
        Some(_) => keys.fault("socket", "nothing", Some("socket=unix:///path or socket=tcp://host:port")),
        None if keys.raw("socket").is_none() => {
            keys.section_fault(
                "no socket=, which an fcgi-program needs",
                "socket=unix:///path or tcp://host:port",
            );
        }
        None => {}
    }
}

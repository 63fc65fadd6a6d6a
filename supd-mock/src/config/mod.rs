//! A supervisord.conf, read as supervisord 4.3.0 reads it.
//!
//! Where supervisord stops at the first thing that it refuses, the reader goes on and collects them all:
//! [`Config::read`] reports the first, `supd-mock lint` every one.

mod datatypes;
mod expand;
mod fault;
mod glob;
mod group;
mod include;
mod ini;
mod keys;
mod path;
mod pool;
mod process;
mod server;
mod text;
pub(crate) mod users;
mod value;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;

use self::expand::{Expansion, Expansions};
use self::keys::Keys;

pub(crate) use self::fault::{Fault, Origin};
pub(crate) use self::glob::is_pattern;
pub(crate) use self::group::Group;
pub(crate) use self::include::Missed;
pub(crate) use self::ini::{Ini, Section};
pub(crate) use self::pool::Pool;
pub(crate) use self::process::ProcessConfig;
pub(crate) use self::value::Value;

/// The environment that supervisord is started with.
pub(crate) type Environment = BTreeMap<String, String>;

/// Our own environment, as if supervisord had been started with it. What is not UTF-8 in it is replaced.
pub(crate) fn own_environment() -> Environment {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// What supervisord makes of a configuration.
#[derive(Debug, Serialize)]
pub(crate) struct Config {
    pub(crate) identifier: String,
    /// What processes get as SUPERVISOR_SERVER_URL, unless they have their own.
    pub(crate) serverurl: Option<String>,
    /// Where it works once it is a daemon.
    #[serde(skip)]
    pub(crate) directory: Option<PathBuf>,
    /// The event listeners, as supervisord starts them: by priority, then by name.
    pub(crate) pools: Vec<Pool>,
    /// The programs, in the same order.
    pub(crate) programs: Vec<Group>,
}

/// A configuration with all that is wrong with it; a faulty value has been read as its default.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) config: Config,
    /// Every value as it was written, with its file and line.
    pub(crate) ini: Ini,
    pub(crate) faults: Vec<Fault>,
    pub(crate) missed: Vec<Missed>,
}

impl Config {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// A file that cannot be read, or the first [`Fault`].
    pub(crate) fn read(path: &Path, environment: &Environment) -> anyhow::Result<Self> {
        let reading = Reading::of(path, environment)?;
        match reading.faults.into_iter().next() {
            None => Ok(reading.config),
            Some(fault) => Err(fault.into()),
        }
    }
}

impl Reading {
    /// Whether supervisord refuses this key's value, so that what stands in for it says nothing.
    pub(crate) fn is_faulty(&self, section: &str, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.section == section && fault.key.as_deref() == Some(key))
    }

    /// Where a key stands, or else its section.
    pub(crate) fn at(&self, section: &Section, key: &str) -> Origin {
        self.ini.value(section, key).map_or_else(|| section.at(), |value| &value.at).clone()
    }

    /// Reads a file and what it includes, faults or not.
    ///
    /// # Errors
    /// The file itself cannot be read.
    pub(crate) fn of(path: &Path, environment: &Environment) -> anyhow::Result<Self> {
        let (mut ini, mut faults) = (Ini::default(), Vec::new());
        let text = include::text(path, &mut faults).with_context(|| format!("read '{}'", path.display()))?;
        let file: Arc<Path> = Arc::from(path);
        ini.read(&file, &text, &mut faults);

        let mut surroundings = Surroundings::of(path, environment);
        let mut expansions = surroundings.common();
        expansions.insert("host_node_name".to_owned(), surroundings.host_node_name.as_str().into());
        let missed = include::read(&mut ini, path, &expansions, &mut faults);

        let (mut identifier, mut directory) = ("supervisor".to_owned(), None);
        if let Some(section) = ini.section("supervisord") {
            let keys = Keys::new(&ini, section, &surroundings.common(), &mut faults);
            (identifier, directory) = server::supervisord(keys, &mut surroundings);
        } else {
            let at = Origin { file, line: 1 };
            let problem = "no [supervisord] section";
            faults.push(Fault::new(&at, "", problem).cure("add [supervisord]"));
        }
        server::rpcinterfaces(&ini, &surroundings, &mut faults);
        let programs = group::read(&ini, &surroundings, &mut faults);
        let pools =
            ini.sections.iter().filter_map(|section| Pool::read(&ini, section, &surroundings, &mut faults));
        let mut pools: Vec<Pool> = pools.collect();
        pools.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        let serverurl = server::serverurl(&ini, &surroundings, environment, &mut faults);
        Ok(Self { config: Config { identifier, serverurl, directory, pools, programs }, ini, faults, missed })
    }
}

/// What a section's values may name, besides what is its own.
struct Surroundings {
    /// The main file's directory.
    here: String,
    host_node_name: String,
    /// What `[supervisord]` sets for all processes.
    environment: Vec<(String, String)>,
    /// `ENV_…`.
    globals: Expansions,
}

impl Surroundings {
    fn of(path: &Path, environment: &Environment) -> Self {
        let expansion = |(name, value): (&String, &String)| (format!("ENV_{name}"), value.as_str().into());
        Self {
            here: path::here(path),
            host_node_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            environment: Vec::new(),
            globals: environment.iter().map(expansion).collect(),
        }
    }

    fn set(&mut self, environment: Vec<(String, String)>) {
        for (name, value) in &environment {
            self.globals.insert(format!("ENV_{name}"), Expansion::Text(value.clone()));
        }
        self.environment = environment;
    }

    /// What every value may name.
    fn common(&self) -> Expansions {
        let mut common = self.globals.clone();
        common.insert("here".to_owned(), self.here.as_str().into());
        common
    }
}

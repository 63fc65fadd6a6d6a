//! Which listeners to run, and how: from the command line, or from a supervisord.conf.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use supd_core::cli::{self, Usage};
use supd_core::supervisor::{Autorestart, PoolConfig, ProcessConfig, Profile, SupervisorConfig};
use supd_core::{EventPattern, LenUnit};

use crate::config::{self, Config, Pool};
use crate::daemon::Section;
use crate::process::Program;

/// The listener and its surroundings
#[derive(Debug, clap::Args)]
pub(crate) struct Listeners {
    /// Run the listeners of a supervisord.conf, each as its section says, and send each only the events that it
    /// subscribes to; what they write to standard error goes to yours
    #[arg(short = 'C', long, value_name = "FILE", help_heading = "Listener", conflicts_with_all = [
        "name", "numprocs", "buffer_size", "autorestart", "startsecs", "stopwaitsecs", "words",
    ])]
    config: Option<PathBuf>,

    /// Only this listener of the supervisord.conf; may be repeated
    #[arg(long, value_name = "NAME", requires = "config", help_heading = "Listener")]
    listener: Vec<String>,

    /// The listener's name: its section's, in the header, in SUPERVISOR_GROUP_NAME and, for one process,
    /// SUPERVISOR_PROCESS_NAME; without it, a header keeps its own [default: listener]
    #[arg(long, help_heading = "Listener")]
    name: Option<String>,

    /// How many processes its pool has; more than one are called NAME_00, NAME_01, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Listener")]
    numprocs: u16,

    /// How many events wait for a READY listener; then the oldest is dropped, as supervisord does (its default is 10).
    /// Without it, and at '--speed max', none is dropped
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Listener")]
    buffer_size: Option<u32>,

    /// Whether a listener that ends is started again; unexpected for play, as for supervisord; false for replay, and true
    /// with faults that end it
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Listener")]
    autorestart: Option<Autorestart>,

    /// How long a listener must stay up before it is sent anything; 1s for play, as for supervisord, 0s for replay
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, help_heading = "Listener")]
    startsecs: Option<Duration>,

    /// How long a listener may take to end after SIGTERM before SIGKILL, where supervisord stops it
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s",
        help_heading = "Listener")]
    stopwaitsecs: Duration,

    /// Which supervisord to play; python3 unless given, with lengths as in the capture that is played
    #[arg(long, value_enum, help_heading = "Listener")]
    profile: Option<Profile>,

    /// What an event's length counts, where it is not the profile's
    #[arg(long, value_enum, value_name = "UNIT", help_heading = "Listener")]
    len: Option<LenUnit>,

    /// The listener and its arguments
    #[arg(last = true, required_unless_present = "config", value_name = "LISTENER")]
    words: Vec<OsString>,
}

/// The listeners to run, and the supervisord to run them under.
pub(crate) struct Cast {
    pub(crate) supervisor: SupervisorConfig,
    pub(crate) sections: Vec<Section>,
    /// The programs of a supervisord.conf, as supervisorctl calls them.
    pub(crate) programs: Vec<String>,
}

impl Listeners {
    /// Who is to run. Where nothing is said, `autorestart` is this; `announce` makes events of the listeners' own
    /// changes of state.
    ///
    /// # Errors
    /// The configuration cannot be read, or has no such listener.
    pub(crate) fn cast(&self, autorestart: Autorestart, announce: bool) -> anyhow::Result<Cast> {
        let mut supervisor = SupervisorConfig {
            profile: self.profile(),
            identifier: "supervisor".to_owned(),
            len: self.len,
            announce,
            groups: Vec::new(),
        };
        let Some(path) = &self.config else {
            if !self.listener.is_empty() {
                return Err(Usage("--listener chooses from the file that --config names".into()).into());
            }
            // Who types a name wants to hear at once that there is no such program.
            Program::new(&self.words, self.name_or_default()).look_up()?;
            return Ok(Cast {
                supervisor,
                sections: vec![self.section(autorestart, announce)],
                programs: Vec::new(),
            });
        };
        let config = Config::read(path, &config::own_environment())?;
        let names: Vec<&str> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
        let known = names.join(", ");
        if names.is_empty() {
            bail!("run the listeners of '{}': it has no [eventlistener:…] section", path.display());
        }
        if let Some(name) = self.listener.iter().find(|name| !names.contains(&name.as_str())) {
            bail!("run listener '{name}': '{}' has only {known}", path.display());
        }
        let is_wanted = |pool: &&Pool| self.listener.is_empty() || self.listener.contains(&pool.name);
        let wanted = config.pools.iter().filter(is_wanted);
        let sections =
            wanted.map(|pool| from_pool(pool, config.serverurl.as_deref())).collect::<Result<_, _>>()?;
        supervisor.identifier = config.identifier;
        let called = |process: &config::ProcessConfig| format!("{}:{}", process.groupname, process.name);
        let programs = config.programs.iter().flat_map(|group| &group.processes).map(called).collect();
        supervisor.groups = config.programs.into_iter().map(|group| (group.priority, group.name)).collect();
        Ok(Cast { supervisor, sections, programs })
    }

    /// Whether events go out with the header that they were recorded with.
    pub(crate) fn keeps_headers(&self) -> bool {
        self.config.is_none()
    }

    /// Whether lengths are counted as they were where an event was recorded.
    pub(crate) fn keeps_units(&self) -> bool {
        self.profile.is_none()
    }

    /// Whether a buffer may overflow: one of a given size.
    pub(crate) fn has_buffer(&self) -> bool {
        self.config.is_some() || self.buffer_size.is_some()
    }

    /// The name that was asked for.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn name_or_default(&self) -> &str {
        self.name().unwrap_or("listener")
    }

    fn profile(&self) -> Profile {
        self.profile.unwrap_or_default()
    }

    fn section(&self, autorestart: Autorestart, announce: bool) -> Section {
        let group = self.name_or_default();
        let pool = PoolConfig {
            name: group.to_owned(),
            events: vec![EventPattern::exact("EVENT").expect("it is the root of all events")],
            buffer_size: self.buffer_size.map_or(usize::MAX, |size| size as usize),
            priority: -1,
        };
        let startsecs = Duration::from_secs(announce.into());
        let process = |number| {
            let name = match self.numprocs {
                1 => group.to_owned(),
                _ => format!("{group}_{number:02}"),
            };
            let config = ProcessConfig {
                autorestart: self.autorestart.unwrap_or(autorestart),
                startsecs: self.startsecs.unwrap_or(startsecs),
                stopwaitsecs: self.stopwaitsecs,
                ..ProcessConfig::new(&name)
            };
            let mut program = Program::new(&self.words, group);
            program.processname = name;
            (config, program)
        };
        (pool, (0..self.numprocs).map(process).collect())
    }
}

/// A section as supd-core's supervisor, and whoever starts its processes, want it.
fn from_pool(pool: &Pool, serverurl: Option<&str>) -> anyhow::Result<Section> {
    let config = PoolConfig {
        name: pool.name.clone(),
        events: pool.events.clone(),
        buffer_size: pool.buffer_size,
        priority: pool.priority,
    };
    let process = |process: &config::ProcessConfig| Ok((life(process), program(process, serverurl)?));
    Ok((config, pool.processes.iter().map(process).collect::<anyhow::Result<_>>()?))
}

/// A thousand years, in seconds: more than that cannot be added to the time of day.
const FOREVER: u64 = 1000 * 365 * 86_400;

fn life(process: &config::ProcessConfig) -> ProcessConfig {
    // supervisord takes negative numbers, which mean no time at all.
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0).min(FOREVER));
    ProcessConfig {
        name: process.name.clone(),
        priority: process.priority,
        autostart: process.autostart,
        autorestart: process.autorestart,
        startsecs: seconds(process.startsecs),
        startretries: u32::try_from(process.startretries.max(0)).unwrap_or(u32::MAX),
        exitcodes: process.exitcodes.clone(),
        stopsignal: process.stopsignal,
        stopwaitsecs: seconds(process.stopwaitsecs),
        stopasgroup: process.stopasgroup,
        killasgroup: process.killasgroup,
    }
}

fn program(process: &config::ProcessConfig, serverurl: Option<&str>) -> anyhow::Result<Program> {
    let words = process.words.as_ref().filter(|words| !words.is_empty());
    let words =
        words.with_context(|| format!("split the command of '{}': {}", process.name, process.command))?;
    let ids = process.user.as_deref().and_then(config::users::ids);
    let may_change = rustix::process::geteuid().is_root();
    if let (Some(user), false) = (&process.user, may_change) {
        log::warn!("run '{}' as '{user}': only root can; it runs as you", process.name);
    }
    Ok(Program {
        words: words.iter().map(OsString::from).collect(),
        processname: process.name.clone(),
        groupname: process.groupname.clone(),
        environment: process.environment.clone(),
        directory: process.directory.clone(),
        umask: process.umask.and_then(|umask| u32::try_from(umask).ok()),
        serverurl: process.serverurl.as_deref().or(serverurl).map(str::to_owned),
        ids: ids.filter(|_| may_change),
    })
}

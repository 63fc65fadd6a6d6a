//! Which listeners to run, and how: from the command line, or from a supervisord.conf.

use std::ffi::OsString;
use std::time::Duration;

use supd_core::supervisor::{Autorestart, PoolConfig, ProcessConfig, Profile, SupervisorConfig};
use supd_core::{EventPattern, LenUnit, cli};

use crate::daemon::Section;
use crate::process::Program;

/// The listener and its surroundings
#[derive(Debug, clap::Args)]
pub(crate) struct Listeners {
    /// The listener's name: its section's, in SUPERVISOR_GROUP_NAME and, for one process, SUPERVISOR_PROCESS_NAME
    #[arg(long, default_value = "listener", help_heading = "Listener")]
    pub(crate) name: String,

    /// How many processes its pool has; more than one are called NAME_00, NAME_01, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Listener")]
    numprocs: u16,

    /// How many events wait for a READY listener; then the oldest is dropped, as supervisord does. Without it, events
    /// happen only when the listener is ready for them, and none is dropped
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Listener")]
    pub(crate) buffer_size: Option<u32>,

    /// Whether a listener that ends is started again
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "Listener")]
    autorestart: Option<Autorestart>,

    /// How long a listener must stay up before it is sent anything; supervisord's default is 1s
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "0s", help_heading = "Listener")]
    startsecs: Duration,

    /// How long a listener may take to end after SIGTERM before SIGKILL, where supervisord stops it
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s", help_heading = "Listener")]
    stopwaitsecs: Duration,

    /// Which supervisord to play; python3 unless given, with lengths as in the capture that is played
    #[arg(long, value_enum, help_heading = "Listener")]
    profile: Option<Profile>,

    /// What an event's length counts, where it is not the profile's
    #[arg(long, value_enum, value_name = "UNIT", help_heading = "Listener")]
    pub(crate) len: Option<LenUnit>,

    /// The listener and its arguments
    #[arg(last = true, required = true, value_name = "LISTENER")]
    words: Vec<OsString>,
}

impl Listeners {
    /// What to tell supd-core's supervisor of itself.
    pub(crate) fn supervisor(&self, announce: bool) -> SupervisorConfig {
        SupervisorConfig {
            profile: self.profile(),
            identifier: "supervisor".to_owned(),
            len: self.len,
            announce,
        }
    }

    fn profile(&self) -> Profile {
        self.profile.unwrap_or_default()
    }

    /// Whether lengths are counted as they were where an event was recorded.
    pub(crate) fn keeps_units(&self) -> bool {
        self.profile.is_none()
    }

    /// The sections to run. Where nothing is said, `autorestart` is this.
    pub(crate) fn sections(&self, autorestart: Autorestart) -> Vec<Section> {
        let pool = PoolConfig {
            name: self.name.clone(),
            events: vec![EventPattern::parse("EVENT").expect("it is the root of all events")],
            buffer_size: self.buffer_size.map_or(self.profile().buffer_size(), |size| size as usize),
            priority: -1,
        };
        let process = |number| {
            let name = match self.numprocs {
                1 => self.name.clone(),
                _ => format!("{}_{number:02}", self.name),
            };
            let config = ProcessConfig {
                autorestart: self.autorestart.unwrap_or(autorestart),
                startsecs: self.startsecs,
                stopwaitsecs: self.stopwaitsecs,
                ..ProcessConfig::new(&name)
            };
            let mut program = Program::new(&self.words, &self.name);
            program.processname = name;
            (config, program)
        };
        vec![(pool, (0..self.numprocs).map(process).collect())]
    }
}

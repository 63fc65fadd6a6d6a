//! The options that say which records pass.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use supd_core::cli::Usage;
use supd_core::moment::Moment;
use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::{EventPattern, State};

use super::Select;
use super::grep::{self, Grep};
use super::search::Search;
use super::window::Window;
use crate::lane::Reading;
use crate::limit::Limit;
use crate::problems::Problems;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Select")]
pub(crate) struct SelectOptions {
    /// Events by name or the end of it, in any case: PROCESS_STATE (and all under it), exited, fatal, log
    #[arg(short, long = "event", value_name = "NAME", value_delimiter = ',', value_parser = EventPattern::parse)]
    events: Vec<EventPattern>,

    /// Processes by glob, 'name' or 'group:name': worker, 'web:*'
    #[arg(short, long = "process", value_name = "GLOB", value_delimiter = ',')]
    processes: Vec<ProcessPattern>,

    /// Groups by glob
    #[arg(short, long = "group", value_name = "GLOB", value_delimiter = ',')]
    groups: Vec<Glob>,

    /// Machines by glob
    #[arg(long = "host", value_name = "GLOB", value_delimiter = ',')]
    hosts: Vec<Glob>,

    /// Identifiers of supervisord by glob
    #[arg(long = "server", value_name = "GLOB", value_delimiter = ',')]
    servers: Vec<Glob>,

    /// States that a process left, in any case: starting, running, backoff, stopping, stopped, exited, fatal, unknown
    #[arg(
        long = "from-state",
        value_name = "STATE",
        value_delimiter = ',',
        ignore_case = true,
        hide_possible_values = true
    )]
    from_states: Vec<State>,

    /// States that a process went to: '--from-state running --state stopping'
    #[arg(
        long = "state",
        value_name = "STATE",
        value_delimiter = ',',
        ignore_case = true,
        hide_possible_values = true
    )]
    states: Vec<State>,

    /// Only exits with a status that is not among the process's exitcodes
    #[arg(long)]
    unexpected: bool,

    /// From this time on: 2h (ago), 14:00, 'yesterday 14:00', 2026-01-05, '2026-01-05 08:00', or RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,

    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,

    /// Events whose text (log output, a communication) matches a regular expression; '^' and '$' are the ends of each
    /// of its lines; several are alternatives
    #[arg(long, value_name = "REGEX", value_parser = grep::check)]
    grep: Vec<String>,

    /// Let --grep match in any case
    #[arg(short, long, requires = "grep")]
    ignore_case: bool,

    /// Pass what the conditions above would not, and not what they would
    #[arg(long, conflicts_with = "problems")]
    invert: bool,

    /// What needs somebody: unexpected exits, FATAL, BACKOFF, UNKNOWN, flapping (with --track) and lost events; and
    /// what ends each (the first RUNNING or STOPPED, or SUPD_STABLE), marked with 'resolves' = the problem's serial
    #[arg(long)]
    problems: bool,

    /// And TICK events, whatever else is asked for: the pulse that supd-notify --heartbeat wants
    #[arg(long)]
    pub(crate) ticks: bool,

    /// Parse every line as a whole, and report each that is no record. Otherwise lines that cannot pass are only looked
    /// at from afar, which is much faster; what passes is the same
    #[arg(long, help_heading = "Input")]
    strict: bool,

    /// Only the first N of what passes; nothing is read after them
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,

    /// Only the last N of what passes
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    tail: Option<usize>,
}

impl SelectOptions {
    /// What the record alone tells: as of now, and by the clocks of a zone.
    ///
    /// # Errors
    /// [`Usage`].
    pub(crate) fn select(&self, now: Timestamp, zone: &TimeZone) -> Result<Select, Usage> {
        let resolve = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now, zone)).transpose();
        let window = |since, until| Ok(Window::new(resolve(since)?, resolve(until)?));
        let grep = (!self.grep.is_empty()).then(|| Grep::new(&self.grep, self.ignore_case));
        Ok(Select {
            events: self.events.clone(),
            processes: self.processes.clone(),
            groups: self.groups.clone(),
            hosts: self.hosts.clone(),
            servers: self.servers.clone(),
            from_states: self.from_states.clone(),
            states: self.states.clone(),
            unexpected: self.unexpected,
            window: window(self.since, self.until).map_err(Usage)?,
            grep: grep.transpose().map_err(Usage)?,
            invert: self.invert,
        })
    }

    /// Which lines have to be read for that, and how.
    pub(crate) fn reading(&self, select: &Select) -> Reading {
        if self.strict {
            return Reading::Strict;
        }
        let Some(literals) = select.literals(self.problems) else { return Reading::Every };
        let mut texts = literals.any;
        // They pass whatever is asked for.
        texts.push(b"\"SUPD_MARK\"".to_vec());
        if self.ticks {
            texts.push(b"\"TICK".to_vec());
        }
        Search::of(&texts).map_or(Reading::Every, |search| Reading::Found(Box::new(search)))
    }

    /// What has been before tells, if it is asked for.
    pub(crate) fn problems(&self) -> Option<Problems> {
        self.problems.then(Problems::default)
    }

    /// How many are wanted.
    pub(crate) fn limit(&self) -> Limit {
        Limit::new(self.limit, self.tail)
    }
}

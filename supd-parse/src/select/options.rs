//! The options that say which records pass.

use supd_core::EventPattern;
use supd_core::pattern::{Glob, ProcessPattern};

use super::Select;
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

    /// Only exits with a status that is not among the process's exitcodes
    #[arg(long)]
    unexpected: bool,

    /// What needs somebody: unexpected exits, FATAL, BACKOFF, UNKNOWN and lost events; and the first RUNNING or
    /// STOPPED of the process afterwards, marked with 'resolves' = the problem's serial
    #[arg(long)]
    problems: bool,

    /// And TICK events, whatever else is asked for: the pulse that supd-notify --heartbeat wants
    #[arg(long)]
    pub(crate) ticks: bool,

    /// Only the first N of what passes; nothing is read after them
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,

    /// Only the last N of what passes
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    tail: Option<usize>,
}

impl SelectOptions {
    /// What the record alone tells.
    pub(crate) fn select(&self) -> Select {
        Select {
            events: self.events.clone(),
            processes: self.processes.clone(),
            groups: self.groups.clone(),
            unexpected: self.unexpected,
        }
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

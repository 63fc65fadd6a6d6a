//! The command line.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::reader::Form;
use supd_core::{EventPattern, cli};

use crate::filter::Filter;
use crate::format::{Format, json, ndjson, text};

const EXAMPLES: &str = "\
Examples:
  supd-parse -e exited,fatal events.ndjson
  supd-parse --problems -p 'web:*' --to text events.ndjson
  supd-parse --from raw capture.raw | jq -r .eventname | sort | uniq -c
  supd-listen -c 'supd-parse --problems | supd-notify slack'

Exit status: 0 when everything was read; 1 when a line or a file was not (it is
named, the rest is read all the same); 2 for wrong usage.";

/// Filters and formats records of supervisord events
///
/// Reads records, one JSON object a line, or raw captures of the protocol, from files or standard input. Filters of
/// one kind are alternatives (-e exited -e fatal, or -e exited,fatal); filters of different kinds must all hold.
/// Each record is passed on as soon as it is read.
#[derive(Debug, clap::Parser)]
#[command(name = "supd-parse", bin_name = "supd-parse", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// Files to read, '-' for standard input; standard input when there are none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Form of the input
    #[arg(long, value_enum, default_value = "auto", value_name = "FORM", help_heading = "Input and output")]
    pub from: Form,

    /// Form of the output; text on a terminal and ndjson otherwise, unless given
    #[arg(long, value_enum, value_name = "FORM", help_heading = "Input and output")]
    to: Option<To>,

    /// After SIGTERM, read on to the end of input for at most this long
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "6s",
          help_heading = "Input and output")]
    pub drain_timeout: Duration,

    #[command(flatten)]
    select: Select,

    /// Which messages to write to standard error
    #[command(flatten)]
    pub verbosity: cli::Verbosity,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Select")]
struct Select {
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
    ticks: bool,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// One JSON object a line
    Ndjson,
    /// One JSON array, for other programs: we read back ndjson only
    Json,
    /// Lines for people
    Text,
}

impl Args {
    /// The output form that was asked for.
    pub(crate) fn format(&self) -> Box<dyn Format> {
        let terminal = io::stdout().is_terminal();
        match self.to.unwrap_or(if terminal { To::Text } else { To::Ndjson }) {
            To::Ndjson => Box::new(ndjson::Ndjson),
            To::Json => Box::new(json::Json::default()),
            To::Text => Box::new(text::Text::new(
                terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            )),
        }
    }

    /// The filter that was asked for.
    pub(crate) fn filter(&self) -> Filter {
        let Select { events, processes, groups, unexpected, problems, ticks } = self.select.clone();
        Filter::new(events, processes, groups, unexpected, problems).with_ticks(ticks)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }
}

//! The command line.

use jiff::Timestamp;
use supd_core::cli;

use crate::chain::Chain;
use crate::lane::{Lane, Reading};
use crate::select::Select;
use crate::track::WarmUp;
use crate::{format, jq, select, source, track};

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
    #[command(flatten)]
    pub(crate) input: source::options::InputOptions,

    #[command(flatten)]
    select: select::options::SelectOptions,

    #[command(flatten)]
    track: track::options::TrackOptions,

    #[command(flatten)]
    jq: jq::options::JqOptions,

    #[command(flatten)]
    pub(crate) output: format::options::OutputOptions,

    /// Which messages to write to standard error
    #[command(flatten)]
    pub verbosity: cli::Verbosity,
}

impl Args {
    /// What is to be done with the lines of the input; spans of time are counted back from `now`.
    ///
    /// # Errors
    /// [`cli::Usage`]; when the file of a template or of a jq filter cannot be read.
    pub(crate) fn lane(&self, now: Timestamp) -> anyhow::Result<Lane> {
        let select = self.select.select(now, &self.output.zone())?;
        let reading = match self.select.reading(&select) {
            // What cannot pass still tells how a process does.
            Reading::Found(_) if self.track.is_on() => Reading::Every,
            reading => reading,
        };
        Ok(Lane::new(self.chain(select)?, reading))
    }

    /// What is to be done with each record.
    fn chain(&self, select: Select) -> anyhow::Result<Chain> {
        let track = self.track.tracker();
        let jq = self.jq.jq()?;
        let format = self.output.format(jq.is_some())?;
        Ok(Chain {
            // A file that is named has nothing to do with the spool of whoever started us.
            warm_up: track
                .as_ref()
                .filter(|_| self.input.is_stdin())
                .and_then(|_| WarmUp::from_environment()),
            track,
            select,
            problems: self.select.problems(),
            ticks: self.select.ticks,
            jq,
            limit: self.select.limit(),
            format,
        })
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

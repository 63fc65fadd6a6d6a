//! The command line.

use std::path::PathBuf;

use supd_core::{LenUnit, cli};

use crate::bench::Bench;
use crate::check::Check;
use crate::generate::Scenario;
use crate::lint::Lint;
use crate::play::Play;
use crate::replay::Replay;

const EXAMPLES: &str = "\
Examples:
  supd-mock replay -- supd-listen -c 'supd-parse --problems | supd-notify log'
  supd-mock replay --events capture.raw -- python3 my_listener.py | jq .latency
  supd-mock check -- python3 my_listener.py
  supd-mock generate --scenario flap --count 100 | supd-parse --to text
  supd-mock generate --scenario crash | supd-mock emit > capture.raw
  supd-mock lint /etc/supervisor/supervisord.conf
  supd-mock bench --vs 'exec python3 my_listener.py' -- supd-listen -o /dev/null

Exit status: 0 when all went well; 1 when a listener broke the protocol, did not
accept an event or ended with an error, a configuration has errors, or a file
could not be read; 2 for wrong usage.";

/// Plays supervisord: replays events into any event listener, without supervisord
#[derive(Debug, clap::Parser)]
#[command(name = "supd-mock", bin_name = "supd-mock", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Which messages to write to standard error
    #[command(flatten)]
    pub(crate) verbosity: cli::Verbosity,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Replay(Box<Replay>),
    Play(Box<Play>),
    Check(Check),
    Emit(Emit),
    Generate(Generate),
    Lint(Lint),
    Bench(Bench),
}

/// Write records as the bytes that supervisord sends
#[derive(Debug, clap::Args)]
pub(crate) struct Emit {
    /// Files of records, '-' for standard input; standard input when there are none
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// What an event's length counts
    #[arg(long, value_enum, default_value = "chars", value_name = "UNIT")]
    pub(crate) len: LenUnit,
}

/// Write plausible records, always the same for the same seed
#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// What happens
    #[arg(short, long, value_enum, default_value = "crash")]
    pub(crate) scenario: Scenario,

    /// How many records
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) count: usize,

    /// Another seed, another course of events
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
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

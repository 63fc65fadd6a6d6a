//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use supd_core::reader::Form;
use supd_core::{LenUnit, cli};

use crate::generate::Scenario;

const EXAMPLES: &str = "\
Examples:
  supd-mock replay -- supd-listen -c 'supd-parse --problems | supd-notify log'
  supd-mock replay --events capture.raw -- python3 my_listener.py | jq .latency
  supd-mock generate --scenario flap --count 100 | supd-parse --to text
  supd-mock generate --scenario crash | supd-mock emit > capture.raw

Exit status: 0 when all went well; 1 when a listener broke the protocol, did not
accept an event or ended with an error, or a file could not be read; 2 for wrong
usage.";

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
    Replay(Replay),
    Emit(Emit),
    Generate(Generate),
}

/// Start a listener as supervisord does, and play events into it
///
/// The listener gets pipes, a process group and the environment that supervisord gives, and one event after another,
/// each when it is READY for it. For each event one line of JSON goes to standard output: serial, eventname, result
/// and latency (seconds from writing the event to reading its result); a summary goes to standard error. An event
/// that the listener rejects is sent again, as supervisord does, ten times at most. After the last event standard
/// input is closed; then all processes that the listener started may finish.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// What to play: records (NDJSON) or a raw capture, '-' for standard input; a short bad day when not given
    #[arg(short, long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Form of the events
    #[arg(long, value_enum, default_value = "auto", value_name = "FORM")]
    pub(crate) from: Form,

    /// How much faster than the records' own times, 'max' for as fast as the listener takes them; a raw capture,
    /// which has no times, is always played so
    #[arg(long, value_name = "FACTOR", value_parser = Speed::parse, default_value = "1")]
    pub(crate) speed: Speed,

    /// What an event's length counts; characters unless given or known from a raw capture
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) len: Option<LenUnit>,

    /// The listener's name, in SUPERVISOR_PROCESS_NAME and SUPERVISOR_GROUP_NAME
    #[arg(long, default_value = "listener")]
    pub(crate) name: String,

    /// How long the listener may take to be READY, and for each event
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s")]
    pub(crate) timeout: Duration,

    /// How long the listener and all it started may take to finish after the last event, before SIGTERM,
    /// and again before SIGKILL
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s")]
    pub(crate) stop_timeout: Duration,

    /// The listener and its arguments
    #[arg(last = true, required = true, value_name = "LISTENER")]
    pub(crate) listener: Vec<OsString>,
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

/// How fast to replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as it happened.
    Times(f64),
    /// As fast as the listener takes it.
    Max,
}

impl Speed {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(Self::Times(factor)),
            _ => Err("not a factor such as 1, 0.5 or 10, nor 'max'"),
        }
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

    #[test]
    fn a_speed_is_a_positive_factor_or_max() {
        assert_eq!(Speed::parse("max"), Ok(Speed::Max));
        assert_eq!(Speed::parse("2.5"), Ok(Speed::Times(2.5)));
        for wrong in ["0", "-1", "fast", "inf", "NaN", ""] {
            Speed::parse(wrong).unwrap_err();
        }
    }
}

//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supd_core::cli::Usage;
use supd_core::spool::{Options, Sync};
use supd_core::{LenMode, ancestry, cli};

use crate::print_config::Wish;
use crate::spool_command::Command;
use crate::wake::Way;

/// Below supervisord's stopwaitsecs.
pub(crate) const DRAIN_TIMEOUT: &str = "8s";
pub(crate) const SPOOL_MAX: &str = "1GiB";
pub(crate) const SPOOL_KEEP: &str = "7d";

const EXAMPLES: &str = "\
Examples, each a line of an [eventlistener:alerts] section with autorestart=true:
  command=supd-listen -c 'supd-parse --problems | supd-notify slack'
  command=supd-listen -o /var/log/supd/events.ndjson
  command=sh -c 'supd-listen | supd-parse --problems | supd-notify slack'

Such a section, to paste:
  supd-listen --print-config alerts -c 'supd-parse --problems | supd-notify slack'

Without supervisord:
  supd-mock replay -- supd-listen -c 'supd-parse --to text'

Exit status: 0 after end of input or SIGTERM, when the pipeline ended with 0,
else the pipeline's own; 1 when something failed or the pipeline ended by
itself; 2 for wrong usage.";

/// A supervisord event listener: hands every event on as one line of JSON
///
/// supervisord starts it, sends it events on standard input and waits for replies on standard output. Each event
/// becomes one JSON object on one line, for a pipeline that supd-listen runs (-c, --), for the next program of a shell
/// pipeline it stands in (neither option), or for a file (-o). An event is acknowledged once its record has been
/// handed on; when the pipeline ends, supd-listen ends too, and supervisord sends the event again to its successor.
#[derive(Debug, clap::Parser)]
#[command(name = "supd-listen", bin_name = "supd-listen", version, after_help = EXAMPLES, max_term_width = 100,
          args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    destination: Destination,

    /// Write replies to this descriptor, when standard output and the shell's are both taken:
    /// { supd-listen --protocol-fd 3 | …; } 3>&1
    #[arg(long, value_name = "FD", help_heading = "Protocol")]
    pub protocol_fd: Option<u32>,

    /// What supervisord counts in an event's length: characters (Python 3), bytes (the Go supervisord), or find out
    #[arg(long, value_name = "UNIT", value_enum, default_value = "auto", help_heading = "Protocol")]
    pub len: LenMode,

    /// Keep at most this much of an event's payload, and mark what was cut with "truncated"
    #[arg(long, value_name = "SIZE", value_parser = cli::size, default_value = "16MiB", help_heading = "Protocol")]
    pub max_payload: usize,

    /// The spool, if there is one
    #[command(flatten)]
    pub spool: Spool,

    /// Report holes in poolserial, events that supervisord dropped, as SUPD_GAP; auto: where the pool has one process
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Protocol")]
    pub gaps: Gaps,

    /// How long the pipeline may take to finish once its input has ended, before SIGTERM, then SIGKILL;
    /// keep it below supervisord's stopwaitsecs
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = DRAIN_TIMEOUT)]
    pub drain_timeout: Duration,

    /// The host's name in every record, instead of what hostname(1) prints
    #[arg(long, env = "SUPD_HOST", hide_env_values = true, value_name = "NAME")]
    host: Option<String>,

    /// When a process ends, wake supervisord, so that its event comes at once and not after the second for which
    /// supervisord would sleep; done by default where it can be, by supervisord's socket. Where user= bars the way to
    /// that, =stderr does it, with a newline on standard error: for a listener with stderr_logfile=NONE
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "socket",
        help_heading = "Hearing first"
    )]
    wake: Option<Way>,

    /// Leave supervisord alone, and hear of an end when it is told
    #[arg(long, conflicts_with = "wake", help_heading = "Hearing first")]
    no_wake: bool,

    #[command(flatten)]
    pub(crate) print_config: Wish,

    /// Which messages to write to standard error
    #[command(flatten)]
    pub verbosity: cli::Verbosity,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Destination {
    /// Run this pipeline with /bin/sh and write records to its standard input; what it prints goes to standard error
    #[arg(short = 'c', long, value_name = "SCRIPT", value_parser = script, help_heading = "Where records go")]
    shell: Option<String>,

    /// Append records to this file
    #[arg(short, long, value_name = "FILE", help_heading = "Where records go")]
    output: Option<PathBuf>,

    /// Run this program, without a shell, and write records to its standard input
    #[arg(last = true, value_name = "PROGRAM", num_args = 1.., help_heading = "Where records go")]
    program: Vec<OsString>,
}

/// The spool, if there is one.
#[derive(Debug, clap::Args)]
pub struct Spool {
    /// Write each event to this directory before it is acknowledged, and hand on from there: what supd-notify, which finds
    /// the directory in its environment, has not confirmed is handed on again after a restart
    #[arg(
        long = "spool",
        env = "SUPD_SPOOL",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = "Nothing is lost"
    )]
    dir: Option<OsString>,

    /// When events must be on disk: before each is acknowledged, or when the kernel sees fit
    #[arg(
        long = "spool-sync",
        value_name = "WHEN",
        value_enum,
        default_value = "event",
        help_heading = "Nothing is lost"
    )]
    pub(crate) sync: Sync,

    /// How large the spool may get; then the oldest go, confirmed or not, and SUPD_GAP says so
    #[arg(long = "spool-max", value_name = "SIZE", value_parser = cli::size, default_value = SPOOL_MAX,
          help_heading = "Nothing is lost")]
    pub(crate) max: usize,

    /// How long what every consumer has confirmed is kept
    #[arg(long = "spool-keep", value_name = "AGE", value_parser = cli::duration, default_value = SPOOL_KEEP,
          help_heading = "Nothing is lost")]
    pub(crate) keep: Duration,

    /// Take a record for confirmed once the pipeline has been given it, for pipelines that do not end in supd-notify;
    /// implied by -o
    #[arg(long, help_heading = "Nothing is lost")]
    pub(crate) confirm_on_write: bool,
}

impl Spool {
    /// Where it is.
    pub fn dir(&self) -> Option<&Path> {
        // An empty variable is one that was not set.
        self.dir.as_deref().filter(|dir| !dir.is_empty()).map(Path::new)
    }

    /// How it is kept.
    pub fn options(&self) -> Options {
        Options { max: self.max as u64, keep: self.keep, sync: self.sync }
    }
}

/// Whether holes in poolserial are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Gaps {
    /// Where supervisord's variables say that the pool has one process: the others of a larger one get the rest
    Auto,
    /// Yes
    On,
    /// No
    Off,
}

/// Where records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// A pipeline that /bin/sh runs.
    Shell(&'a str),
    /// A program with its arguments.
    Program(&'a [OsString]),
    /// A file to append to.
    File(&'a Path),
    /// Our standard output, the next program of a pipeline that a shell runs.
    Stdout,
}

impl Args {
    /// What records call this machine.
    pub fn host(&self) -> String {
        // An empty variable is one that was not set.
        self.given_host().map_or_else(ancestry::hostname, str::to_owned)
    }

    /// What was said that records should call this machine.
    pub(crate) fn given_host(&self) -> Option<&str> {
        self.host.as_deref().filter(|host| !host.is_empty())
    }

    /// Whether holes in poolserial are reported.
    pub fn reports_gaps(&self) -> bool {
        let variable = |name| std::env::var_os(name);
        match self.gaps {
            Gaps::On => true,
            Gaps::Off => false,
            Gaps::Auto => variable("SUPERVISOR_PROCESS_NAME")
                .is_some_and(|process| Some(process) == variable("SUPERVISOR_GROUP_NAME")),
        }
    }

    /// Whether a record counts as confirmed once it has been written: nobody confirms what stands in a file.
    pub fn confirms_on_write(&self) -> bool {
        self.spool.confirm_on_write || matches!(self.output(), Output::File(_))
    }

    /// How supervisord is to be woken when a process ends.
    pub(crate) fn wake(&self) -> Option<Way> {
        (!self.no_wake).then(|| self.wake.unwrap_or(Way::Socket))
    }

    /// What was said of that.
    pub(crate) fn wake_word(&self) -> Option<&'static str> {
        match self.wake {
            _ if self.no_wake => Some("--no-wake"),
            Some(Way::Socket) => Some("--wake"),
            Some(Way::Stderr) => Some("--wake=stderr"),
            None => None,
        }
    }

    /// Where records go.
    pub fn output(&self) -> Output<'_> {
        let Destination { shell, output, program } = &self.destination;
        match (shell, output) {
            (Some(script), _) => Output::Shell(script),
            (_, Some(path)) => Output::File(path),
            _ if !program.is_empty() => Output::Program(program),
            _ => Output::Stdout,
        }
    }
}

fn script(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("there is no command in it") } else { Ok(text.to_owned()) }
}

/// supervisord splits a command into words and runs no shell, so a pipeline that is not quoted arrives as arguments.
pub(crate) fn refuse_shell_words(words: impl Iterator<Item = OsString>) -> Result<(), Usage> {
    let mut ours = words.skip(1).take_while(|word| word != "--");
    if ours.any(|word| word == "|" || word == ">" || word == ">>" || word == "&&") {
        return Err(Usage(
            "supervisord runs no shell, so the pipeline must be quoted: command=supd-listen -c 'supd-parse --problems | \
             supd-notify slack'"
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn supervisord_is_woken_unless_it_shall_not_be() {
        let wake = |words: &[&str]| {
            let words = ["supd-listen", "-o", "x"].iter().chain(words);
            Args::try_parse_from(words).map(|args| args.wake()).map_err(|error| error.kind())
        };
        assert_eq!((wake(&[]), wake(&["--wake"])), (Ok(Some(Way::Socket)), Ok(Some(Way::Socket))));
        assert_eq!((wake(&["--wake=stderr"]), wake(&["--no-wake"])), (Ok(Some(Way::Stderr)), Ok(None)));
        wake(&["--wake", "--no-wake"]).unwrap_err();
        wake(&["--wake=bell"]).unwrap_err();
        wake(&["--wake", "stderr"]).unwrap_err();
    }

    #[test]
    fn a_program_keeps_its_own_options() {
        let args = Args::try_parse_from(["supd-listen", "--", "prog", "-c", "x"]).unwrap();
        assert_eq!(args.output(), Output::Program(&["prog".into(), "-c".into(), "x".into()]));
        Args::try_parse_from(["supd-listen", "-c", "a", "-o", "b"]).unwrap_err();
        Args::try_parse_from(["supd-listen", "-c", "a", "--", "b"]).unwrap_err();
    }
}

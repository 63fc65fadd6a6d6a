//! The command line.

use std::ffi::OsString;
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Deserialize;
use supd_core::spool::{self, ConsumerName};
use supd_core::{arguments, cli};

use crate::channel::{Channel, email, exec, file, log, slack, webhook};
use crate::{NAME, heartbeat, metrics, policy, retry, test_message, wording};

/// What help calls the subcommands.
const COMMANDS: &str = "Channels, and other commands";

/// What help calls the options, in the order in which they come.
pub(crate) mod heading {
    pub(crate) const DELIVERY: &str = "Delivery";
    pub(crate) const GROUPING: &str = "Grouping";
    pub(crate) const SILENCE: &str = "Silence";
    pub(crate) const WORDING: &str = "Wording";
    pub(crate) const SPOOL: &str = "Spool";
    pub(crate) const MONITORING: &str = "Monitoring";
    pub(crate) const MESSAGES: &str = "Messages";
}

/// What `-h` shows below the options that most people need; the others have `hide_short_help`.
const FIRST_EXAMPLES: &str = "\
Examples:
  supd-listen -c 'supd-parse --problems | supd-notify slack'
  supd-listen -c 'supd-parse --problems | supd-notify --config /etc/supd/notify.toml'
  supd-notify test slack

'--help' has more options and examples.";

const EXAMPLES: &str = "\
Examples:
  supd-listen -c 'supd-parse --problems | supd-notify slack'
  supd-parse --problems events.ndjson | supd-notify --dry-run slack | jq .
  supd-parse -e fatal events.ndjson |
    supd-notify --dead-letter undelivered.ndjson exec -- ./page-me
  supd-listen -c 'supd-parse --problems | supd-notify --config /etc/supd/notify.toml'
A first message, with SUPD_SLACK_URL set, and a first real one:
  supd-notify test slack
  supd-mock generate | supd-parse --problems | head -n 1 | supd-notify -v slack

Exit status: 0 when every record was delivered, or stays in the spool; 1 when
one was not, or a line was not a record; 2 for wrong usage.";

/// Delivers records of supervisord events to where people look
///
/// Reads records, one JSON object a line, from standard input, and sends them to one channel: to programs each by itself
/// and in order, to people one message at a time about each process. What fails is tried again, after one second, then
/// longer, up to five minutes; a server's Retry-After is respected. What cannot be delivered goes to the dead letter file
/// with the reason, or, without one, to standard error; 'retry' sends it again. Records marked with 'resolves' (the end of
/// a problem) are told as recoveries with --resolve, and else not sent.
///
/// A configuration names several targets instead, each a channel with its own options, and rules that say which of them
/// gets what. One that fails or is slow delays no other. What is given on the command line holds for all of them, whatever
/// the configuration says.
///
/// With the spool that supd-listen keeps, what has been dealt with is confirmed there, so that it is not sent again, and
/// what there is no time for at the end stays there for the next start.
#[derive(Debug, clap::Parser)]
#[command(name = "supd-notify", bin_name = "supd-notify", version, after_help = FIRST_EXAMPLES,
          after_long_help = EXAMPLES, max_term_width = 100,
          subcommand_value_name = "CHANNEL", subcommand_help_heading = COMMANDS)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Deliver to the targets of this configuration, instead of to one channel
    #[arg(long, value_name = "FILE", global = true, help_heading = heading::DELIVERY)]
    pub(crate) config: Option<PathBuf>,

    /// Print what would be sent, and send nothing
    #[arg(long, global = true, help_heading = heading::DELIVERY)]
    pub(crate) dry_run: bool,

    /// Append records that could not be delivered to this file, each with why not
    #[arg(long, value_name = "FILE", global = true, help_heading = heading::DELIVERY)]
    pub(crate) dead_letter: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: policy::Options,

    #[command(flatten)]
    pub(crate) wording: wording::Options,

    /// How long a channel that fails is still tried after the end of input, and everything after SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "6s", global = true,
          help_heading = heading::DELIVERY, hide_short_help = true)]
    pub(crate) drain_timeout: Duration,

    /// The spool that the records come from, in which what was dealt with is confirmed; or the variable SUPD_SPOOL
    #[arg(long, value_name = "DIR", global = true, help_heading = heading::SPOOL)]
    spool: Option<PathBuf>,

    /// The name under which it is confirmed; each consumer of a spool has its own
    #[arg(long, value_name = "NAME", value_parser = ConsumerName::parse, default_value = "notify", global = true,
          help_heading = heading::SPOOL, hide_short_help = true)]
    pub(crate) consumer: ConsumerName,

    /// A new consumer beside others takes every record that comes, not only those that none of them has dealt with
    #[arg(long, global = true, help_heading = heading::SPOOL, hide_short_help = true)]
    pub(crate) from_start: bool,

    /// Where to remember what was told and what is still open; with a spool, its own state/ is usual
    #[arg(long, value_name = "FILE", global = true, help_heading = heading::SPOOL, hide_short_help = true)]
    pub(crate) state: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) metrics: metrics::Options,

    #[command(flatten)]
    pub(crate) heartbeat: heartbeat::Options,

    /// Say nothing but errors
    // Without the usual long form: --quiet is for the hours of the night.
    #[arg(short = 'q', global = true, conflicts_with = "verbose", help_heading = heading::MESSAGES)]
    errors_only: bool,

    /// Say more about what is being done
    #[arg(short, long, global = true, help_heading = heading::MESSAGES)]
    verbose: bool,
}

impl Args {
    /// What the program was called with. After `retry FILE --` stands another command line, that of the channel: its
    /// options are taken as if they stood before the `--`.
    ///
    /// Does not return where `--help` was asked for, or what was given makes no sense.
    pub(crate) fn of_program() -> Self {
        let refuse = |kind, why: String| -> ! { arguments::refuse(NAME, Self::command().error(kind, why)) };
        let parse = |words: Vec<OsString>| arguments::parse_from::<Self>(NAME, words);
        let mut args = parse(joined(std::env::args_os()));
        let Some(Command::Retry(retry)) = &args.command else { return args };
        let mut retry = retry.clone();
        let inner =
            retry.words().map(|words| parse(joined(iter::once(NAME.into()).chain(words.iter().cloned()))));
        let streams = args.of_a_stream().chain(inner.iter().flat_map(Self::of_a_stream)).next();
        if let Some(option) = streams {
            let why =
                format!("'retry' reads no stream, and what it cannot send stays in FILE: leave {option} out");
            refuse(ErrorKind::ArgumentConflict, why);
        }
        if let Some(inner) = inner {
            let Some(Command::Channel(channel)) = inner.command else {
                let wrong = "after 'retry FILE --' stands a channel, with its options";
                refuse(ErrorKind::InvalidValue, wrong.to_owned());
            };
            retry.channel = Some(channel);
            args.config = inner.config.or(args.config);
            args.policy = inner.policy.or(&args.policy);
            args.wording = inner.wording.or(&args.wording);
            args.dry_run |= inner.dry_run;
            args.errors_only |= inner.errors_only;
            args.verbose |= inner.verbose;
        }
        Self { command: Some(Command::Retry(retry)), ..args }
    }

    /// The options given, by name, that make sense only for what comes from standard input.
    fn of_a_stream(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--dead-letter", self.dead_letter.is_some()),
            ("--spool", self.spool.is_some()),
            ("--state", self.state.is_some()),
            ("--metrics", self.metrics.is_given()),
            ("--heartbeat", self.heartbeat.is_given()),
        ];
        given.into_iter().filter_map(|(option, is_given)| is_given.then_some(option))
    }

    /// Which messages to write to standard error.
    pub(crate) fn verbosity(&self) -> cli::Verbosity {
        cli::Verbosity::new(self.errors_only, self.verbose)
    }

    /// The spool to use; none for a dry run, and an empty variable is as good as none.
    pub(crate) fn spool(&self) -> Option<PathBuf> {
        let variable =
            || std::env::var_os(spool::VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.spool.clone().or_else(variable).filter(|_| !self.dry_run)
    }
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Channel(ChannelArgs),

    #[command(display_order = 97)]
    Retry(retry::Args),

    #[command(display_order = 98)]
    Test(test_message::Args),

    /// Say what is wrong with a configuration, or what it would do
    ///
    /// Looks for everything that would keep 'supd-notify --config FILE' from working, secrets and the dead letter file
    /// included, and changes nothing. With --dry-run, secrets may be missing.
    ///
    /// Exit status: 0 when it would work, 2 when not.
    #[command(display_order = 99)]
    CheckConfig {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `--resolve 30s` as `--resolve=30s`. Its value may be left out, and then what follows may be the channel; a span of time
/// is no channel, and no option either.
fn joined(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_program = false;
    for word in words {
        let is_span = word.to_str().is_some_and(|word| cli::duration(word).is_ok());
        match joined.last_mut() {
            Some(last) if last == "--resolve" && is_span && !is_program => {
                last.push("=");
                last.push(word);
            }
            _ => {
                // After that stands the program of exec, or another command line.
                is_program |= word == "--";
                joined.push(word);
            }
        }
    }
    joined
}

/// The channels, one a file in `channel/`; a configuration calls them by the same names.
#[derive(Debug, Clone, clap::Subcommand, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChannelArgs {
    Slack(slack::Args),
    Email(Box<email::Args>),
    Webhook(webhook::Args),
    Exec(exec::Args),
    File(file::Args),
    Log(log::Args),
}

impl ChannelArgs {
    /// The channel, ready to send; for a dry run, secrets may be missing.
    ///
    /// # Errors
    /// [`Usage`](cli::Usage) when something that it needs is missing or makes no sense; when a file cannot be read.
    pub(crate) fn build(
        &self,
        dry_run: bool,
        wording: &wording::Options,
    ) -> anyhow::Result<Box<dyn Channel>> {
        Ok(match self {
            Self::Slack(args) => Box::new(slack::Slack::new(args, wording, dry_run)?),
            Self::Email(args) => Box::new(email::Email::new(args, wording, dry_run)?),
            Self::Webhook(args) => {
                wording.refuse("webhook", "there is --template")?;
                Box::new(webhook::Webhook::new(args, dry_run)?)
            }
            Self::Exec(args) => {
                wording.refuse("exec", "the program gets SUPD_TITLE and SUPD_TEXT")?;
                Box::new(exec::Exec::new(args)?)
            }
            Self::File(args) => {
                wording.refuse("file", "records are appended as they came")?;
                Box::new(file::Append::new(args))
            }
            Self::Log(args) => Box::new(log::Log::new(args, wording)?),
        })
    }

    /// What can be seen already and would fail with the first record: a program that is not there. It may come yet, so it
    /// is no error.
    pub(crate) fn oddity(&self) -> Option<String> {
        match self {
            Self::Exec(args) => args.oddity(),
            Self::Email(args) => args.oddity(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_of_a_recovery_stands_behind_a_blank_too() {
        let joined = |words: &str| {
            let words = joined(words.split(' ').map(OsString::from));
            words.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(joined("p --resolve 30s slack"), "p --resolve=30s slack");
        assert_eq!(joined("p --resolve slack"), "p --resolve slack");
        assert_eq!(joined("p slack --resolve 1m --rate none"), "p slack --resolve=1m --rate none");
        assert_eq!(joined("p exec -- page --resolve 30s"), "p exec -- page --resolve 30s");
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn short_help_fits_a_screen_and_each_option_has_a_heading() {
        let mut command = Args::command().term_width(100);
        let without: Vec<_> =
            command.get_arguments().filter(|arg| arg.get_help_heading().is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
        let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
        assert!(short.lines().count() <= 70, "{short}");
        assert!(!short.contains("--group-interval-max") && long.contains("--group-interval-max"), "{short}");
    }
}

//! `supd-listen spool`: what a person does with a spool, beside the listener that writes it.

mod status;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use supd_core::cli::{self, Usage};
use supd_core::spool::log::Index;
use supd_core::spool::{self, Asked, Consumer, ConsumerName, standings};
use supd_core::stdio;

const EXAMPLES: &str = "\
Examples:
  supd-listen spool status /var/spool/supd/alerts
  supd-listen spool confirm /var/spool/supd/alerts --consumer notify
  supd-listen spool remove-consumer /var/spool/supd/alerts --consumer notify.slack

Exit status: 0 done; 1 when something failed, or the consumer is running; 2 for wrong usage.";

const STATUS_EXAMPLES: &str = "\
Examples:
  supd-listen spool status /var/spool/supd/alerts
  SUPD_SPOOL=/var/spool/supd/alerts supd-listen spool status --json | jq '.consumers[].behind'";

const CONFIRM_EXAMPLES: &str = "\
To have nothing delivered of what waits:
  supd-listen spool confirm /var/spool/supd/alerts --consumer notify
To have record 42 and everything after it delivered again:
  supd-listen spool confirm /var/spool/supd/alerts --consumer notify --to 41

The consumer must not be running meanwhile: stop its listener first, as with
supervisorctl stop alerts.";

const REMOVE_EXAMPLES: &str = "\
When supd-notify has been given another target:
  supd-listen spool remove-consumer /var/spool/supd/alerts --consumer notify.slack

The consumer must not be running meanwhile: stop its listener first, as with
supervisorctl stop alerts.";

/// What there is beside listening.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Look into a spool, or move what its consumers have confirmed
    #[command(subcommand, after_help = EXAMPLES)]
    Spool(SpoolCommand),
}

/// What can be done with a spool.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SpoolCommand {
    /// Tell who writes to it, what is in it, who has confirmed what, and who lags behind
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        #[command(flatten)]
        place: Place,

        /// Print one JSON object on one line
        #[arg(long)]
        json: bool,
    },

    /// Take records for dealt with by a consumer, or have them delivered again
    #[command(after_help = CONFIRM_EXAMPLES)]
    Confirm {
        #[command(flatten)]
        place: Place,

        /// The consumer, such as notify; one that is not there yet is made
        #[arg(long, value_name = "NAME", value_parser = ConsumerName::parse)]
        consumer: ConsumerName,

        /// The last record that counts as dealt with; those after it are delivered, even if they were before
        /// [default: the newest]
        #[arg(long, value_name = "SEQ")]
        to: Option<u64>,
    },

    /// Forget a consumer that is no longer used: what it alone has not confirmed is handed on at each start
    #[command(after_help = REMOVE_EXAMPLES)]
    RemoveConsumer {
        #[command(flatten)]
        place: Place,

        /// The consumer, such as notify.slack
        #[arg(long, value_name = "NAME", value_parser = ConsumerName::parse)]
        consumer: ConsumerName,
    },
}

/// Which spool.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The spool's directory
    #[arg(env = "SUPD_SPOOL", hide_env_values = true, value_name = "DIR")]
    dir: Option<OsString>,
}

impl Place {
    fn path(&self) -> Result<&Path, Usage> {
        // An empty variable is one that was not set.
        self.dir.as_deref().filter(|dir| !dir.is_empty()).map(Path::new).ok_or_else(|| {
            Usage(
                "which spool? give its directory, as in: supd-listen spool status DIR, or set SUPD_SPOOL"
                    .into(),
            )
        })
    }
}

impl Command {
    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        let Self::Spool(command) = self;
        let text = match command {
            SpoolCommand::Status { place, json } => status::status(place.path()?, *json)?,
            SpoolCommand::Confirm { place, consumer, to } => confirm(place.path()?, consumer, *to)?,
            SpoolCommand::RemoveConsumer { place, consumer } => remove(place.path()?, consumer)?,
        };
        stdio::print(text.as_bytes())?;
        Ok(cli::DONE)
    }
}

/// What is in a spool, if it is one, and who writes to it.
fn look(path: &Path) -> anyhow::Result<(Index, Option<Option<u32>>)> {
    let (index, writer) = spool::look(path)?;
    if index.segments().len() == 0 && !path.join("cursors").is_dir() {
        bail!("read spool '{}': it is none, there are neither segments nor cursors in it", path.display());
    }
    Ok((index, writer))
}

fn confirm(path: &Path, name: &ConsumerName, to: Option<u64>) -> anyhow::Result<String> {
    let (index, _) = look(path)?;
    let newest = index.next() - 1;
    let to = to.unwrap_or(newest);
    let act = || format!("confirm in spool '{}'", path.display());
    if to > newest {
        bail!("{}: there is no record {to} yet, the newest is {newest}", act());
    }
    let mut consumer = stopped(path, name).with_context(act)?;
    let before = consumer.position();
    consumer.set_position(to)?;
    let name = name.as_str();
    Ok(match before {
        None => format!("{name}: a new consumer, which has confirmed everything up to {to}\n"),
        Some(before) if before == to => format!("{name}: had confirmed everything up to {to} already\n"),
        Some(before) if before < to => {
            let skipped = records((before + 1).max(index.first()), to, "is passed over", "are passed over");
            format!("{name}: has confirmed everything up to {to}; before, {before}; {skipped}\n")
        }
        Some(before) => {
            let again = records((to + 1).max(index.first()), before, "is", "are");
            format!(
                "{name}: has confirmed everything up to {to}; before, {before}; {again} delivered again when its \
                 listener next starts\n"
            )
        }
    })
}

fn remove(path: &Path, name: &ConsumerName) -> anyhow::Result<String> {
    look(path)?;
    let act = || format!("remove a consumer of spool '{}'", path.display());
    let standings = standings(path)?;
    if !standings.contains_key(name.as_str()) {
        let others: Vec<&str> = standings.keys().map(String::as_str).collect();
        let there_are = match &others[..] {
            [] => "no consumer has confirmed anything".to_owned(),
            [only] => format!("there is only {only}"),
            _ => format!("there are {}", others.join(", ")),
        };
        bail!("{}: there is no {}; {there_are}", act(), name.as_str());
    }
    let consumer = stopped(path, name).with_context(act)?;
    let position = consumer.position().unwrap_or(0);
    consumer.remove()?;
    Ok(format!("{}: is no consumer any more; it had confirmed everything up to {position}\n", name.as_str()))
}

/// A consumer whose process does not run.
fn stopped(path: &Path, name: &ConsumerName) -> anyhow::Result<Consumer> {
    let owner = path.metadata()?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        bail!(Usage(format!(
            "it belongs to another user, who could not read what we write; run this as that user: sudo -u '#{owner}' \
             supd-listen spool …"
        )));
    }
    match Consumer::ask(path, name)? {
        Asked::Ours(consumer) => Ok(consumer),
        Asked::Held(pid) => {
            let who = pid.map_or(String::new(), |pid| format!(", as process {pid}"));
            bail!("{} is running{who}; stop its listener first", name.as_str());
        }
    }
}

/// Records by their numbers, with a word that agrees with how many they are.
fn records(first: u64, last: u64, is: &str, are: &str) -> String {
    match last.checked_sub(first) {
        None => format!("no record {is}"),
        Some(0) => format!("record {last} {is}"),
        Some(_) => format!("records {first} to {last} {are}"),
    }
}

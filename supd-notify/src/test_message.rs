//! `supd-notify test`: one message that says of itself that it is a test, and what the other side answered.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use supd_core::cli::Usage;
use supd_core::{Record, ancestry, cli, stdio};

use crate::args::{self, ChannelArgs};
use crate::parcel::Parcel;
use crate::plan::{Outline, Plan};

const EXAMPLES: &str = "\
Examples:
  SUPD_SLACK_URL=https://hooks.slack.com/services/… supd-notify test slack
  supd-notify test --timeout 10s webhook --url-file url
  supd-notify test --dry-run slack
  supd-notify test --config /etc/supd/notify.toml

Exit status: 0 when the message was delivered; 1 when it was not; 2 for wrong usage.";

/// Send one test message, and print what the other side answers
///
/// There is one attempt, for as long as --timeout says. With --config every target gets one. No input is read.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_value_name = "CHANNEL", subcommand_help_heading = "Channels")]
pub(crate) struct Args {
    #[command(subcommand)]
    channel: Option<ChannelArgs>,
}

/// Sends a message to each target, or shows what would be sent; the exit status is 1 when one did not take it.
///
/// # Errors
/// As [`Plan::of`]; when standard output cannot be written.
pub(crate) fn test(asked: &Args, args: &args::Args) -> anyhow::Result<u8> {
    if asked.channel.is_none() && args.config.is_none() {
        bail!(Usage(
            "say where to send the test: a channel, as in 'supd-notify test slack', or --config FILE".into()
        ));
    }
    let targets = Plan::of(asked.channel.as_ref(), args)?.targets;
    if args.dry_run { preview(targets, args) } else { send(targets) }
}

fn preview(targets: Vec<Outline>, args: &args::Args) -> anyhow::Result<u8> {
    crate::silence_stdout(true)?;
    let mut status = cli::DONE;
    for outline in targets {
        let mut target = outline.target(args);
        if let Err(failure) = target.channel.deliver(&parcel(), target.policy.timeout) {
            log::error!("test {}: {failure}", target.name);
            status = cli::FAILED;
        }
    }
    Ok(status)
}

fn send(targets: Vec<Outline>) -> anyhow::Result<u8> {
    let mut answers = take_stdout()?;
    let mut status = cli::DONE;
    for Outline { name, mut channel, policy, .. } in targets {
        match channel.deliver(&parcel(), policy.timeout) {
            Ok(receipt) => {
                let line = format!("{name}: {}\n", receipt.0);
                answers.write_all(line.as_bytes()).map_err(stdio::stdout_error)?;
            }
            Err(failure) => {
                let reason = failure.to_string();
                let cure = cure(&reason).map_or(String::new(), |cure| format!("; {cure}"));
                log::error!("test {name}: {reason}{cure}");
                status = cli::FAILED;
            }
        }
    }
    Ok(status)
}

/// Standard output, for answers only: what a program prints that is run goes to standard error, and nothing goes to
/// supervisord.
fn take_stdout() -> anyhow::Result<File> {
    let is_supervisords = ancestry::is_supervisords_pipe(io::stdout());
    let stdout = if is_supervisords {
        io::stderr().as_fd().try_clone_to_owned()
    } else {
        io::stdout().as_fd().try_clone_to_owned()
    };
    let stdout = stdout.context("duplicate standard output")?;
    stdio::point_stdout_at_stderr().context("point standard output at standard error")?;
    Ok(stdout.into())
}

fn parcel() -> Parcel {
    // As supd-listen calls this machine.
    let given = std::env::var("SUPD_HOST").ok().filter(|host| !host.is_empty());
    let record = Record {
        ts: Some(format!("{:.3}", Timestamp::now())),
        host: Some(given.unwrap_or_else(ancestry::hostname)),
        eventname: "SUPD_TEST".into(),
        ..Record::default()
    };
    Parcel::about(record, Vec::new())
}

/// What to do about it, where that is not plain from the reason.
fn cure(reason: &str) -> Option<&'static str> {
    let cures = [
        ("answered 401", "look at the token: the server does not take it"),
        ("answered 403", "look at the token or the URL: the server does not allow this with them"),
        ("answered 404", "look at the URL: the server knows no such address"),
        ("answered 410", "look at the URL: what it was for has been removed"),
        ("answered 30", "give the URL to which the server points"),
        ("no answer within", "give it longer with --timeout, or look for a firewall in between"),
        ("Connection refused", "is anything listening there?"),
    ];
    cures.iter().find(|(sign, _)| reason.contains(sign)).map(|(_, cure)| *cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn the_message_says_that_it_is_a_test_and_where_it_comes_from() {
        let parcel = parcel();
        let title = Message::of(&parcel).title;
        let host = parcel.record().host.clone().unwrap();
        assert_eq!(
            title,
            format!("Test from supd-notify on {host}: this is a test message; nothing has happened")
        );
    }

    #[test]
    fn a_refusal_comes_with_what_to_look_at() {
        assert!(
            cure("the server answered 404 Not Found: no_service").unwrap().starts_with("look at the URL")
        );
        assert_eq!(cure("'sh' ended with status 3"), None);
    }
}

//! `supd-notify`: reads records and delivers them to a channel, with retries and dead letters.

pub mod args;
mod channel;
mod confirmations;
mod cursor;
mod dead_letter;
mod delivery;
mod http;
mod message;
mod queue;
mod secret;
mod template;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use clap::Parser as _;
use supd_core::signals::{SIGTERM, SignalPipe};
use supd_core::{ancestry, cli, spool, stdio};

use crate::args::Args;
use crate::cursor::Cursor;
use crate::dead_letter::DeadLetter;
use crate::delivery::Courier;
use crate::queue::Queue;

const NAME: &str = "supd-notify";

/// The program: its exit status is 0 when every record was delivered or stays in the spool, 1 when one was not (or a line
/// was no record), 2 for wrong usage.
pub fn main() -> ExitCode {
    let args = Args::parse();
    args.verbosity.start(NAME);
    cli::run(NAME, || notify(&args))
}

fn notify(args: &Args) -> anyhow::Result<u8> {
    // Nothing that we or a program of ours prints may reach supervisord.
    if !args.dry_run || ancestry::is_supervisords_pipe(std::io::stdout()) {
        stdio::point_stdout_at_stderr().context("point standard output at standard error")?;
    }
    let channel = args.channel.build(args.dry_run)?;
    let dead_letter = args.dead_letter.as_deref().map(DeadLetter::open).transpose()?;
    let spool = args.spool();
    if let Some(spool) = &spool {
        // supd-listen does so too; who is first is chance.
        spool::create(spool)?;
    }
    let sigterm = SignalPipe::watch(&[SIGTERM]).context("catch SIGTERM")?;
    let queue = Arc::new(Queue::new(args.drain_timeout));
    // Both threads end with the program.
    thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue::stop_at(&sigterm, &queue)
    });
    thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue::fill(&queue)
    });
    let failed = if args.dry_run {
        delivery::preview(&queue, channel.as_ref())?
    } else {
        let cursor = match &spool {
            Some(spool) => match Cursor::open(spool, &args.consumer, args.from_start, &queue)? {
                Some(cursor) => Some(cursor),
                None => return Ok(cli::DONE),
            },
            None => None,
        };
        let courier = Courier::new(channel, dead_letter, args.timeout, args.retry_for, cursor);
        courier.deliver_all(&queue)
    };
    let malformed = queue.outcome()?.unwrap_or(0);
    Ok(if failed + malformed == 0 { cli::DONE } else { cli::FAILED })
}

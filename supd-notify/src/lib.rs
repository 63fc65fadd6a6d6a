//! `supd-notify`: reads records and delivers them to channels, with retries and dead letters.

pub mod args;
mod backoff;
mod channel;
mod clock;
mod config;
mod confirmations;
mod cursor;
mod dead_letter;
mod dispatch;
mod heartbeat;
mod http;
mod intake;
mod message;
mod metrics;
mod parcel;
mod plan;
mod policy;
mod preview;
mod program;
mod queue;
mod quiet;
mod retry;
mod router;
mod rules;
mod secret;
mod state;
mod tally;
mod target;
mod template;
mod test_message;
mod undelivered;
mod wording;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context as _;
use supd_core::signals::{SIGTERM, SignalPipe};
use supd_core::{ancestry, cli, stdio};

use crate::args::{Args, Command};
use crate::intake::Listeners;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::router::Router;
use crate::tally::Tally;
use crate::target::Target;

const NAME: &str = "supd-notify";

/// The program: its exit status is 0 when every record was delivered or stays in the spool, 1 when one was not (or a line
/// was no record), 2 for wrong usage.
pub fn main() -> ExitCode {
    let args = Args::of_program();
    args.verbosity().start(NAME);
    cli::run(NAME, || match &args.command {
        Some(Command::CheckConfig { file }) => {
            silence_stdout(true)?;
            config::check(file, &args)
        }
        Some(Command::Retry(asked)) => retry::retry(asked, &args),
        Some(Command::Test(asked)) => test_message::test(asked, &args),
        Some(Command::Channel(_)) | None => notify(&args),
    })
}

/// Nothing that we or a program of ours prints may reach supervisord; unless it is to be seen, it goes to standard error
/// everywhere.
fn silence_stdout(is_to_be_seen: bool) -> anyhow::Result<()> {
    if !is_to_be_seen || ancestry::is_supervisords_pipe(io::stdout()) {
        stdio::point_stdout_at_stderr().context("point standard output at standard error")?;
    }
    Ok(())
}

fn notify(args: &Args) -> anyhow::Result<u8> {
    silence_stdout(args.dry_run)?;
    if io::stdin().is_terminal() {
        log::info!("reading records from the terminal, up to Ctrl-D; for a first message: supd-notify test");
    }
    let heartbeat = args.heartbeat.heartbeat(args.dry_run)?;
    let (targets, router) = Plan::read(args)?.carry_out(args)?;
    let tally = Arc::default();
    // Dropped when all targets have ended: then it says how.
    let _metrics = args.metrics.start(args.dry_run, &targets, &tally)?;
    let heartbeat = heartbeat.map(|heartbeat| heartbeat.start(&targets));
    run(targets, router, Listeners { tally, heartbeat })
}

/// Delivers standard input to the targets.
fn run(targets: Vec<Target>, router: Router, listeners: Listeners) -> anyhow::Result<u8> {
    let sigterm = SignalPipe::watch(&[SIGTERM]).context("catch SIGTERM")?;
    let queues: Vec<Arc<Queue>> = targets.iter().map(|target| Arc::clone(&target.queue)).collect();
    let outcome = intake::Outcome::default();
    // Both threads end with the program.
    thread::spawn({
        let (queues, listeners) = (queues.clone(), listeners.clone());
        move || intake::stop_at(&sigterm, &queues, &listeners)
    });
    thread::spawn({
        let outcome = Arc::clone(&outcome);
        move || intake::read(&router, &queues, &listeners, &outcome)
    });
    let failed = run_all(targets)?;
    let malformed = outcome.lock().expect(intake::UNPOISONED).take().transpose()?.unwrap_or(0);
    Ok(if failed + malformed == 0 { cli::DONE } else { cli::FAILED })
}

/// Runs the targets to their end; how many records could not be delivered.
fn run_all(targets: Vec<Target>) -> anyhow::Result<u64> {
    let tallies: Vec<Arc<Tally>> = targets.iter().map(|target| Arc::clone(&target.tally)).collect();
    let (sender, ends) = mpsc::channel();
    for target in targets {
        let sender = sender.clone();
        thread::spawn(move || {
            let queue = Arc::clone(&target.queue);
            let end = target.run();
            // Whoever has ended is not to be waited for by whoever reads for the others.
            queue.close();
            // The other end is there until all have ended, or one in a way that ends the program.
            let _ = sender.send(end);
        });
    }
    drop(sender);
    for _ in &tallies {
        ends.recv().expect("a target does not panic")?;
    }
    Ok(tallies.iter().map(|tally| tally.dead.get()).sum())
}

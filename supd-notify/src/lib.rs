//! `supd-notify`: reads records and delivers them to a channel, with retries and dead letters.

pub mod args;
mod backoff;
mod channel;
mod clock;
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
mod policy;
mod preview;
mod program;
mod queue;
mod quiet;
mod router;
mod secret;
mod state;
mod tally;
mod target;
mod template;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use clap::Parser as _;
use supd_core::signals::{SIGTERM, SignalPipe};
use supd_core::{ancestry, cli, spool, stdio};

use crate::args::Args;
use crate::channel::Channel;
use crate::dead_letter::DeadLetter;
use crate::intake::Listeners;
use crate::policy::Policy;
use crate::preview::Preview;
use crate::queue::Queue;
use crate::router::Router;
use crate::tally::Tally;
use crate::target::{Place, Target};

const NAME: &str = "supd-notify";

/// The program: its exit status is 0 when every record was delivered or stays in the spool, 1 when one was not (or a line
/// was no record), 2 for wrong usage.
pub fn main() -> ExitCode {
    let args = Args::parse();
    args.verbosity().start(NAME);
    cli::run(NAME, || notify(&args))
}

fn notify(args: &Args) -> anyhow::Result<u8> {
    // Nothing that we or a program of ours prints may reach supervisord.
    if !args.dry_run || ancestry::is_supervisords_pipe(io::stdout()) {
        stdio::point_stdout_at_stderr().context("point standard output at standard error")?;
    }
    let heartbeat = args.heartbeat.heartbeat(args.dry_run)?;
    let (targets, router) = prepare(args)?;
    let tally = Arc::default();
    // Dropped when all targets have ended: then it says how.
    let _metrics = args.metrics.start(args.dry_run, &targets, &tally)?;
    let heartbeat = heartbeat.map(|heartbeat| heartbeat.start(&targets));
    run(targets, router, Listeners { tally, heartbeat })
}

/// What the command line asks for.
fn prepare(args: &Args) -> anyhow::Result<(Vec<Target>, Router)> {
    let channel = args.channel.build(args.dry_run)?;
    let channel: Box<dyn Channel> = if args.dry_run { Box::new(Preview(channel)) } else { channel };
    let policy = args.policy.policy(channel.audience());
    let dead_letter =
        args.dead_letter.as_deref().filter(|_| !args.dry_run).map(DeadLetter::open).transpose()?;
    let spool = args.spool();
    if let Some(spool) = &spool {
        // supd-listen does so too; who is first is chance.
        spool::create(spool)?;
    }
    let place =
        spool.map(|spool| Place { spool, consumer: args.consumer.clone(), from_start: args.from_start });
    let target = target(channel, policy, args, dead_letter.map(Arc::new), place)?;
    let router = Router::to_all(vec![Arc::clone(&target.queue)]);
    Ok((vec![target], router))
}

fn target(
    channel: Box<dyn Channel>,
    policy: Policy,
    args: &Args,
    dead_letter: Option<Arc<DeadLetter>>,
    place: Option<Place>,
) -> anyhow::Result<Target> {
    Ok(Target {
        name: channel.name().to_owned(),
        channel,
        policy,
        queue: Arc::new(Queue::new(args.drain_timeout)),
        dead_letter,
        state: state(args, place.as_ref())?,
        place,
        tally: Arc::new(Tally::default()),
    })
}

/// Where a target remembers what a successor has to know.
fn state(args: &Args, place: Option<&Place>) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = &args.state {
        return Ok(Some(path.clone()).filter(|_| !args.dry_run));
    }
    let Some(Place { spool, consumer, .. }) = place else { return Ok(None) };
    let directory = spool.join("state");
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("create directory '{}'", directory.display()))
        }
        _ => Ok(Some(directory.join(consumer.as_str()))),
    }
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
    let threads: Vec<_> = targets.into_iter().map(|target| thread::spawn(move || target.run())).collect();
    let mut failed = 0;
    for thread in threads {
        failed += thread.join().expect("a target does not panic")?;
    }
    let malformed = outcome.lock().expect("nobody panics here").take().transpose()?.unwrap_or(0);
    Ok(if failed + malformed == 0 { cli::DONE } else { cli::FAILED })
}

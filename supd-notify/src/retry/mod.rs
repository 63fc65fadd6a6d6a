//! `supd-notify retry`: dead letters on their way again; what fails again goes back to the file that it came from.

mod batch;
mod lines;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use supd_core::cli::{self, Usage};
use supd_core::signals::{SIGINT, SIGTERM, SignalPipe};
use supd_core::words::counted;

use crate::args::{self, ChannelArgs};
use crate::dead_letter::DeadLetter;
use crate::plan::{Outline, Plan};
use crate::queue::Queue;
use crate::tally::Tally;
use crate::target::Target;

use self::batch::Batch;
use self::lines::{Line, Lines, Meant};

/// Somebody waits for the end, and nothing is lost: what fails is in the file.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// A file that is not what it was taken for should not fill a screen.
const MAX_REPORTS: u64 = 10;

const EXAMPLES: &str = "\
Examples:
  supd-notify retry /var/spool/supd/dead.ndjson -- slack
  supd-notify retry dead.ndjson --config /etc/supd/notify.toml
  supd-notify retry dead.ndjson --target pager --group-interval 0s -- slack --url-file new-url

Exit status: 0 when every record was delivered; 1 when one was not, a line was not a record,
or another retry of the same file is at work; 2 for wrong usage.";

/// Send dead letters again
///
/// Takes the records out of a dead letter file and sends them through a channel, or, with --config, each through the
/// target that did not get it; those of targets that it does not have stay. What fails again goes back to the file, with
/// the new reason and time. A supd-notify that runs may go on adding to the file. A channel that fails is tried for
/// --retry-for.
///
/// Ctrl-C and SIGTERM end it after the attempt that is under way, and what has not been sent goes back to the file too.
/// Until everything is dealt with, the records are in FILE.retrying: what is left of that, say by a power failure, the
/// next retry begins with, and some may come twice.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The dead letter file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only those that this target did not get; the others stay
    #[arg(long, value_name = "NAME")]
    target: Option<String>,

    /// A channel with its options, as they would follow 'supd-notify'
    #[arg(last = true, value_name = "CHANNEL")]
    words: Vec<OsString>,

    /// What the words stand for.
    #[arg(skip)]
    pub(crate) channel: Option<ChannelArgs>,
}

impl Args {
    /// The command line that stands behind `--`, if one does.
    pub(crate) fn words(&self) -> Option<&[OsString]> {
        Some(&*self.words).filter(|words| !words.is_empty())
    }
}

/// Sends the dead letters again; the exit status is 1 when one failed again, or a line was no record.
///
/// # Errors
/// As [`Plan::of`] and [`Batch::take`]; when something could not be put back, which then stays in the batch's file.
pub(crate) fn retry(asked: &Args, args: &args::Args) -> anyhow::Result<u8> {
    crate::silence_stdout(args.dry_run)?;
    let mut targets = targets(asked, args)?;
    let names = args.config.as_ref().map(|_| targets.iter().map(|target| target.name.clone()).collect());
    let meant = Arc::new(Meant { only: asked.target.clone(), configured: names });
    // Through a link: it is the file that is moved.
    let file = fs::canonicalize(&asked.file).unwrap_or_else(|_| asked.file.clone());
    if args.dry_run {
        return Ok(deliver(targets, batch::look_at(&file)?, &meant)?.status());
    }
    let signals = SignalPipe::watch(&[SIGTERM, SIGINT]).context("catch SIGTERM and SIGINT")?;
    let Some(batch) = Batch::take(&file)? else {
        log::info!("there are no dead letters in '{}'", asked.file.display());
        return Ok(cli::DONE);
    };
    let dead = Arc::new(DeadLetter::open(&file)?);
    targets.iter_mut().for_each(|target| target.dead_letter = Some(Arc::clone(&dead)));
    stop_at(signals, queues(&targets));
    let told = deliver(targets, batch.lines()?, &meant)?;
    if told.others + told.malformed > 0 {
        // Not before now: whoever dies before the end leaves them in one place, not in two.
        give_back(batch.lines()?, &dead, &meant)
            .with_context(|| format!("all stay in '{}' for the next retry", batch.path().display()))?;
    }
    // Before they are gone from the other place.
    dead.sync()?;
    if dead.unwritten() > 0 {
        let records = counted(dead.unwritten(), "record");
        bail!("{records} could not be put back; all stay in '{}' for the next retry", batch.path().display());
    }
    batch.finish()?;
    log::info!("{}", told.summary(&asked.file));
    Ok(told.status())
}

/// Whom to send to, without a place in a spool and without a memory: what is to be remembered is in the file.
fn targets(asked: &Args, args: &args::Args) -> anyhow::Result<Vec<Target>> {
    if asked.channel.is_none() && args.config.is_none() {
        let cure = "supd-notify retry FILE -- slack, for example, or --config FILE";
        bail!(Usage(format!("retry: where to send to is missing: {cure}")));
    }
    let target = |mut outline: Outline| {
        // The file goes on saying whose they are.
        if let (Some(name), None) = (&asked.target, &args.config) {
            outline.name.clone_from(name);
        }
        outline.policy.retry_for = args.policy.retry_for().unwrap_or(RETRY_FOR);
        // The input has an end from the beginning, so this is for how long a channel may fail.
        let queue = Arc::new(Queue::new(outline.policy.retry_for));
        Target { queue, ..outline.target(args) }
    };
    Ok(Plan::of(asked.channel.as_ref(), args)?.targets.into_iter().map(target).collect())
}

fn queues(targets: &[Target]) -> Vec<Arc<Queue>> {
    targets.iter().map(|target| Arc::clone(&target.queue)).collect()
}

/// Unlike input that somebody goes on writing, these letters are safe where they are.
fn stop_at(signals: SignalPipe, queues: Vec<Arc<Queue>>) {
    thread::spawn(move || {
        loop {
            signals.wait();
            log::info!("interrupted: what has not been sent goes back to the file");
            queues.iter().for_each(|queue| queue.stop_within(Duration::ZERO));
        }
    });
}

/// What became of the lines.
#[derive(Debug, Default)]
struct Told {
    delivered: u64,
    /// Muted, for example.
    dropped: u64,
    failed: u64,
    others: u64,
    malformed: u64,
}

impl Told {
    fn status(&self) -> u8 {
        if self.failed + self.malformed == 0 { cli::DONE } else { cli::FAILED }
    }

    /// `sent 12 records again; 2 failed again and are in 'dead.ndjson'`
    fn summary(&self, file: &Path) -> String {
        let file = file.display();
        let are = |number| if number == 1 { "is" } else { "are" };
        let mut summary = format!("sent {} again", counted(self.delivered, "record"));
        if self.dropped > 0 {
            summary += &format!("; {} {} not to be sent", self.dropped, are(self.dropped));
        }
        if self.failed > 0 {
            summary += &format!("; {} failed again and {} in '{file}'", self.failed, are(self.failed));
        }
        if self.others > 0 {
            summary += &format!("; {} of other targets stay in '{file}'", self.others);
        }
        if self.malformed > 0 {
            summary += &format!(
                "; {} not a record, kept in '{file}'",
                counted(self.malformed, "line") + " " + are(self.malformed)
            );
        }
        summary
    }
}

/// Delivers the lines that are meant.
fn deliver(targets: Vec<Target>, lines: Lines, meant: &Arc<Meant>) -> anyhow::Result<Told> {
    let queues = queues(&targets);
    let tallies: Vec<Arc<Tally>> = targets.iter().map(|target| Arc::clone(&target.tally)).collect();
    let feeder = thread::spawn({
        let meant = Arc::clone(meant);
        move || {
            let fed = feed(lines, &meant, &queues);
            queues.iter().for_each(|queue| queue.end());
            fed
        }
    });
    let failed = crate::run_all(targets)?;
    let (others, malformed) = feeder.join().expect("the feeder does not panic")?;
    let sum = |count: fn(&Tally) -> u64| tallies.iter().map(|tally| count(tally)).sum();
    Ok(Told {
        delivered: sum(|tally| tally.delivered.get()),
        dropped: sum(|tally| tally.dropped.get()),
        failed,
        others,
        malformed,
    })
}

/// Queues the letters that are meant; how many were not, and how many lines were no records.
fn feed(mut lines: Lines, meant: &Meant, queues: &[Arc<Queue>]) -> anyhow::Result<(u64, u64)> {
    let (mut others, mut malformed) = (0, 0);
    while let Some((number, line)) = lines.next()? {
        match Line::read(line, meant) {
            Line::Letter(letter, addressee) => queues[addressee].push(letter),
            Line::Other => others += 1,
            Line::Malformed(reason) => {
                malformed += 1;
                if malformed <= MAX_REPORTS {
                    log::error!("read dead letters, line {number}: not a record: {reason}; kept as it is");
                }
            }
        }
    }
    Ok((others, malformed))
}

/// Puts the lines that were not meant back to where they were.
fn give_back(mut lines: Lines, dead: &DeadLetter, meant: &Meant) -> anyhow::Result<()> {
    while let Some((_, line)) = lines.next()? {
        if !matches!(Line::read(line, meant), Line::Letter(..)) {
            dead.append(line)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_where_what_is_left_is() {
        let told = |delivered, dropped, failed, others, malformed| {
            Told { delivered, dropped, failed, others, malformed }.summary(Path::new("dead"))
        };
        assert_eq!(told(12, 0, 0, 0, 0), "sent 12 records again");
        assert_eq!(told(1, 0, 2, 0, 0), "sent 1 record again; 2 failed again and are in 'dead'");
        assert_eq!(
            told(0, 1, 1, 3, 1),
            "sent 0 records again; 1 is not to be sent; 1 failed again and is in 'dead'; 3 of other targets stay in 'dead'; \
             1 line is not a record, kept in 'dead'"
        );
    }
}

//! `supd-mock bench`: how fast a listener takes events, and what they cost it.

mod answers;
mod digits;
mod drive;
mod figures;
mod interrupted;
mod measure;
mod member;
mod numbered;
mod pool;
mod report;
mod trial;
mod watchdog;

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context as _;
use supd_core::interruption::Interruption;
use supd_core::signals::{SIGCHLD, SignalPipe};
use supd_core::{cli, stdio};

/// The pool's name, and what the names of its processes begin with.
const NAME: &str = "listener";

const EXAMPLES: &str = "\
Examples:
  supd-mock bench -- python3 my_listener.py
  supd-mock bench --vs 'exec supd-listen -o /dev/null' -- python3 my_listener.py
  supd-mock bench -n 10000 --payload 4000 --members 3 --json -- ./listener

Exit status: 0; 1 when a listener did not accept an event, broke the protocol or
could not be started; 2 for wrong usage.";

/// Push events through a listener as fast as it answers, and measure it
///
/// The listener is started as by 'replay', and gets each event as soon as it is READY for it. Measured are: events a
/// second; latency, from writing an event to reading its result; CPU an event, user and system, of all the listener's
/// processes and what they start, from READY to their end (what runs later than READY counts, a pipeline's start
/// included; what ended before READY does not, to within two clock ticks a process); the time from start to READY (of
/// the last process, the shell that sets the signals included); peak memory, the resident maximum of each living
/// process added up, looked at every second; drain, the time from closing standard input to the end of the last
/// process. What supd-mock itself used for an event is stated too, and what of it was outside the kernel where that is
/// more than a few clock ticks; most of it is waking the listener and being woken. 'taskset -c 0 supd-mock bench …'
/// keeps both on one processor, which leaves out what it costs to wake another. A rejected event is sent again; the
/// hundredth rejection ends the run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// How many events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// Send PROCESS_LOG_STDOUT with so many bytes of text, 64KiB at most as supervisord does;
    /// PROCESS_STATE_EXITED, whose payload is 71 bytes, when not given
    #[arg(long, value_name = "BYTES", value_parser = payload)]
    payload: Option<usize>,

    /// How many processes the pool has; with more than one, SUPERVISOR_PROCESS_NAME is listener_00, listener_01 and
    /// so on, and an event goes to the first that is READY
    #[arg(long, visible_alias = "numprocs", value_name = "N", default_value_t = 1, value_parser = members)]
    members: usize,

    /// Measure this command too, run by /bin/sh, and compare it with the listener; may be repeated
    #[arg(long, value_name = "COMMAND")]
    vs: Vec<OsString>,

    /// How often to measure each in turn; the medians are shown, and whether they differ by more than the rounds do
    /// [default: 1, with --vs 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Write one object of JSON, times in seconds and memory in bytes, instead of a table
    #[arg(long)]
    json: bool,

    /// How long the listener may take to be READY, for each event, and to finish before SIGTERM and again before
    /// SIGKILL
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s")]
    timeout: Duration,

    /// The listener and its arguments
    #[arg(last = true, required = true, value_name = "LISTENER")]
    listener: Vec<OsString>,
}

impl Bench {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.vs.is_empty() { 1 } else { 3 })
    }

    /// What to run, the listener first, and what reports call it.
    fn commands(&self) -> Vec<(Vec<OsString>, String)> {
        let shell = |script: &OsString| {
            (vec!["/bin/sh".into(), "-c".into(), script.clone()], script.to_string_lossy().into_owned())
        };
        let listener =
            (self.listener.clone(), self.listener.join(" ".as_ref()).to_string_lossy().into_owned());
        std::iter::once(listener).chain(self.vs.iter().map(shell)).collect()
    }
}

pub(crate) fn run(args: &Bench) -> anyhow::Result<u8> {
    let sigchld = SignalPipe::watch(&[SIGCHLD]).context("catch SIGCHLD")?;
    let interruption = Interruption::watch().context("catch the signals that end us")?;
    let commands = args.commands();
    let mut rounds: Vec<_> = commands.iter().map(|_| Vec::new()).collect();
    // In turn, so that what else the machine does meets all of them.
    for _ in 0..args.rounds() {
        for ((words, command), rounds) in commands.iter().zip(&mut rounds) {
            let trial = interrupted::heed(&interruption, || trial::run(args, words, &sigchld));
            rounds.push(trial.with_context(|| format!("bench '{command}'"))?);
        }
    }
    let result = |((_, command), rounds): ((_, String), Vec<_>)| report::Result {
        command,
        figures: figures::medians(&rounds),
    };
    let results: Vec<_> = commands.into_iter().zip(rounds).map(result).collect();
    let text = if args.json { report::json(args, &results) } else { report::table(args, &results) };
    stdio::print(text.as_bytes())?;
    Ok(cli::DONE)
}

fn payload(text: &str) -> Result<usize, String> {
    let size = cli::size(text)?;
    if size <= 64 * 1024 {
        Ok(size)
    } else {
        Err("larger than supervisord's log events, 64KiB at most".into())
    }
}

fn members(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| (1..=100).contains(count)).ok_or("not a number from 1 to 100")
}

//! `supd-mock replay`: listeners, recorded events, and what the listeners make of each.

mod judge;
mod player;
mod progress;
mod tally;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use supd_core::cli::{self, Usage};
use supd_core::reader::Form;
use supd_core::supervisor::Autorestart;

use crate::daemon::{self, Daemon};
use crate::events::{Events, Selection};
use crate::fault::{Fault, Faults};
use crate::listeners::Listeners;
use crate::transcript::{self, Transcript};
use player::Player;
use progress::Progress;

const EXAMPLES: &str = "\
Examples:
  supd-mock replay -e incident.ndjson --speed 60 -- supd-listen -c 'supd-parse'
  supd-mock replay -C /etc/supervisor/supervisord.conf --listener alerts
  supd-mock replay -e monday.ndjson --numprocs 3 --buffer-size 10 -- ./listener
  supd-mock replay -e capture.raw --fault kill:7 --fault split:1 -- ./listener
  supd-mock replay -e capture.raw --expect yesterday.txt -- ./listener

Exit status: 0 when every event was accepted and the listener kept to the
protocol and ended well; 1 when not, when --expect found a difference, or when
something could not be read; 2 for wrong usage.";

/// Start a listener as supervisord does, and play events into it
///
/// The listener gets pipes, a process group and the environment that supervisord gives, and one event after another,
/// each when it is READY for it. For each answer one line of JSON goes to standard output: processname, serial,
/// eventname, result and latency (seconds from writing the event to reading its result); a summary goes to standard
/// error. An event that the listener rejects is sent again, as supervisord does, ten times at most. After the last
/// event standard input is closed; then all processes that the listener started may finish.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "supd-mock replay [OPTIONS] -- LISTENER [ARG]...
       supd-mock replay [OPTIONS] --config FILE [--listener NAME]...")]
pub(crate) struct Replay {
    /// What to play: records (NDJSON), a raw capture, a directory of *.ndjson segments, '-' for standard input; may be
    /// repeated; a short bad day when not given
    #[arg(short, long, value_name = "FILE")]
    events: Vec<PathBuf>,

    /// Form of the events
    #[arg(long, value_enum, default_value = "auto", value_name = "FORM")]
    from: Form,

    /// How much faster than the records' own times, 'max' for as fast as the listener takes them; a raw capture,
    /// which has no times, is always played so
    #[arg(long, value_name = "FACTOR", value_parser = Speed::parse, default_value = "1")]
    speed: Speed,

    /// Play everything so many times, with new serials each time
    #[arg(long = "loop", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,

    /// Only events from this time on: RFC 3339, '2026-01-05 08:00' or 'yesterday 14:00' by local time, or a span of time
    /// ago such as 2h
    #[arg(long, value_name = "TIME", value_parser = cli::moment)]
    since: Option<Timestamp>,

    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = cli::moment)]
    until: Option<Timestamp>,

    /// Break something on purpose: split:BYTES (write in pieces), delay:DURATION (before each piece), kill:N, close:N
    /// (the listener, its input, every N events), garbage:N (bytes that are no event); may be repeated
    #[arg(long, value_name = "FAULT", value_parser = Fault::parse)]
    fault: Vec<Fault>,

    /// Write what was said between supervisord and the listener to a file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Compare what was said with a file that --record wrote, and show the difference
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,

    /// How long the listener may take to be READY, and for each event
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s")]
    timeout: Duration,

    /// How to end: close standard input and let everything finish, or send SIGTERM as supervisord does, which is what
    /// is done with --config
    #[arg(long, value_enum, value_name = "HOW")]
    end: Option<End>,

    /// How long the listener and all it started may take to finish after the last event, before SIGTERM, and again
    /// before SIGKILL; beside stopwaitsecs, which counts from supervisord's own SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = cli::duration, default_value = "10s")]
    stop_timeout: Duration,

    #[command(flatten)]
    listeners: Listeners,
}

/// How a replay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum End {
    /// Close standard input
    Eof,
    /// SIGTERM, SIGKILL after stopwaitsecs; standard input is closed after that
    Term,
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

    /// How long after the start something happens that happened so long after the first event.
    fn after(self, at: Option<Duration>) -> Duration {
        match (self, at) {
            // A division could give more than a Duration holds.
            (Self::Times(factor), Some(at)) => {
                Duration::try_from_secs_f64(at.as_secs_f64() / factor).unwrap_or(Duration::MAX)
            }
            _ => Duration::ZERO,
        }
    }
}

impl Replay {
    fn end(&self) -> End {
        let ours = if self.listeners.keeps_headers() { End::Eof } else { End::Term };
        self.end.unwrap_or(ours)
    }
}

pub(crate) fn run(args: &Replay) -> anyhow::Result<u8> {
    let selection = Selection {
        paths: args.events.clone(),
        form: args.from,
        passes: args.passes,
        since: args.since,
        until: args.until,
    };
    if args.passes > 1 && args.events.iter().any(|path| path.as_os_str() == "-") {
        return Err(Usage(
            "standard input can be read once only: leave out --loop, or keep it in a file".into(),
        )
        .into());
    }
    // Before the file can be written by --record.
    let expected = args.expect.as_deref().map(|path| (path.display().to_string(), path));
    let expected = expected
        .map(|(name, path)| {
            let text = fs::read_to_string(path).with_context(|| format!("read '{name}'"))?;
            anyhow::Ok((name, text))
        })
        .transpose()?;
    let mut events = Events::open(&selection)?;
    // A replay of nothing proves nothing.
    if !events.wait()? {
        if events.some_were_timeless() {
            bail!("choose by --since and --until: the events have no times, as in a raw capture");
        }
        let names: Vec<String> = args.events.iter().map(|path| format!("'{}'", path.display())).collect();
        bail!(
            "read {}: no event to play",
            if names.is_empty() { "the bad day".into() } else { names.join(", ") }
        );
    }
    let faults = Faults::new(&args.fault);
    let autorestart = if faults.end_listeners() { Autorestart::Always } else { Autorestart::Never };
    let cast = args.listeners.cast(autorestart, false)?;
    let wanted = args.record.is_some() || args.expect.is_some();
    let transcript =
        wanted.then(|| Transcript::new(args.record.as_deref(), args.expect.is_some())).transpose()?;
    let progress = Progress::start(&selection, args.speed);
    let say = progress.stderr();
    let mut daemon = Daemon::new(cast, faults, transcript, say)?;
    let mut player = Player::new(args, &mut daemon, progress);
    if let Err(error) = player.play(&mut events).and_then(|()| player.stop()) {
        // Whoever ends a long replay wants to know how far it came.
        player.summarise(events.malformed());
        return Err(error);
    }
    let mut status = player.summarise(events.malformed());
    if let Some(transcript) = daemon.finish_transcript()?
        && let Some((name, expected)) = &expected
        && let Some(difference) = transcript::difference(name, expected, &transcript)
    {
        log::error!("compare with '{name}': this run went another way");
        daemon::to_stderr(difference.as_bytes());
        status = cli::FAILED;
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_positive_factor_or_max() {
        assert_eq!(Speed::parse("max"), Ok(Speed::Max));
        assert_eq!(Speed::parse("2.5"), Ok(Speed::Times(2.5)));
        for wrong in ["0", "-1", "fast", "inf", "NaN", ""] {
            Speed::parse(wrong).unwrap_err();
        }
        let nearly_never = Speed::Times(1e-300);
        assert_eq!(nearly_never.after(Some(Duration::from_secs(1))), Duration::MAX);
    }
}

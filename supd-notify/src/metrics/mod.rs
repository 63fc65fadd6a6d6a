//! What the targets have done, as a file for Prometheus, which the textfile collector of node_exporter reads.

mod exposition;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use supd_core::cli::Usage;
use supd_core::replace::{self, Survives};

use self::exposition::{Snapshot, Standing};
use crate::args::heading::MONITORING;
use crate::queue::Queue;
use crate::tally::{InputTally, Tally};
use crate::target::Target;

/// How often we look whether there is something new.
const LOOK: Duration = Duration::from_secs(1);
/// How often the file is written when there is nothing: the lag grows all the same, and the file's age tells that we live.
const REFRESH: Duration = Duration::from_secs(15);

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Keep this file up to date with counts of what was delivered and what waits, for Prometheus
    ///
    /// The textfile collector of node_exporter takes DIR/*.prom.
    #[arg(long, value_name = "FILE", global = true, help_heading = MONITORING)]
    metrics: Option<PathBuf>,

    /// Add this label to each of them; needed where several supd-notify of a machine write metrics of targets of the same names
    #[arg(long, value_name = "NAME=VALUE", value_parser = label, global = true,
          help_heading = MONITORING, hide_short_help = true)]
    metrics_label: Vec<(String, String)>,
}

/// A label that is not one of ours.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not a label such as listener=alerts")?;
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.is_empty();
    if !is_name || name.starts_with("__") {
        return Err("a label's name consists of letters, digits and '_', and begins with a letter".into());
    }
    if ["target", "version"].contains(&name) {
        return Err(format!("'{name}' is a label already"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Options {
    /// Whether there is to be such a file.
    pub(crate) fn is_given(&self) -> bool {
        self.metrics.is_some()
    }

    /// Writes the file, and keeps it up to date until what is returned is dropped; nothing in a dry run.
    ///
    /// # Errors
    /// [`Usage`] when the file cannot be written.
    pub(crate) fn start(
        &self,
        dry_run: bool,
        targets: &[Target],
        input: &Arc<InputTally>,
    ) -> anyhow::Result<Option<Writer>> {
        let Some(path) = self.metrics.clone().filter(|_| !dry_run) else { return Ok(None) };
        let mut labels = self.metrics_label.clone();
        labels.sort();
        if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            bail!(Usage(format!("--metrics-label: '{}' is given twice", twice[0].0)));
        }
        let mut file = File {
            path,
            labels,
            sources: targets.iter().map(Source::of).collect(),
            input: Arc::clone(input),
            started: Timestamp::now(),
            written: None,
            is_failing: false,
        };
        file.write(file.look(), Instant::now()).map_err(|error| Usage(file.act(&error)))?;
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || file.keep_up(&ended));
        Ok(Some(Writer { end: Some(end), thread: Some(thread) }))
    }
}

/// Keeps the file up to date; when it is dropped, the file says how things ended.
pub(crate) struct Writer {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where a target's numbers come from.
struct Source {
    name: String,
    tally: Arc<Tally>,
    queue: Arc<Queue>,
}

impl Source {
    fn of(target: &Target) -> Self {
        Self { name: target.name.clone(), tally: Arc::clone(&target.tally), queue: Arc::clone(&target.queue) }
    }

    fn look(&self) -> Standing {
        let tally = &self.tally;
        Standing {
            target: self.name.clone(),
            records_delivered: tally.delivered.get(),
            messages_delivered: tally.messages.get(),
            attempts_failed: tally.failed.get(),
            attempts_retried: tally.retried.get(),
            records_dropped: tally.dropped.get(),
            records_dead_lettered: tally.dead.get(),
            waiting: self.queue.waiting(),
            health: tally.health(),
        }
    }
}

struct File {
    path: PathBuf,
    labels: Vec<(String, String)>,
    sources: Vec<Source>,
    input: Arc<InputTally>,
    started: Timestamp,
    /// What it says, and since when.
    written: Option<(Snapshot, Instant)>,
    is_failing: bool,
}

impl File {
    fn look(&self) -> Snapshot {
        Snapshot {
            started: self.started,
            records_read: self.input.read.get(),
            lines_malformed: self.input.malformed.get(),
            targets: self.sources.iter().map(Source::look).collect(),
        }
    }

    /// A thread's work.
    fn keep_up(mut self, ended: &mpsc::Receiver<()>) {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let (snapshot, now) = (self.look(), Instant::now());
            let is_current = |(written, since): &(Snapshot, Instant)| {
                *written == snapshot && now.saturating_duration_since(*since) < REFRESH
            };
            if !self.written.as_ref().is_some_and(is_current) {
                self.write_or_say(snapshot, now);
            }
        }
        self.write_or_say(self.look(), Instant::now());
    }

    /// That it cannot be written is no reason not to deliver.
    fn write_or_say(&mut self, snapshot: Snapshot, now: Instant) {
        match self.write(snapshot, now) {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    log::info!("write metrics file '{}': it works again", self.path.display());
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    log::warn!("{}; trying on, and silent until it works again", self.act(&error));
                }
            }
        }
    }

    fn write(&mut self, snapshot: Snapshot, now: Instant) -> io::Result<()> {
        self.written = None;
        let text = snapshot.text(&self.labels, Timestamp::now());
        // For everyone to read: the collector is another user. The next start writes another.
        replace::put(&self.path, text.as_bytes(), 0o644, Survives::Crash)?;
        self.written = Some((snapshot, now));
        Ok(())
    }

    fn act(&self, error: &io::Error) -> String {
        format!("write metrics file '{}': {error}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_that_prometheus_takes_and_we_do_not_use() {
        assert_eq!(label("listener=a=b"), Ok(("listener".into(), "a=b".into())));
        for wrong in ["listener", "=x", "1a=x", "a-b=x", "__name__=x", "target=x"] {
            label(wrong).expect_err(wrong);
        }
    }
}

//! How far a replay is, for whoever watches it in a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::Speed;
use crate::daemon::{self, Say};
use crate::events::{Events, Next, Selection};

/// A bar on standard error, where that is a terminal and standard output is not: otherwise the results say it.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
    /// When the first event could happen.
    opened: Arc<OnceLock<Instant>>,
}

impl Progress {
    pub(super) fn start(selection: &Selection, speed: Speed) -> Self {
        let opened = Arc::new(OnceLock::new());
        if !io::stderr().is_terminal() || io::stdout().is_terminal() {
            return Self { bar: ProgressBar::hidden(), opened };
        }
        let bar = ProgressBar::no_length().with_style(style("{spinner} {pos} events  {rate}  {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        if selection.paths.iter().all(|path| path.is_file() || path.is_dir()) {
            // Counting takes as long as reading; nothing waits for it.
            let (selection, bar, opened) = (selection.clone(), bar.clone(), opened.clone());
            std::thread::spawn(move || {
                if let Some((count, last)) = count(&selection) {
                    bar.set_length(count);
                    bar.set_style(remaining(
                        style("{wide_bar} {pos}/{len} events  {rate}  {left}"),
                        speed.after(last),
                        opened,
                    ));
                }
            });
        }
        Self { bar, opened }
    }

    /// From now on events can happen.
    pub(super) fn opened(&self, at: Instant) {
        // There is but one beginning.
        let _ = self.opened.set(at);
    }

    /// One more event has been answered or lost.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    /// Where what listeners say goes, so that the bar stays below it.
    pub(super) fn stderr(&self) -> Say {
        let bar = self.bar.clone();
        Box::new(move |bytes| bar.suspend(|| daemon::to_stderr(bytes)))
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // A bar that cannot be drawn has no reader.
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    ProgressStyle::with_template(template).expect("the template is written here").with_key("rate", rate)
}

/// With what is left: of the events' own time where they keep it, else as they have gone so far.
fn remaining(style: ProgressStyle, whole: Duration, opened: Arc<OnceLock<Instant>>) -> ProgressStyle {
    style.with_key("left", move |state: &ProgressState, out: &mut dyn Write| {
        let gone = opened.get().map_or(Duration::ZERO, Instant::elapsed);
        let left = if whole.is_zero() { state.eta() } else { whole.saturating_sub(gone) };
        let _ = write!(out, "{} left", HumanDuration(left));
    })
}

/// How many events there are, and when the last happens; `None` when that cannot be told, which reading them for good
/// will say.
fn count(selection: &Selection) -> Option<(u64, Option<Duration>)> {
    let quiet = Selection {
        paths: selection.paths.iter().filter(|path| *path != Path::new("-")).cloned().collect(),
        ..selection.clone()
    };
    let mut events = Events::open(&quiet).ok()?;
    let (mut count, mut last) = (0, None);
    while let Next::Event(planned) = events.peek().ok()? {
        last = planned.at;
        events.take();
        count += 1;
    }
    Some((count, last))
}

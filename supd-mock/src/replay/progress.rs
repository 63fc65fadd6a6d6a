//! How far a replay is, for whoever watches it in a terminal.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::daemon::{self, Say};
use crate::events::{Events, Next, Selection};

/// A bar on standard error, where that is a terminal and standard output is not: otherwise the results say it.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn start(selection: &Selection) -> Self {
        if !io::stderr().is_terminal() || io::stdout().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::no_length().with_style(style("{spinner} {pos} events  {per_sec}  {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        if selection.paths.iter().all(|path| path.is_file() || path.is_dir()) {
            // Counting takes as long as reading; nothing waits for it.
            let (selection, bar) = (selection.clone(), bar.clone());
            std::thread::spawn(move || {
                if let Some(count) = count(&selection) {
                    bar.set_length(count);
                    bar.set_style(style("{wide_bar} {pos}/{len} events  {per_sec}  {eta} left"));
                }
            });
        }
        Self { bar }
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
    ProgressStyle::with_template(template).expect("the template is written here")
}

/// How many events there are; `None` when that cannot be told, which reading them for good will say.
fn count(selection: &Selection) -> Option<u64> {
    let quiet = Selection {
        paths: selection.paths.iter().filter(|path| *path != Path::new("-")).cloned().collect(),
        ..selection.clone()
    };
    let mut events = Events::open(&quiet).ok()?;
    let mut count = 0;
    while let Next::Event(_) = events.peek().ok()? {
        events.take();
        count += 1;
    }
    Some(count)
}

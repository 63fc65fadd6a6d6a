//! A dead man's switch: a URL that is asked for again and again while everything works, so that whoever watches over it
//! raises the alarm when that ends, for whatever reason.

mod schedule;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use supd_core::cli::{self, Usage};
use supd_core::words;

use self::schedule::{Schedule, Verdict};
use crate::args::heading::MONITORING;
use crate::http::Endpoint;
use crate::secret::{self, Source};
use crate::tally::Tally;
use crate::target::Target;

/// A ping takes no longer, and no longer than the interval.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Get this URL now and then, while records can come and be delivered: a dead man's switch
    ///
    /// healthchecks.io and Uptime Kuma, for example, have such URLs. One that is a secret belongs into --heartbeat-file or
    /// the variable SUPD_HEARTBEAT_URL.
    ///
    /// Nothing is sent when a target has been failing for longer than the interval. When TICK events come
    /// (events=…,TICK_60), they set the pace and are not delivered: then no TICK means no heartbeat, so that supervisord and
    /// everything between it and us is watched too.
    #[arg(long, value_name = "URL", global = true, help_heading = MONITORING)]
    heartbeat: Option<String>,

    /// File that holds that URL
    #[arg(long, value_name = "FILE", global = true, help_heading = MONITORING, hide_short_help = true)]
    heartbeat_file: Option<Source>,

    /// How often to get it
    #[arg(long, value_name = "DURATION", value_parser = interval, default_value = "60s", global = true,
          help_heading = MONITORING, hide_short_help = true)]
    heartbeat_interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    cli::duration(text)
        .and_then(|span| if span.is_zero() { Err("an interval takes some time".into()) } else { Ok(span) })
}

impl Options {
    /// Whether there is to be one.
    pub(crate) fn is_given(&self) -> bool {
        self.heartbeat.is_some() || self.heartbeat_file.is_some()
    }

    /// The heartbeat, if there is to be one; none in a dry run.
    ///
    /// # Errors
    /// When there is no such file, or no URL in it; [`Usage`] when there are two.
    pub(crate) fn heartbeat(&self, dry_run: bool) -> anyhow::Result<Option<Heartbeat>> {
        if dry_run {
            return Ok(None);
        }
        let url = match (&self.heartbeat, &self.heartbeat_file) {
            // clap does not see it when one of them comes before the channel and the other after it.
            (Some(_), Some(_)) => bail!(Usage("give either --heartbeat or --heartbeat-file".into())),
            (Some(url), None) => Some(url.clone().into()),
            (None, file) => secret::read("heartbeat", file.as_ref(), "SUPD_HEARTBEAT_URL")?,
        };
        let Some(url) = url else {
            match &self.heartbeat_file {
                None => return Ok(None),
                Some(_) => bail!(Usage("heartbeat: there is no URL in the file".into())),
            }
        };
        let endpoint = Endpoint::new(url, None).context("heartbeat")?;
        Ok(Some(Heartbeat { endpoint, interval: self.heartbeat_interval, unheard: false }))
    }
}

/// Where to, and how often.
pub(crate) struct Heartbeat {
    endpoint: Endpoint,
    interval: Duration,
    /// Whether the last ping failed.
    unheard: bool,
}

impl Heartbeat {
    /// Begins, in a thread of its own, which ends with the input or with the program: no delivery waits for a ping.
    pub(crate) fn start(mut self, targets: &[Target]) -> Arc<Signs> {
        let signs = Arc::new(Signs::default());
        let targets: Vec<_> =
            targets.iter().map(|target| (target.name.clone(), Arc::clone(&target.tally))).collect();
        thread::spawn({
            let signs = Arc::clone(&signs);
            move || self.beat(&signs, &targets)
        });
        signs
    }

    fn beat(&mut self, signs: &Signs, targets: &[(String, Arc<Tally>)]) {
        let mut schedule = Schedule::new(self.interval, Instant::now());
        loop {
            match signs.wait(schedule.wakes_at()) {
                Sign::End => return,
                Sign::Tick => schedule.tick(),
                Sign::Time => {}
            }
            let now = Instant::now();
            let worst = worst(targets, now);
            match schedule.due(now, worst.map(|(_, time)| time)) {
                Verdict::Wait => {}
                Verdict::Ping { resumed } => {
                    if resumed {
                        log::info!("heartbeat: resumed");
                    }
                    self.ping();
                }
                Verdict::Withhold { said } => {
                    if let (false, Some((name, time))) = (said, worst) {
                        log::warn!("heartbeat: withheld, {name} has been failing for {}", words::span(time));
                    }
                }
            }
        }
    }

    fn ping(&mut self) {
        match self.endpoint.get(TIMEOUT.min(self.interval)) {
            Ok(receipt) => {
                log::debug!("heartbeat: {}", receipt.0);
                if std::mem::take(&mut self.unheard) {
                    log::info!("ping the heartbeat: it works again");
                }
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.unheard, true) {
                    log::warn!("ping the heartbeat: {failure}; trying on, and silent until it works again");
                }
            }
        }
    }
}

/// The target that has been failing for the longest time.
fn worst(targets: &[(String, Arc<Tally>)], now: Instant) -> Option<(&str, Duration)> {
    let failing = targets.iter().filter_map(|(name, tally)| {
        let since = tally.health().failing_since?;
        Some((name.as_str(), now.saturating_duration_since(since)))
    });
    failing.max_by_key(|(_, time)| *time)
}

/// What the heartbeat hears from the input.
#[derive(Default)]
pub(crate) struct Signs {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ticked: bool,
    ended: bool,
}

/// What [`Signs::wait`] finds.
enum Sign {
    /// A TICK event has come, or several.
    Tick,
    Time,
    End,
}

impl Signs {
    /// A TICK event has come.
    pub(crate) fn tick(&self) {
        self.lock().ticked = true;
        self.changed.notify_all();
    }

    /// Nothing more will come, or SIGTERM says so.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for a sign, or until this time.
    fn wait(&self, until: Option<Instant>) -> Sign {
        let mut state = self.lock();
        loop {
            if state.ended {
                return Sign::End;
            }
            if std::mem::take(&mut state.ticked) {
                return Sign::Tick;
            }
            let time = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match time {
                None => self.changed.wait(state).expect(UNPOISONED),
                Some(Duration::ZERO) => return Sign::Time,
                Some(time) => self.changed.wait_timeout(state, time).expect(UNPOISONED).0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "no thread panics while it holds the signs";

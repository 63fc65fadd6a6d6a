//! The options that say whether processes are followed, and when one flaps.

use std::str::FromStr;
use std::time::Duration;

use supd_core::cli;

use super::Tracker;
use super::process::{Limits, MAX_RESTARTS};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Track")]
pub(crate) struct TrackOptions {
    /// Follow each process: its records get 'state', 'restarts', 'uptime', 'downtime' and 'flapping', and SUPD_RESTARTED,
    /// SUPD_FLAPPING and SUPD_STABLE tell what no single event does (-e restarted,flapping,stable)
    #[arg(long)]
    track: bool,

    /// For how long a restart counts in 'restarts'
    #[arg(long, value_name = "DURATION", value_parser = positive, default_value = "10m", requires = "track")]
    window: Duration,

    /// A process flaps that is restarted so often in such a time, and not by hand
    #[arg(long, value_name = "N/DURATION", default_value = "5/10m", requires = "track")]
    flap: Flap,
}

impl TrackOptions {
    /// Whether processes are followed.
    pub(crate) fn is_on(&self) -> bool {
        self.track
    }

    /// Who follows them, if it is asked for.
    pub(crate) fn tracker(&self) -> Option<Tracker> {
        let limits =
            Limits { window: millis(self.window), flaps: self.flap.number, flap: millis(self.flap.window) };
        self.track.then(|| Tracker::new(limits))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

/// So many restarts in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flap {
    number: usize,
    window: Duration,
}

impl FromStr for Flap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, window) = text.split_once('/').ok_or("not a number and a time such as 5/10m")?;
        let number = number.trim().parse().ok().filter(|number| (2..=MAX_RESTARTS).contains(number));
        Ok(Self {
            number: number
                .ok_or_else(|| format!("the number of restarts is one from 2 to {MAX_RESTARTS}"))?,
            window: positive(window)?,
        })
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    cli::duration(text).and_then(|time| {
        if time.is_zero() { Err("a time longer than 0s is needed".to_owned()) } else { Ok(time) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_is_so_many_restarts_in_such_a_time() {
        let flap = |text: &str| text.parse::<Flap>();
        assert_eq!(flap("3/90s"), Ok(Flap { number: 3, window: Duration::from_secs(90) }));
        for text in ["3", "1/10m", "1001/10m", "x/10m", "3/0s", "3/soon", ""] {
            assert!(flap(text).is_err(), "{text}");
        }
    }
}

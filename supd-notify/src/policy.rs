//! What to send when: the options, the same on the command line and in a configuration, and what is usual.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use supd_core::cli;
use supd_core::pattern::ProcessPattern;

use crate::args::heading::{DELIVERY, GROUPING, SILENCE};
use crate::channel::Audience;
use crate::quiet::Quiet;

/// A span of time such as `30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        cli::duration(text).map(Self)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What makes events one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Key {
    /// The machine
    Host,
    /// supervisord's identifier
    Server,
    /// The process's group
    Group,
    /// The process, with its group
    Process,
    /// The event's name
    Event,
    /// How bad it is
    Severity,
    /// Nothing: all events are one group
    All,
}

/// At most so many messages in any span of this length: `20/1m`; or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rate(pub(crate) Option<(usize, Duration)>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "none" {
            return Ok(Self(None));
        }
        let wrong = || "neither a rate such as 20/1m nor 'none'".to_owned();
        let (count, span) = text.split_once('/').ok_or_else(wrong)?;
        let count: usize = count.trim().parse().map_err(|_| wrong())?;
        let span = span.trim();
        // 20/m is as good as 20/1m.
        let span =
            if span.starts_with(|c: char| c.is_ascii_digit()) { span.into() } else { format!("1{span}") };
        let span = cli::duration(&span).map_err(|_| wrong())?;
        if count == 0 || span.is_zero() {
            return Err(wrong());
        }
        Ok(Self(Some((count, span))))
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// What makes events one group, about which there is one message at a time [default: host,process]
    #[arg(long, value_name = "KEY", value_enum, value_delimiter = ',', global = true, help_heading = GROUPING)]
    group_by: Option<Vec<Key>>,

    /// How long the first message about a group waits for more to tell [default: 0s]
    #[arg(long, value_name = "DURATION", global = true, help_heading = GROUPING, hide_short_help = true)]
    group_wait: Option<Span>,

    /// How long after a message about a group the next one waits, which tells of everything since [default: 30s; for
    /// programs 0s, each record by itself]
    #[arg(long, value_name = "DURATION", global = true, help_heading = GROUPING)]
    group_interval: Option<Span>,

    /// The interval doubles while a group does not calm down, up to this [default: 1h]
    #[arg(long, value_name = "DURATION", global = true, help_heading = GROUPING, hide_short_help = true)]
    group_interval_max: Option<Span>,

    /// How often to remind of what is still down [default: 4h, where records tell of recoveries too; for programs
    /// never, as with 0s]
    #[arg(long, value_name = "DURATION", global = true, help_heading = GROUPING, hide_short_help = true)]
    repeat_interval: Option<Span>,

    /// The most messages in any such span; what is more waits, and comes as one [default: 20/1m; for programs none]
    #[arg(long, value_name = "N/DURATION", global = true, help_heading = GROUPING, hide_short_help = true)]
    rate: Option<Rate>,

    /// Tell of a recovery: when a process that was reported has been RUNNING for so long, or was stopped;
    /// --resolve alone means 10s
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "10s", require_equals = true,
          global = true, help_heading = GROUPING)]
    resolve: Option<Span>,

    /// Send nothing about these processes: NAME or GROUP:NAME, with * and ?
    #[arg(long, value_name = "GLOB", value_delimiter = ',', global = true, help_heading = SILENCE)]
    mute: Vec<ProcessPattern>,

    /// Until this time: RFC 3339, or local, such as '2026-01-05 08:00'
    #[arg(long, value_name = "TIME", requires = "mute", value_parser = crate::quiet::moment, global = true,
          help_heading = SILENCE, hide_short_help = true)]
    #[serde(deserialize_with = "crate::quiet::moment_in_configuration")]
    mute_until: Option<Timestamp>,

    /// Send nothing in these hours of each day, local time, and after them one message about all: 22:00-07:00
    #[arg(long, value_name = "FROM-TO", global = true, help_heading = SILENCE)]
    quiet: Option<Quiet>,

    /// How long one attempt may take [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = attempt, global = true, hide_short_help = true, help_heading = DELIVERY)]
    #[serde(deserialize_with = "attempt_in_configuration")]
    timeout: Option<Span>,

    /// How long a message is tried again [default: 24h; for 'retry' 1m]
    #[arg(long, value_name = "DURATION", global = true, help_heading = DELIVERY, hide_short_help = true)]
    retry_for: Option<Span>,
}

impl Options {
    /// These, and where they say nothing, the others.
    pub(crate) fn or(self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            group_by: self.group_by.or(other.group_by),
            group_wait: self.group_wait.or(other.group_wait),
            group_interval: self.group_interval.or(other.group_interval),
            group_interval_max: self.group_interval_max.or(other.group_interval_max),
            repeat_interval: self.repeat_interval.or(other.repeat_interval),
            rate: self.rate.or(other.rate),
            resolve: self.resolve.or(other.resolve),
            mute_until: if self.mute.is_empty() { other.mute_until } else { self.mute_until },
            mute: if self.mute.is_empty() { other.mute } else { self.mute },
            quiet: self.quiet.or(other.quiet),
            timeout: self.timeout.or(other.timeout),
            retry_for: self.retry_for.or(other.retry_for),
        }
    }

    /// What was said of how long a message is tried again.
    pub(crate) fn retry_for(&self) -> Option<Duration> {
        self.retry_for.map(|span| span.0)
    }

    /// What holds for such an audience.
    pub(crate) fn policy(&self, audience: Audience) -> Policy {
        let people = audience == Audience::People;
        let span = |asked: Option<Span>, usual: Duration| asked.map_or(usual, |span| span.0);
        let group_interval =
            span(self.group_interval, if people { Duration::from_secs(30) } else { Duration::ZERO });
        let usual_rate = people.then_some((20, MINUTE));
        Policy {
            group_by: self.group_by.clone().unwrap_or_else(|| vec![Key::Host, Key::Process]),
            group_wait: span(self.group_wait, Duration::ZERO),
            group_interval,
            group_interval_max: span(self.group_interval_max, 60 * MINUTE).max(group_interval),
            repeat: match self.repeat_interval {
                Some(span) if span.0.is_zero() => Repeat::Never,
                Some(span) => Repeat::Every(span.0),
                None if people => Repeat::WhereRecoveriesAreTold(240 * MINUTE),
                None => Repeat::Never,
            },
            rate: self.rate.map_or(usual_rate, |rate| rate.0),
            resolve: self.resolve.map(|span| span.0),
            mute: self.mute.clone(),
            mute_until: self.mute_until,
            quiet: self.quiet,
            timeout: span(self.timeout, Duration::from_secs(5)),
            retry_for: span(self.retry_for, 24 * 60 * MINUTE),
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// When to remind of what is still down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    Every(Duration),
    /// Whoever is not told of recoveries cannot tell what is still down.
    WhereRecoveriesAreTold(Duration),
}

/// What holds for a target.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) group_by: Vec<Key>,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) group_interval_max: Duration,
    pub(crate) repeat: Repeat,
    /// At most so many messages in any span of this length.
    pub(crate) rate: Option<(usize, Duration)>,
    /// How long a process has to be RUNNING to have recovered; `None` when recoveries are not to be told.
    pub(crate) resolve: Option<Duration>,
    pub(crate) mute: Vec<ProcessPattern>,
    pub(crate) mute_until: Option<Timestamp>,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) timeout: Duration,
    pub(crate) retry_for: Duration,
}

fn attempt(text: &str) -> Result<Span, String> {
    text.parse().and_then(
        |span: Span| if span.0.is_zero() { Err("an attempt takes some time".into()) } else { Ok(span) },
    )
}

fn attempt_in_configuration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    attempt(&String::deserialize(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_span() {
        for text in ["20/1m", "20/m", " 20 / 60s"] {
            assert_eq!(text.parse(), Ok(Rate(Some((20, MINUTE)))), "{text}");
        }
        assert_eq!("none".parse(), Ok(Rate(None)));
        for wrong in ["20", "0/1m", "20/0s", "/1m", "20/soon", ""] {
            wrong.parse::<Rate>().unwrap_err();
        }
    }

    #[test]
    fn people_get_groups_and_programs_each_record() {
        let policy = |audience| Options::default().policy(audience);
        let people = policy(Audience::People);
        assert_eq!((people.group_interval, people.rate), (MINUTE / 2, Some((20, MINUTE))));
        let programs = policy(Audience::Programs);
        assert_eq!((programs.group_interval, programs.rate), (Duration::ZERO, None));
        let options = Options { repeat_interval: Some(Span(Duration::ZERO)), ..Options::default() };
        assert_eq!(options.policy(Audience::People).repeat, Repeat::Never);
    }
}

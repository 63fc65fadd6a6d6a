//! Prometheus's text exposition format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::queue::Waiting;
use crate::tally::Health;

/// All that is known at one moment.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) started: Timestamp,
    pub(super) records_read: u64,
    pub(super) lines_malformed: u64,
    pub(super) targets: Vec<Standing>,
}

/// What is known of a target.
#[derive(Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) target: String,
    pub(super) records_delivered: u64,
    pub(super) messages_delivered: u64,
    pub(super) attempts_failed: u64,
    pub(super) attempts_retried: u64,
    pub(super) records_dropped: u64,
    pub(super) records_dead_lettered: u64,
    pub(super) waiting: Waiting,
    pub(super) health: Health,
}

/// A name, with what it stands for: a counter when it ends in `_total`, else a gauge.
struct Metric<Of> {
    name: &'static str,
    help: &'static str,
    value: fn(&Of, Timestamp) -> f64,
}

const OF_TARGETS: [Metric<Standing>; 10] = [
    Metric {
        name: "supd_notify_records_delivered_total",
        help: "Records that the target took, in a message of their own or with others.",
        value: |of, _| of.records_delivered as f64,
    },
    Metric {
        name: "supd_notify_messages_delivered_total",
        help: "Messages that the target took.",
        value: |of, _| of.messages_delivered as f64,
    },
    Metric {
        name: "supd_notify_attempts_failed_total",
        help: "Attempts to deliver a message that failed.",
        value: |of, _| of.attempts_failed as f64,
    },
    Metric {
        name: "supd_notify_attempts_retried_total",
        help: "Attempts to deliver a message that were not the first.",
        value: |of, _| of.attempts_retried as f64,
    },
    Metric {
        name: "supd_notify_records_dropped_total",
        help: "Records that were deliberately not delivered.",
        value: |of, _| of.records_dropped as f64,
    },
    Metric {
        name: "supd_notify_records_dead_lettered_total",
        help: "Records that were given up.",
        value: |of, _| of.records_dead_lettered as f64,
    },
    Metric {
        name: "supd_notify_queue_records",
        help: "Records that wait to be delivered.",
        value: |of, _| of.waiting.letters as f64,
    },
    Metric {
        name: "supd_notify_lag_seconds",
        help: "Age of the oldest record that waits to be delivered; 0 when none does.",
        value: |of, now| of.waiting.oldest.map_or(0.0, |since| (seconds(now) - seconds(since)).max(0.0)),
    },
    Metric {
        name: "supd_notify_failing",
        help: "Whether the last attempt failed.",
        value: |of, _| f64::from(u8::from(of.health.failing_since.is_some())),
    },
    Metric {
        name: "supd_notify_last_delivery_timestamp_seconds",
        help: "When the target last took a message; 0 before that.",
        value: |of, _| of.health.last_delivery.map_or(0.0, seconds),
    },
];

const OVERALL: [Metric<Snapshot>; 3] = [
    Metric {
        name: "supd_notify_start_time_seconds",
        help: "When supd-notify was started.",
        value: |of, _| seconds(of.started),
    },
    Metric {
        name: "supd_notify_records_read_total",
        help: "Records that came on standard input.",
        value: |of, _| of.records_read as f64,
    },
    Metric {
        name: "supd_notify_lines_malformed_total",
        help: "Lines on standard input that were no records.",
        value: |of, _| of.lines_malformed as f64,
    },
];

/// Seconds since the epoch, with milliseconds.
fn seconds(moment: Timestamp) -> f64 {
    moment.as_millisecond() as f64 / 1000.0
}

impl Snapshot {
    /// The whole file, with these labels on every line.
    pub(super) fn text(&self, labels: &[(String, String)], now: Timestamp) -> String {
        let mut page = Page { text: String::new(), labels };
        let build = "supd_notify_build_info";
        page.begin(build, "Always 1; the version is a label.");
        page.sample(build, Some(("version", env!("CARGO_PKG_VERSION"))), 1.0);
        for Metric { name, help, value } in OVERALL {
            page.begin(name, help);
            page.sample(name, None, value(self, now));
        }
        for Metric { name, help, value } in OF_TARGETS {
            page.begin(name, help);
            for standing in &self.targets {
                page.sample(name, Some(("target", &standing.target)), value(standing, now));
            }
        }
        page.text
    }
}

/// What has been written so far.
struct Page<'a> {
    text: String,
    /// Those of every line.
    labels: &'a [(String, String)],
}

impl Page<'_> {
    fn begin(&mut self, name: &str, help: &str) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, own: Option<(&str, &str)>, value: f64) {
        let common = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels: Vec<String> =
            common.chain(own).map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

/// A label's value.
fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(target: &str) -> Standing {
        Standing {
            target: target.into(),
            records_delivered: 3,
            messages_delivered: 2,
            attempts_failed: 1,
            attempts_retried: 1,
            records_dropped: 0,
            records_dead_lettered: 0,
            waiting: Waiting { letters: 1, oldest: Some("2026-01-05T08:00:00Z".parse().unwrap()) },
            health: Health { failing_since: None, last_delivery: None },
        }
    }

    fn text(labels: &[(&str, &str)]) -> String {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let started = "2026-01-05T07:59:00.250Z".parse().unwrap();
        let targets = vec![standing("slack"), standing("a \"b\"\\\nc")];
        let snapshot = Snapshot { started, records_read: 5, lines_malformed: 0, targets };
        snapshot.text(&labels, "2026-01-05T08:00:01.500Z".parse().unwrap())
    }

    #[test]
    fn each_metric_is_told_once_with_a_line_for_each_target() {
        let text = text(&[]);
        assert!(text.contains(
            "# HELP supd_notify_lag_seconds Age of the oldest record that waits to be delivered; 0 when none does.\n\
             # TYPE supd_notify_lag_seconds gauge\n\
             supd_notify_lag_seconds{target=\"slack\"} 1.5\n\
             supd_notify_lag_seconds{target=\"a \\\"b\\\"\\\\\\nc\"} 1.5\n"
        ));
        assert!(text.contains("\n# TYPE supd_notify_records_delivered_total counter\n"));
        assert!(text.contains("\nsupd_notify_start_time_seconds 1767599940.25\n"), "{text}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn further_labels_are_on_every_line() {
        let text = text(&[("listener", "alerts")]);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        assert!(samples.clone().count() > 20);
        assert!(samples.clone().all(|line| line.contains("{listener=\"alerts\"")), "{text}");
        assert!(text.contains("\nsupd_notify_queue_records{listener=\"alerts\",target=\"slack\"} 1\n"));
    }
}

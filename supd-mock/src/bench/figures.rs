//! What is measured, and how several rounds of it become one.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::measure::Cpu;

/// What one trial has given.
#[derive(Debug)]
pub(crate) struct Figures {
    /// From the first event to the last result.
    pub(crate) took: Duration,
    /// Nanoseconds from writing an event to its result.
    pub(crate) latency: Histogram<u64>,
    pub(crate) rejections: u64,
    pub(crate) ready: Duration,
    /// Processor time of the listener, from READY on.
    pub(crate) cpu: Duration,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) drain: Duration,
    /// Processor time of supd-mock itself while it pushed.
    pub(crate) own: Cpu,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Seconds,
    Bytes,
}

/// One figure, with its name in JSON and for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    /// The least and the most of several rounds.
    pub(crate) spread: (f64, f64),
}

impl Figures {
    /// All of them, always in the same order.
    pub(crate) fn list(&self) -> Vec<Figure> {
        let figure = |key, label, unit, value| Figure { key, label, unit, value, spread: (value, value) };
        let seconds = |key, label, time: Duration| figure(key, label, Unit::Seconds, time.as_secs_f64());
        let latency = |key, label, nanos: u64| seconds(key, label, Duration::from_nanos(nanos));
        let at = |quantile| self.latency.value_at_quantile(quantile);
        let events = self.latency.len();
        let each = |time: Duration| time.div_f64(events.max(1) as f64);
        vec![
            figure("events", "events accepted", Unit::Count, events as f64),
            figure("rejections", "rejections", Unit::Count, self.rejections as f64),
            figure(
                "events_per_second",
                "events a second",
                Unit::Count,
                events as f64 / self.took.as_secs_f64(),
            ),
            latency("latency_p50", "latency, median", at(0.5)),
            latency("latency_p90", "latency, p90", at(0.9)),
            latency("latency_p99", "latency, p99", at(0.99)),
            latency("latency_max", "latency, max", self.latency.max()),
            seconds("cpu", "CPU an event", each(self.cpu)),
            seconds("ready", "start to READY", self.ready),
            figure("memory", "peak memory", Unit::Bytes, self.memory as f64),
            seconds("drain", "drain", self.drain),
            seconds("own_cpu", "supd-mock's own CPU", each(self.own.all)),
            seconds("own_cpu_user", "  outside the kernel", each(self.own.user)),
        ]
    }
}

/// The median of each figure, and its spread.
pub(crate) fn medians(rounds: &[Figures]) -> Vec<Figure> {
    let lists: Vec<Vec<Figure>> = rounds.iter().map(Figures::list).collect();
    let first = lists.first().map(Vec::as_slice).unwrap_or_default();
    let median_of = |(at, figure): (usize, &Figure)| {
        let mut values: Vec<f64> = lists.iter().map(|list| list[at].value).collect();
        values.sort_by(f64::total_cmp);
        let spread = values.first().copied().zip(values.last().copied()).unwrap_or(figure.spread);
        Figure { value: median(&values), spread, ..*figure }
    };
    first.iter().enumerate().map(median_of).collect()
}

/// Of sorted values; of an even number the mean of the middle two.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), 2.5);
    }
}

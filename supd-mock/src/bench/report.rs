//! The figures as a table for people, and as JSON for programs.
//!
//! A difference that is no larger than what two rounds of the same listener differ by is none: its ratio is marked.

use std::fmt::Write as _;

use serde_json::{Value, json};
use supd_core::describe::printable;

use super::figures::{Figure, Unit};
use super::{Bench, digits};

/// Two listeners beside the first one, with their ratios, fit into 80 columns.
const BESIDE: usize = 2;
const LABEL: usize = 22;
const NUMBER: usize = 12;
const RATIO: usize = 9;
/// `1.23 ms – 4.56 ms`, where there is one listener only.
const SPREAD: usize = 24;
/// What so few clock ticks say is chance.
const TICKS: u64 = 5;

/// A listener's command and the medians of what was measured.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) command: String,
    pub(crate) figures: Vec<Figure>,
}

/// One object on one line. Times are in seconds, memory in bytes; `cpu` and `own_cpu` are for one event; the ratios
/// are those to the first listener; `spread` is the least and the most of several rounds.
pub(crate) fn json(args: &Bench, results: &[Result]) -> String {
    let listener = |result: &Result| {
        let mut object = json!({"command": result.command});
        for figure in &result.figures {
            object[figure.key] = number(figure.unit, figure.value);
        }
        if args.rounds() > 1 {
            let ends =
                |Figure { unit, spread, .. }: &Figure| [spread.0, spread.1].map(|end| number(*unit, end));
            let spreads = result.figures.iter().map(|figure| (figure.key.to_owned(), json!(ends(figure))));
            object["spread"] = Value::Object(spreads.collect());
        }
        if results.len() > 1 {
            let ratios =
                ratios(&results[0], result).map(|(figure, ratio)| (figure.key.to_owned(), ratio.into()));
            object["ratio"] = Value::Object(ratios.collect());
        }
        object
    };
    let listeners: Vec<Value> = results.iter().map(listener).collect();
    let head = json!({
        "count": args.count, "payload": args.payload, "members": args.members, "rounds": args.rounds(),
        "listeners": listeners,
    });
    format!("{head}\n")
}

/// One line a figure, one column a listener.
pub(crate) fn table(args: &Bench, results: &[Result]) -> String {
    let mut text = String::new();
    for (letter, result) in ('A'..).zip(results) {
        let _ = writeln!(text, "{letter}: {}", printable(&result.command)); // a String cannot fail
    }
    let _ = writeln!(text, "{}", circumstances(args));
    if results.len() > 1 {
        text.push_str("Ratios: more is better for events a second, else less");
        let known = args.rounds() > 1;
        text.push_str(if known { "; ~ is within the spread\n" } else { "; one round has no spread\n" });
    }
    text.push('\n');
    let (first, others) = results.split_first().expect("there is a listener to measure");
    let mut tables: Vec<&[Result]> = others.chunks(BESIDE).collect();
    if tables.is_empty() {
        tables.push(&[]);
    }
    for (number, beside) in tables.into_iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let letters = ('A'..).skip(1 + number * BESIDE);
        let spread = results.len() == 1 && args.rounds() > 1;
        rows(&mut text, first, &beside.iter().zip(letters).collect::<Vec<_>>(), spread);
    }
    text
}

fn circumstances(args: &Bench) -> String {
    let events = match args.payload {
        None => "process exits".to_owned(),
        Some(size) => format!("log events of {} bytes", digits::grouped(size as f64)),
    };
    let processes =
        if args.members == 1 { "one process".into() } else { format!("{} processes", args.members) };
    let medians = match args.rounds() {
        1 => String::new(),
        rounds => format!("; medians of {rounds} rounds"),
    };
    format!("{} {events} through {processes}{medians}", digits::grouped(args.count as f64))
}

fn rows(text: &mut String, first: &Result, beside: &[(&Result, char)], spread: bool) {
    let mut lines = Vec::new();
    if !beside.is_empty() {
        let mut heading = format!("{:LABEL$}{:>NUMBER$}", "", "A");
        for (_, letter) in beside {
            let _ = write!(heading, "{letter:>NUMBER$}{:>RATIO$}", format!("{letter}/A"));
        }
        lines.push(heading);
    } else if spread {
        lines.push(format!("{:LABEL$}{:>NUMBER$}{:>SPREAD$}", "", "median", "least – most"));
    }
    for (at, figure) in first.figures.iter().enumerate() {
        let others = || beside.iter().map(|(other, _)| *other);
        if figure.key == "own_cpu_user" && !std::iter::once(first).chain(others()).any(counts) {
            continue;
        }
        let mut line = format!("{:LABEL$}{:>NUMBER$}", figure.label, digits::shown(figure));
        for other in others().map(|other| &other.figures[at]) {
            let _ = write!(line, "{:>NUMBER$}{:>RATIO$}", digits::shown(other), marked_ratio(figure, other));
        }
        if spread && figure.spread.0 < figure.spread.1 {
            let _ = write!(line, "{:>SPREAD$}", digits::spread(figure));
        }
        lines.push(line);
    }
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Whether what was spent outside the kernel is more than a few clock ticks, in which the kernel may count it.
fn counts(result: &Result) -> bool {
    let value =
        |key| result.figures.iter().find(|figure| figure.key == key).map_or(0.0, |figure| figure.value);
    value("own_cpu_user") * value("events") > crate::proc::ticks(TICKS).as_secs_f64()
}

/// The ratio, with a `~` where the rounds of both overlap; nothing where both are the same in every round.
fn marked_ratio(first: &Figure, other: &Figure) -> String {
    let (one, two) = (first.spread, other.spread);
    let Some(ratio) = ratio(first, other).filter(|_| one != two || one.0 != one.1) else {
        return String::new();
    };
    let mark = if one.0 <= two.1 && two.0 <= one.1 { "~" } else { "" };
    format!("{mark}{}", digits::ratio(ratio))
}

fn ratios<'a>(first: &'a Result, other: &'a Result) -> impl Iterator<Item = (&'a Figure, f64)> {
    let pairs = first.figures.iter().zip(&other.figures);
    pairs.filter_map(|(first, other)| Some((other, significant(ratio(first, other)?))))
}

/// Nothing compares to nothing.
fn ratio(first: &Figure, other: &Figure) -> Option<f64> {
    (first.value > 0.0).then(|| other.value / first.value)
}

/// To the nanosecond, where it is a time.
fn number(unit: Unit, value: f64) -> Value {
    match unit {
        Unit::Seconds => ((value * 1e9).round() / 1e9).into(),
        Unit::Count | Unit::Bytes => (value.round() as u64).into(),
    }
}

/// Four digits, however small.
fn significant(ratio: f64) -> f64 {
    format!("{ratio:.3e}").parse().unwrap_or(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(key: &'static str, value: f64, spread: (f64, f64)) -> Figure {
        Figure { key, label: "supd-mock's own CPU", unit: Unit::Seconds, value, spread }
    }

    fn result(value: f64, spread: (f64, f64)) -> Result {
        Result { command: "listener".into(), figures: vec![figure("ready", value, spread)] }
    }

    #[test]
    fn three_listeners_are_compared_within_eighty_columns() {
        let mut text = String::new();
        let [first, second, third] = [(0.001, 0.0009), (0.002, 0.0008), (0.0005, 0.0004)]
            .map(|(value, least)| result(value, (least, value)));
        rows(&mut text, &first, &[(&second, 'B'), (&third, 'C')], false);
        let heading = "                                 A           B      B/A           C      C/A";
        // The rounds of the first two overlap.
        let row = "supd-mock's own CPU        1.00 ms     2.00 ms    ~2.00      500 µs     0.50";
        assert_eq!(text, format!("{heading}\n{row}\n"));
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn one_listener_has_its_spread_beside_it() {
        let mut text = String::new();
        rows(&mut text, &result(0.001, (0.0009, 0.002)), &[], true);
        let heading = "                            median            least – most";
        let row = "supd-mock's own CPU        1.00 ms        900 µs – 2.00 ms";
        assert_eq!(text, format!("{heading}\n{row}\n"));
    }

    #[test]
    fn what_does_not_differ_has_no_ratio_and_no_blanks_at_the_end() {
        let mut text = String::new();
        rows(&mut text, &result(0.0, (0.0, 0.0)), &[(&result(0.0, (0.0, 0.0)), 'B')], false);
        assert!(text.ends_with("0 ns        0 ns\n"), "{text}");
    }

    #[test]
    fn a_few_clock_ticks_outside_the_kernel_are_not_shown() {
        let shown = |seconds: f64| {
            let own = figure("own_cpu_user", seconds / 1000.0, (0.0, 0.0));
            let events = figure("events", 1000.0, (0.0, 0.0));
            let mut text = String::new();
            rows(&mut text, &Result { command: "x".into(), figures: vec![events, own] }, &[], false);
            text.lines().count() == 2
        };
        let tick = crate::proc::ticks(1).as_secs_f64();
        assert!(!shown(4.0 * tick) && shown(6.0 * tick));
    }

    #[test]
    fn a_small_ratio_is_no_zero() {
        assert_eq!(significant(0.000_012_345_6), 0.000_012_35);
        assert_eq!(significant(2.0), 2.0);
    }
}

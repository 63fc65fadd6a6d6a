//! The figures as a table for people, and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};
use supd_core::describe::printable;

use super::Bench;
use super::figures::{Figure, Unit};

/// Two listeners beside the first one, with their ratios, fit into 80 columns.
const BESIDE: usize = 2;
const LABEL: usize = 22;
const NUMBER: usize = 12;
const RATIO: usize = 9;

/// A listener's command and the medians of what was measured.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) command: String,
    pub(crate) figures: Vec<Figure>,
}

/// One object on one line. Times are in seconds, memory in bytes; `cpu` and `own_cpu` are for one event; the ratios
/// are those to the first listener.
pub(crate) fn json(args: &Bench, results: &[Result]) -> String {
    let listener = |result: &Result| {
        let mut object = json!({"command": result.command});
        for figure in &result.figures {
            object[figure.key] = number(figure);
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
    let _ = writeln!(text, "{}\n", circumstances(args));
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
        rows(&mut text, first, &beside.iter().zip(letters).collect::<Vec<_>>());
    }
    text
}

fn circumstances(args: &Bench) -> String {
    let events = match args.payload {
        None => "process exits".to_owned(),
        Some(size) => format!("log events of {} bytes", grouped(size as f64)),
    };
    let processes =
        if args.members == 1 { "one process".into() } else { format!("{} processes", args.members) };
    let medians = match args.rounds() {
        1 => String::new(),
        rounds => format!("; medians of {rounds} rounds"),
    };
    format!("{} {events} through {processes}{medians}", grouped(args.count as f64))
}

fn rows(text: &mut String, first: &Result, beside: &[(&Result, char)]) {
    if !beside.is_empty() {
        let _ = write!(text, "{:LABEL$}{:>NUMBER$}", "", "A");
        for (_, letter) in beside {
            let _ = write!(text, "{letter:>NUMBER$}{:>RATIO$}", format!("{letter}/A"));
        }
        text.push('\n');
    }
    for (at, figure) in first.figures.iter().enumerate() {
        let _ = write!(text, "{:LABEL$}{:>NUMBER$}", figure.label, shown(figure));
        for (other, _) in beside {
            let ratio = ratio(figure, &other.figures[at]).map(|ratio| format!("{ratio:.2}"));
            let ratio = ratio.unwrap_or_default();
            let _ = write!(text, "{:>NUMBER$}{ratio:>RATIO$}", shown(&other.figures[at]));
        }
        text.push('\n');
    }
}

fn ratios<'a>(first: &'a Result, other: &'a Result) -> impl Iterator<Item = (&'a Figure, f64)> {
    let pairs = first.figures.iter().zip(&other.figures);
    pairs.filter_map(|(first, other)| Some((other, rounded(ratio(first, other)?, 1e4))))
}

/// Nothing compares to nothing.
fn ratio(first: &Figure, other: &Figure) -> Option<f64> {
    (first.value > 0.0).then(|| other.value / first.value)
}

/// To the nanosecond, where it is a time.
fn number(figure: &Figure) -> Value {
    match figure.unit {
        Unit::Seconds => rounded(figure.value, 1e9).into(),
        Unit::Count | Unit::Bytes => (figure.value.round() as u64).into(),
    }
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn shown(figure: &Figure) -> String {
    match figure.unit {
        Unit::Count => grouped(figure.value),
        Unit::Seconds => scaled(figure.value, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
        Unit::Bytes => scaled(
            figure.value,
            &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
        ),
    }
}

/// Three digits that tell something, in the largest unit that leaves one before the point.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fitting = units.iter().find(|(unit, _)| value >= *unit).or(units.last());
    let &(unit, name) = fitting.expect("there are units");
    let number = value / unit;
    let decimals = match number {
        0.0 => 0,
        number if number < 9.995 => 2,
        number if number < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {name}")
}

/// `1,234,567`.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_the_digits_that_tell_something() {
        let shown = |unit, value| shown(&Figure { key: "", label: "", unit, value });
        assert_eq!(shown(Unit::Seconds, 0.000_012_345), "12.3 µs");
        assert_eq!(shown(Unit::Seconds, 0.000_000_8), "800 ns");
        assert_eq!(shown(Unit::Seconds, 2.5), "2.50 s");
        assert_eq!(shown(Unit::Seconds, 0.0), "0 ns");
        assert_eq!(shown(Unit::Bytes, 2.4 * 1_048_576.0), "2.40 MiB");
        assert_eq!(shown(Unit::Count, 1_234_567.2), "1,234,567");
        assert_eq!(shown(Unit::Count, 100.0), "100");
    }

    #[test]
    fn four_listeners_are_compared_within_eighty_columns() {
        let figure =
            |value| Figure { key: "ready", label: "supd-mock's own CPU", unit: Unit::Seconds, value };
        let result = |value| Result { command: "listener".into(), figures: vec![figure(value)] };
        let mut text = String::new();
        rows(&mut text, &result(0.001), &[(&result(0.002), 'B'), (&result(0.0005), 'C')]);
        let heading = "                                 A           B      B/A           C      C/A";
        let row = "supd-mock's own CPU        1.00 ms     2.00 ms     2.00      500 µs     0.50";
        assert_eq!(text, format!("{heading}\n{row}\n"));
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }
}

//! Numbers for people: the digits that tell something, and no more.

use super::figures::{Figure, Unit};

/// A figure's value in its unit.
pub(crate) fn shown(figure: &Figure) -> String {
    value(figure.unit, figure.value)
}

/// The least and the most that was measured.
pub(crate) fn spread(figure: &Figure) -> String {
    let (least, most) = figure.spread;
    format!("{} – {}", value(figure.unit, least), value(figure.unit, most))
}

fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => grouped(value),
        Unit::Seconds => scaled(value, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
        Unit::Bytes => {
            scaled(value, &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")])
        }
    }
}

/// A ratio: two digits that tell something below 1, two behind the point above.
pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        0.0 => "0".to_owned(),
        ratio if ratio < 0.0001 => "<0.0001".to_owned(),
        ratio if ratio < 0.095 => format!("{ratio:.*}", (1.0 - ratio.log10().floor()) as usize),
        ratio if ratio < 99.95 => format!("{ratio:.2}"),
        ratio if ratio < 99_999.5 => format!("{ratio:.0}"),
        _ => ">99999".to_owned(),
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
pub(crate) fn grouped(value: f64) -> String {
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
        let shown = value;
        assert_eq!(shown(Unit::Seconds, 0.000_012_345), "12.3 µs");
        assert_eq!(shown(Unit::Seconds, 0.000_000_8), "800 ns");
        assert_eq!(shown(Unit::Seconds, 2.5), "2.50 s");
        assert_eq!(shown(Unit::Seconds, 0.0), "0 ns");
        assert_eq!(shown(Unit::Bytes, 2.4 * 1_048_576.0), "2.40 MiB");
        assert_eq!(shown(Unit::Count, 1_234_567.2), "1,234,567");
        assert_eq!(shown(Unit::Count, 100.0), "100");
    }

    #[test]
    fn small_ratios_keep_two_digits() {
        for (value, shown) in [
            (0.0, "0"),
            (0.000_05, "<0.0001"),
            (0.001_234, "0.0012"),
            (0.012_7, "0.013"),
            (0.5, "0.50"),
            (1.0, "1.00"),
            (123.4, "123"),
            (2e6, ">99999"),
        ] {
            assert_eq!(ratio(value), shown);
        }
    }
}

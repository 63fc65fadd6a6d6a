//! The manners of the four programs: exit statuses, one-line messages, `-q` and `-v`, spans and sizes as arguments.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::describe::printable;
use crate::interruption::Interrupted;
use crate::moment::Moment;
use crate::stdio::{ClosedStdout, is_about_stdout};

/// Everything was done.
pub const DONE: u8 = 0;
/// Something failed at run time.
pub const FAILED: u8 = 1;
/// The program was called in a wrong way.
pub const USAGE: u8 = 2;

/// An error that the caller can cure by calling differently: exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Runs a program's body and turns its end into an exit status: the status it gives; 0 when the reader of its output
/// has left; 2 for a [`Usage`] error and 1 for any other, after one line on stderr. [`Interrupted`] ends it by the signal.
pub fn run(name: &'static str, body: impl FnOnce() -> anyhow::Result<u8>) -> ExitCode {
    match body() {
        Ok(status) => status.into(),
        Err(error) if error.is::<ClosedStdout>() => DONE.into(),
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                interrupted.obey();
            }
            say(name, &format!("{error:#}"));
            if error.is::<Usage>() { USAGE } else { FAILED }.into()
        }
    }
}

/// The status of a program that reads one file after another: what fails is said, and the next file may well be
/// readable. Each file's outcome is how many lines of it were not.
///
/// # Errors
/// [`is_about_stdout`]: when nothing can be written, there is nothing left to do.
pub fn each_file(outcomes: impl Iterator<Item = anyhow::Result<u64>>) -> anyhow::Result<u8> {
    let mut status = DONE;
    for outcome in outcomes {
        match outcome {
            Ok(0) => {}
            Ok(_) => status = FAILED,
            Err(error) if is_about_stdout(&error) => return Err(error),
            Err(error) => {
                log::error!("{error:#}");
                status = FAILED;
            }
        }
    }
    Ok(status)
}

/// Which messages are wanted on stderr.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Verbosity {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Messages")]
    quiet: bool,
    /// Say more about what is being done
    #[arg(short, long, global = true, help_heading = "Messages")]
    verbose: bool,
}

impl Verbosity {
    /// For a program whose own options for it have other names.
    pub fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose }
    }

    /// The option that asks for it; none for the usual.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Self { quiet: true, .. } => Some("--quiet"),
            Self { verbose: true, .. } => Some("--verbose"),
            _ => None,
        }
    }

    /// From here on `log::error!`, `warn!` and `info!` (not with `-q`) and `debug!` (with `-v`) are lines on stderr.
    pub fn start(self, name: &'static str) {
        let level = match self {
            Self { quiet: true, .. } => log::LevelFilter::Error,
            Self { verbose: true, .. } => log::LevelFilter::Debug,
            _ => log::LevelFilter::Info,
        };
        log::set_max_level(level);
        // A second call happens in tests only, and the first logger is as good.
        let _ = log::set_boxed_logger(Box::new(Stderr { name }));
    }
}

struct Stderr {
    name: &'static str,
}

impl log::Log for Stderr {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // Libraries have their own ideas of what is worth a line.
        metadata.target().starts_with("supd_")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            say(self.name, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// One line in one write, so that lines of a pipeline's programs do not mix. Where stderr is closed nobody listens.
pub(crate) fn say(name: &str, message: &str) {
    let _ = std::io::stderr().write_all(format!("{name}: {}\n", printable(message)).as_bytes());
}

/// Parses a span of time with its units: `8s`, `1m 30s`, `500ms`, `1d`.
///
/// # Errors
/// A one-line message.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.trim().parse().map_err(|_| "not a span of time such as 8s, 1m30s or 2h")?;
    let duration =
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    duration.try_into().map_err(|_| "a span of time cannot be negative".into())
}

/// A span of time as [`duration`] would take it, in the largest unit that leaves nothing over: `300ms`, `90s`, `2h`.
pub fn span(duration: Duration) -> String {
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    match duration.as_secs() {
        0 => "0s".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Parses a [`Moment`], by the clocks of this machine.
///
/// # Errors
/// A one-line message.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse::<Moment>()?.resolve(Timestamp::now(), &TimeZone::system())
}

/// Parses a size in bytes: `65536`, `64KiB`, `16MiB`, `1GB`.
///
/// # Errors
/// A one-line message.
pub fn size(text: &str) -> Result<usize, String> {
    let size: bytesize::ByteSize =
        text.trim().parse().map_err(|_| "not a size such as 65536, 64KiB or 16MiB")?;
    usize::try_from(size.as_u64()).map_err(|_| "larger than memory can be".into())
}

/// A size in bytes for people: `8.1 MiB`.
pub fn amount(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_their_unit() {
        assert_eq!(duration("8s"), Ok(Duration::from_secs(8)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["90", "", "-1s", "soon"] {
            duration(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_span_has_the_largest_unit_that_leaves_nothing_over_and_is_read_back() {
        for (ms, said) in [
            (0, "0s"),
            (500, "500ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (120_000, "2m"),
            (7_200_000, "2h"),
        ] {
            let time = Duration::from_millis(ms);
            assert_eq!((span(time), duration(said)), (said.to_owned(), Ok(time)));
        }
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("2026-01-05T08:00:00+01:00"), Ok("2026-01-05T07:00:00Z".parse().unwrap()));
        assert!(moment("2h").unwrap() < Timestamp::now());
        moment("yesterdayish").unwrap_err();
    }

    #[test]
    fn sizes_take_binary_and_decimal_units() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("1kB"), Ok(1000));
        size("big").unwrap_err();
        assert_eq!((&*amount(0), &*amount(8 << 20), &*amount(12_345_678)), ("0 B", "8.0 MiB", "11.8 MiB"));
    }

    #[test]
    fn errors_have_their_statuses() {
        let fails = |error: anyhow::Error| format!("{:?}", run("test", || Err(error)));
        assert_eq!(fails(Usage("x".into()).into()), format!("{:?}", ExitCode::from(2)));
        assert_eq!(fails(anyhow::anyhow!("x")), format!("{:?}", ExitCode::from(1)));
        assert_eq!(fails(ClosedStdout.into()), format!("{:?}", ExitCode::SUCCESS));
    }
}

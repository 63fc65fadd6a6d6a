//! Where and when records come from, which no event says itself.

use jiff::Timestamp;
use supd_core::{Record, ancestry};

use crate::args::Args;

/// The host and the supervisord that events come from.
pub(crate) struct Origin {
    host: String,
    boot: String,
    /// The last second that was asked for, as it is written, up to its fraction.
    second: (i64, String),
}

impl Origin {
    pub(crate) fn new(args: &Args) -> Self {
        Self { host: args.host(), boot: ancestry::boot(), second: (i64::MIN, String::new()) }
    }

    /// The lifetime of supervisord that it is.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    pub(crate) fn sign(&mut self, record: &mut Record, received: Timestamp) {
        record.ts = Some(self.written(received));
        record.host = Some(self.host.clone());
        record.boot = Some(self.boot.clone());
    }

    /// RFC 3339 with milliseconds, of a time after 1970. Most events come within the second of the one before, and only the
    /// rest is written.
    fn written(&mut self, time: Timestamp) -> String {
        let (second, text) = &mut self.second;
        if *second != time.as_second() {
            (*second, *text) = (time.as_second(), format!("{time:.0}"));
        }
        let millis = time.subsec_millisecond();
        format!("{}.{millis:03}Z", text.trim_end_matches('Z'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_jiff_writes_them() {
        let mut origin = Origin { host: "h".into(), boot: "b".into(), second: (i64::MIN, String::new()) };
        for nanos in [0, 1, 999_999, 1_000_000, 999_999_999, 1_000_000_000, 1_790_000_000_123_456_789] {
            let time = Timestamp::from_nanosecond(nanos).unwrap();
            assert_eq!(origin.written(time), format!("{time:.3}"));
        }
    }
}

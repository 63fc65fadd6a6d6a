//! How a process ended, in words.

use crate::record::Record;

/// How the process ended, where an earlier stage has found out (`exitstatus`, as supervisor's getProcessInfo has it):
/// `1`, `137 (128 + 9: SIGKILL)`, `killed by SIGKILL (9)`.
pub fn of(record: &Record) -> Option<String> {
    let status = record.extra.get("exitstatus")?.as_i64()?;
    Some(match status {
        // From decode_wait_status in supervisor's options.py, for any signal.
        -1 => "killed by a signal".to_owned(),
        // What a shell makes of the death of what it ran.
        129..=255 => match signal_name(status - 128) {
            Some(name) => format!("{status} (128 + {}: {name})", status - 128),
            None => status.to_string(),
        },
        0.. => status.to_string(),
        _ => match signal_name(status.saturating_neg()) {
            Some(name) => format!("killed by {name} ({})", status.unsigned_abs()),
            None => format!("killed by signal {}", status.unsigned_abs()),
        },
    })
}

/// Linux's names, from 1 on.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

fn signal_name(number: i64) -> Option<String> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    SIGNALS.get(index).map(|name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_names_its_signal() {
        let status = |n: &str| {
            of(&Record::from_line(format!(r#"{{"eventname":"E","exitstatus":{n}}}"#).as_bytes()).unwrap())
        };
        let said = ["1", "-9", "-1", "137", "255", "-99"].map(|n| status(n).unwrap());
        assert_eq!(
            said,
            [
                "1",
                "killed by SIGKILL (9)",
                "killed by a signal",
                "137 (128 + 9: SIGKILL)",
                "255",
                "killed by signal 99"
            ]
        );
        assert_eq!((status(r#""1""#), status("-9223372036854775808").is_some()), (None, true));
    }
}

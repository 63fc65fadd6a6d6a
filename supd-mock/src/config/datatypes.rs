//! The types of values: what supervisor's datatypes.py and Python's `int` accept.

use supd_core::supervisor::Autorestart;

use super::text::{is_space, strip};
use super::words::{self, WordError};

/// Python's `int`: any number of digits, `_` between them, white space around. Numbers beyond 64 bits end there.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    number(text, 10).ok_or_else(|| format!("'{text}' is not a whole number"))
}

pub(crate) fn octal(text: &str) -> Result<i64, String> {
    number(text, 8).ok_or_else(|| format!("'{text}' is not an octal number"))
}

fn number(text: &str, base: u32) -> Option<i64> {
    let text = strip(text);
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    let octal = (base == 8).then(|| digits.strip_prefix("0o").or(digits.strip_prefix("0O"))).flatten();
    // An underscore may follow the prefix, as it may follow a digit.
    let digits = octal.map_or(digits, |digits| digits.strip_prefix('_').unwrap_or(digits));
    let mut number = 0_i64;
    for part in digits.split('_') {
        if part.is_empty() {
            return None;
        }
        for c in part.chars() {
            number = number.saturating_mul(base.into()).saturating_add(c.to_digit(base)?.into());
        }
    }
    Some(sign * number)
}

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

pub(crate) fn autorestart(text: &str) -> Result<Autorestart, String> {
    match boolean(text) {
        Ok(true) => Ok(Autorestart::Always),
        Ok(false) => Ok(Autorestart::Never),
        Err(_) if text.to_lowercase() == "unexpected" => Ok(Autorestart::Unexpected),
        Err(_) => Err(format!("'{text}' is not true, false or unexpected")),
    }
}

/// A size in bytes, with KB, MB or GB.
pub(crate) fn byte_size(text: &str) -> Result<i64, String> {
    let lower = text.to_lowercase();
    let units = [("kb", 10), ("mb", 20), ("gb", 30)];
    let unit = units.into_iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, shift)));
    let (digits, shift) = unit.unwrap_or((&lower, 0));
    let number =
        number(digits, 10).ok_or_else(|| format!("'{text}' is not a size such as 0, 512KB or 50MB"))?;
    Ok(number.saturating_mul(1 << shift))
}

/// `a, b`: what stands between the commas, and nothing when there is nothing at all.
pub(crate) fn list(text: &str) -> Vec<String> {
    placed_list(text).into_iter().map(|(_, item)| item.to_owned()).collect()
}

/// As [`list`], each with what stands before it.
pub(crate) fn placed_list(text: &str) -> Vec<(&str, &str)> {
    let mut items = Vec::new();
    let mut begin = 0;
    for item in text.split(',').filter(|_| !text.is_empty()) {
        let blanks = item.len() - item.trim_start_matches(is_space).len();
        items.push((&text[..begin + blanks], strip(item)));
        begin += item.len() + 1;
    }
    items
}

pub(crate) fn exitcodes(text: &str) -> Result<Vec<i32>, String> {
    let code = |item: String| integer(&item).ok().and_then(|code| u8::try_from(code).ok()).map(i32::from);
    let codes: Option<_> = list(text).into_iter().map(code).collect();
    codes.ok_or_else(|| format!("'{text}' is not a list of exit statuses from 0 to 255"))
}

/// The names that Python's signal module knows on Linux, without SIG.
const SIGNALS: [(&str, i32); 41] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
    // No signals, but the module's constants begin alike, and supervisord takes them.
    ("_DFL", 0),
    ("_IGN", 1),
    ("_BLOCK", 0),
    ("_UNBLOCK", 1),
    ("_SETMASK", 2),
];

/// A signal by its number or its name, with or without SIG.
pub(crate) fn signal(text: &str) -> Result<i32, String> {
    let known = |number: i32| SIGNALS.iter().any(|(_, signal)| *signal == number);
    let found = match number(text, 10) {
        Some(number) => i32::try_from(number).ok().filter(|number| known(*number)),
        None => {
            let name = strip(text).to_uppercase();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            SIGNALS.iter().find(|(signal, _)| *signal == name).map(|(_, number)| *number)
        }
    };
    found.ok_or_else(|| format!("'{text}' is no signal"))
}

/// A process's or group's name, which ends up in header lines and addresses.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let name = strip(text);
    match name.chars().find(|c| " :/".contains(*c)) {
        Some(c) => {
            Err(format!("the name '{name}' holds '{c}', which would break the protocol's header line"))
        }
        None => Ok(name.to_owned()),
    }
}

/// `KEY="value",KEY2=value2`, in the order of the keys' first appearance.
///
/// What stands where the comma belongs is not looked at, as in supervisor.
///
/// # Errors
/// The first pair that is none.
pub(crate) fn environment(text: &str) -> Result<Vec<(String, String)>, WordError> {
    let tokens = words::tokens(text)?;
    let mut environment = Vec::new();
    for pair in tokens.chunks(4) {
        let pair = &pair[..pair.len().min(3)];
        match pair {
            [(_, key), (_, equals), (_, value)] if equals == "=" => {
                merge(&mut environment, key, value.trim_matches(['"', '\'']));
            }
            _ => {
                let text: String = pair.iter().map(|(_, token)| token.as_str()).collect();
                let problem = format!("'{text}' is not KEY=\"value\"");
                return Err(WordError { offset: pair[0].0, problem });
            }
        }
    }
    Ok(environment)
}

/// Sets a variable, in the place where it was set before.
pub(crate) fn merge(environment: &mut Vec<(String, String)>, key: &str, value: &str) {
    match environment.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => value.clone_into(old),
        None => environment.push((key.to_owned(), value.to_owned())),
    }
}

/// `host:port`, `*:port` or `port`.
pub(crate) fn inet_address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let number = integer(port).ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let number = number.ok_or_else(|| format!("'{text}' has no port from 1 to 65535"))?;
    Ok((if host == "*" { String::new() } else { host.to_lowercase() }, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pythons() {
        for (text, number) in
            [("10", 10), (" 1_000\n", 1_000), ("-5", -5), ("+0", 0), ("1".repeat(40).as_str(), i64::MAX)]
        {
            assert_eq!(integer(text), Ok(number));
        }
        for text in ["", "_1", "1__0", "1_", "1.5", "0x10", "ten", "- 1", "--1"] {
            integer(text).expect_err(text);
        }
        assert_eq!((octal("022"), octal("0o_17")), (Ok(18), Ok(15)));
        octal("8").unwrap_err();
        assert_eq!((byte_size("50MB"), byte_size("1_0 kb")), (Ok(50 << 20), Ok(10 << 10)));
        byte_size("5 M").unwrap_err();
    }

    #[test]
    fn words_for_values_are_supervisors() {
        assert_eq!((boolean("ON"), boolean("0")), (Ok(true), Ok(false)));
        boolean("y").unwrap_err();
        assert_eq!(autorestart("Unexpected"), Ok(Autorestart::Unexpected));
        assert_eq!((signal("sigterm"), signal("Usr1"), signal(" 9 ")), (Ok(15), Ok(10), Ok(9)));
        assert!(signal("33").is_err() && signal("TERMINATE").is_err());
        assert_eq!((exitcodes("0, 2"), exitcodes("")), (Ok(vec![0, 2]), Ok(vec![])));
        assert!(exitcodes("0,").is_err() && exitcodes("256").is_err());
    }

    #[test]
    fn items_of_a_list_are_placed() {
        assert_eq!(placed_list("a,\n b,"), [("", "a"), ("a,\n ", "b"), ("a,\n b,", "")]);
        assert_eq!(placed_list(""), []);
    }

    #[test]
    fn an_environment_is_pairs() {
        let pairs = environment(r#"A="1,2",B='x',A=3"#).unwrap();
        assert_eq!(pairs, [("A".into(), "3".into()), ("B".into(), "x".into())]);
        assert_eq!(environment("").unwrap(), []);
        for wrong in ["A", "A=", "A=1,B", "A 1 2", "A='x"] {
            environment(wrong).expect_err(wrong);
        }
    }
}

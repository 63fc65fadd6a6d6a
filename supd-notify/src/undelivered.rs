//! What makes a dead letter of a record's line: one more member at its end,
//! `"undelivered":{"target":"slack","reason":"…","time":"…"}`. All other bytes stay as they came.

use std::ops::Range;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Deserializer, Value};
use supd_core::Record;
use supd_core::describe::printable;
use supd_core::words::shortened;

use crate::parcel::Letter;

pub(crate) const KEY: &str = "undelivered";

/// The longest reason, in characters; a program's or a server's words may be many.
const MAX_REASON: usize = 500;

/// Where to, why not, and when.
#[derive(Debug, Serialize)]
pub(crate) struct Undelivered<'a> {
    target: &'a str,
    reason: String,
    time: String,
}

impl<'a> Undelivered<'a> {
    pub(crate) fn new(target: &'a str, reason: &str, time: Timestamp) -> Self {
        let reason = shortened(printable(reason).into_owned(), MAX_REASON);
        Self { target, reason, time: format!("{time:.3}") }
    }

    /// The letter's line with this at its end, instead of what an earlier attempt left there.
    pub(crate) fn added_to(&self, letter: &Letter) -> Vec<u8> {
        let was_dead = letter.record.extra.contains_key(KEY);
        let mut line = if was_dead { without(&letter.line) } else { letter.line.clone() };
        let end = line.iter().rposition(|&byte| byte == b'}').expect("a record is an object");
        let member = serde_json::to_string(self).expect("these are strings");
        line.splice(end..end, format!(",\"{KEY}\":{member}").into_bytes());
        line
    }
}

/// Which target did not get this record.
pub(crate) fn target(record: &Record) -> Option<&str> {
    record.extra.get(KEY)?.get("target").and_then(Value::as_str)
}

/// The line of a record, as it was before it became a dead letter.
pub(crate) fn without(line: &[u8]) -> Vec<u8> {
    let members = members(line);
    let is_ours = |member: &Range<usize>| {
        let mut strings = Deserializer::from_slice(&line[member.clone()]).into_iter::<String>();
        strings.next().is_some_and(|key| key.is_ok_and(|key| key == KEY))
    };
    let kept: Vec<usize> = (0..members.len()).filter(|&number| !is_ours(&members[number])).collect();
    let (Some(first), Some(last)) = (members.first(), members.last()) else { return line.to_vec() };
    let mut record = line[..first.start].to_vec();
    for (position, &number) in kept.iter().enumerate() {
        if position > 0 {
            record.extend_from_slice(&line[members[number - 1].end..members[number].start]);
        }
        record.extend_from_slice(&line[members[number].clone()]);
    }
    // The blanks before a comma that goes.
    if let Some(&number) = kept.last()
        && let Some(next) = members.get(number + 1)
    {
        let between = &line[members[number].end..next.start];
        record.extend(between.iter().take_while(|&&byte| byte != b','));
    }
    record.extend_from_slice(&line[last.end..]);
    record
}

/// Where the members of an object stand in its text, each from its key to the end of its value. The text is known to be
/// JSON.
fn members(text: &[u8]) -> Vec<Range<usize>> {
    let mut members = Vec::new();
    let mut member: Option<Range<usize>> = None;
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            }
            b',' | b'}' if depth == 1 => {
                members.extend(member.take());
                if byte == b'}' {
                    break;
                }
                continue;
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        member.get_or_insert(at..at).end = at + 1;
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(line: &str) -> String {
        let time = "2026-01-05T08:00:00.25Z".parse().unwrap();
        let undelivered = Undelivered::new("slack", "no \"service\"", time);
        let letter = Letter::new(Record::from_line(line.as_bytes()).unwrap(), line.into());
        String::from_utf8(undelivered.added_to(&letter)).unwrap()
    }

    fn alive(line: &str) -> String {
        String::from_utf8(without(line.as_bytes())).unwrap()
    }

    const MEMBER: &str =
        r#","undelivered":{"target":"slack","reason":"no \"service\"","time":"2026-01-05T08:00:00.250Z"}"#;

    /// Records whose text has everything that could be taken for an end, a comma or the key itself.
    fn lines() -> Vec<String> {
        let values = [
            "1",
            "-1.5e+3",
            "null",
            r#""x""#,
            r#""""#,
            r#""},{\"undelivered\":1}""#,
            r#""\\""#,
            r#""\\\"""#,
            r#"{"undelivered":{"a":[1,{"b":"}"}]}}"#,
            "[ ]",
            r#"[{"x":"]"},[","]]"#,
            r#"{ }"#,
            r#""é漢😀\u2028""#,
        ];
        let blanks = ["", " ", "\t ", "  \r"];
        let mut lines = Vec::new();
        for first in values {
            for second in values {
                for blank in blanks {
                    lines.push(format!(
                        "{blank}{{{blank}\"eventname\"{blank}:{blank}\"E\"{blank},{blank}\"z\":{first}{blank},{blank}\"a\":{blank}{second}{blank}}}{blank}"
                    ));
                }
            }
        }
        lines
    }

    #[test]
    fn the_member_comes_last_and_nothing_else_changes() {
        for line in lines() {
            let dead = dead(&line);
            let end = line.rfind('}').unwrap();
            assert_eq!(dead, format!("{}{MEMBER}{}", &line[..end], &line[end..]));
            let [read, mut of_dead] = [&line, &dead].map(|line| Record::from_line(line.as_bytes()).unwrap());
            assert_eq!(target(&of_dead), Some("slack"));
            of_dead.extra.shift_remove(KEY);
            assert_eq!(of_dead, read);
        }
    }

    #[test]
    fn a_dead_letter_comes_back_to_life_as_it_was() {
        for line in lines() {
            assert_eq!(alive(&line), line);
            assert_eq!(alive(&dead(&line)), line);
        }
    }

    #[test]
    fn what_an_earlier_attempt_left_is_replaced_wherever_it_stands() {
        for (line, without) in [
            (r#"{"undelivered":1,"eventname":"E"}"#, r#"{"eventname":"E"}"#),
            (r#"{ "eventname":"E" , "undelivered" : { } }"#, r#"{ "eventname":"E"  }"#),
            (r#"{"a":1, "undelivered":[1,2], "eventname":"E"}"#, r#"{"a":1, "eventname":"E"}"#),
            (r#"{"\u0075ndelivered":1,"eventname":"E","undelivered":"x"}"#, r#"{"eventname":"E"}"#),
            (r#"{"undelivered":1,"undelivered":2,"b":1,"eventname":"E"} "#, r#"{"b":1,"eventname":"E"} "#),
        ] {
            assert_eq!(alive(line), without);
            assert_eq!(dead(line), dead(without));
            assert_eq!(dead(&dead(line)), dead(line));
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let reason = |text: &str| Undelivered::new("x", text, Timestamp::UNIX_EPOCH).reason;
        assert_eq!(reason("a\nb\u{1b}[2J"), "a\\nb\\u001b[2J");
        assert_eq!(reason(&"é".repeat(500)), "é".repeat(500));
        assert_eq!(reason(&"é".repeat(501)), "é".repeat(500) + "…");
    }
}

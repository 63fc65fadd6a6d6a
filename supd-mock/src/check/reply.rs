//! How a listener answers one event.
//!
//! The event is one that even a reader of lines gets right, so that here the answer alone is at fault.

use super::case::{Case, Level, Section, Verdict, failure};
use super::consequence;
use super::session::Session;
use super::start::MOMENT;
use super::transcript::shown;

pub(crate) const SECTION: Section = Section {
    name: "reply",
    title: "Answers",
    cases: &[
        Case {
            id: "reply/answers",
            level: Level::Must,
            requires: "an event is answered",
            why: "supervisord waits for the answer for ever before it sends the next event.",
            needs: &["start/once"],
            only: None,
            run: |session| {
                send(session)?;
                match session.gather(|received| !received.is_empty())?.is_empty() {
                    true => session.fail(None, "an answer"),
                    false => Ok(()),
                }
            },
        },
        Case {
            id: "reply/result",
            level: Level::Must,
            requires: r"the answer begins with RESULT <n>\n and nothing before",
            why: "Whatever is printed to standard output goes to supervisord; what is meant for people belongs on \
                  standard error.",
            needs: &["reply/answers"],
            only: None,
            run: begins_with_result,
        },
        Case {
            id: "reply/length",
            level: Level::Must,
            requires: "the number in RESULT <n> is the length of the body that follows",
            why: "supervisord waits for as many bytes as the number says, and takes all that come after for READY.",
            needs: &["reply/result"],
            only: None,
            run: has_its_length,
        },
        Case {
            id: "reply/ok",
            level: Level::Must,
            requires: "the body is OK: an ordinary event is not rejected",
            why: "A rejected event comes again at once, for ever, and goes into the pools of listeners that never \
                  subscribed to it.",
            needs: &["reply/length"],
            only: None,
            run: |session| {
                send(session)?;
                session.accepted()
            },
        },
        Case {
            id: "reply/exact",
            level: Level::Must,
            requires: "nothing stands between OK and READY, no newline either",
            why: "The body of a result has no terminator. print() adds one.",
            needs: &["reply/ok"],
            only: None,
            run: nothing_but_ready_follows,
        },
        Case {
            id: "reply/ready",
            level: Level::Must,
            requires: r"READY\n follows, before the next event is sent",
            why: "supervisord sends the next event only when it is asked for.",
            needs: &["reply/exact"],
            only: None,
            run: |session| {
                send(session)?;
                session.accepted()?;
                session.ready()
            },
        },
        Case {
            id: "reply/once",
            level: Level::Must,
            requires: "READY follows once, and nothing after it",
            why: "Any byte while it is supervisord's turn to speak is out of place, a second READY too.",
            needs: &["reply/ready"],
            only: None,
            run: |session| {
                send(session)?;
                session.accepted()?;
                session.ready()?;
                session.quiet(MOMENT)
            },
        },
    ],
};

fn send(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let event = session.group_added();
    session.send(&event)
}

fn begins_with_result(session: &mut Session<'_>) -> Verdict {
    send(session)?;
    let prefix = b"RESULT ";
    let decided = |received: &[u8]| {
        received.contains(&b'\n') || !prefix.starts_with(&received[..received.len().min(prefix.len())])
    };
    let answer = session.gather(decided)?;
    match Answer::parse(&answer) {
        Some(_) => Ok(()),
        None => {
            let wrote = format!("it wrote '{}'", shown(&answer, 60));
            let newline = answer.contains(&b'\n');
            Err(failure(wrote, if newline { consequence::UNKNOWN } else { consequence::BUSY }))
        }
    }
}

fn has_its_length(session: &mut Session<'_>) -> Verdict {
    send(session)?;
    let bytes = session.gather_answer()?;
    let Some(Answer { len, body }) = Answer::parse(&bytes) else {
        return session.fail(None, "an answer");
    };
    let real = i64::try_from(body.len()).unwrap_or(i64::MAX);
    // What stands after an OK of the right length is no part of the body.
    if len == real || (len == 2 && body.starts_with(b"OK")) {
        return Ok(());
    }
    let stuck = len < 0 || len > real;
    let what = format!("it announced {len} bytes and wrote '{}'", shown(body, 60));
    Err(failure(what, if stuck { consequence::BUSY } else { consequence::UNKNOWN }))
}

fn nothing_but_ready_follows(session: &mut Session<'_>) -> Verdict {
    send(session)?;
    session.accepted()?;
    let after = |received: &[u8]| Answer::parse(received).map_or(0, |answer| answer.body.len());
    // READY is taken off a body, so it is looked for in all that came.
    let bytes = session.gather(|received| after(received) > 2 || received.ends_with(b"READY\n"))?;
    match Answer::parse(&bytes).map(|answer| answer.body) {
        Some(body) if !b"OKREADY\n".starts_with(body) => {
            let wrote = format!("it wrote '{}' after OK", shown(&body[2..], 60));
            Err(failure(wrote, consequence::UNKNOWN))
        }
        _ => Ok(()),
    }
}

/// An answer as its author meant it: the body is what stands before READY, whatever its length says.
struct Answer<'a> {
    len: i64,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let newline = bytes.iter().position(|&byte| byte == b'\n')?;
        let (line, body) = (&bytes[..newline], &bytes[newline + 1..]);
        let digits = line.strip_prefix(b"RESULT ")?;
        let len = std::str::from_utf8(digits).ok()?.trim().parse().ok()?;
        Some(Self { len, body: body.strip_suffix(b"READY\n").unwrap_or(body) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_meant() {
        let parse = |bytes: &'static str| Answer::parse(bytes.as_bytes()).map(|a| (a.len, a.body));
        assert_eq!(parse("RESULT 2\nOKREADY\n"), Some((2, &b"OK"[..])));
        assert_eq!(parse("RESULT -1\nOK"), Some((-1, &b"OK"[..])));
        assert_eq!(parse("RESULT 3\nOK\nREADY\n"), Some((3, &b"OK\n"[..])));
        assert_eq!(parse("RESULT two\nOK"), None);
        assert_eq!(parse("handling\nRESULT 2\nOK"), None);
    }
}

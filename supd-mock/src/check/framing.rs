//! Where one event ends and the next begins, however the pipe cuts them.

use std::time::Duration;

use super::case::{Case, Level, Section, Verdict};
use super::session::{Pause, Session};

/// So long the other half of an event is kept back.
const GAP: Duration = Duration::from_millis(100);

/// What every later case takes for granted.
pub(crate) const BASIC: &[&str] = &["framing/two"];

pub(crate) const SECTION: Section = Section {
    name: "framing",
    title: "Where an event ends",
    cases: &[
        Case {
            id: "framing/no-newline",
            level: Level::Must,
            requires: "a payload without a newline at its end is read",
            why: "Only len says where a payload ends. Reading it as a line waits for what never comes.",
            needs: &["idle/quiet"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                session.handle(&event)
            },
        },
        Case {
            id: "framing/two",
            level: Level::Must,
            requires: "a second event is answered like the first",
            why: "A listener is a loop; each start of it costs a second in which nothing is delivered.",
            needs: &["framing/no-newline"],
            only: None,
            run: |session| {
                session.ready()?;
                repeat(session, 2)
            },
        },
        Case {
            id: "framing/many",
            level: Level::Must,
            requires: "200 events one after the other are answered",
            why: "What goes wrong by the event (locks, counters, limits) shows after some.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                repeat(session, 200)
            },
        },
        Case {
            id: "framing/early",
            level: Level::Must,
            requires: "nothing is answered before the payload has been read",
            why: "An answer while the payload is still on its way is out of turn.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                let (header, payload) = event.split_at(header_len(&event));
                in_parts(session, &[header, payload], Pause::Longer(GAP))
            },
        },
        Case {
            id: "framing/parts",
            level: Level::Must,
            requires: "a payload that comes in two parts is put together",
            why: "One read(2) returns what is in the pipe, which may be less than was asked for.",
            needs: &["framing/early"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                let (first, second) = event.split_at(header_len(&event) + 6);
                in_parts(session, &[first, second], Pause::Longer(GAP))
            },
        },
        Case {
            id: "framing/bytewise",
            level: Level::Must,
            requires: "an event that comes one byte at a time is read",
            why: "A pipe promises nothing about where it cuts.",
            needs: &["framing/parts"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                let bytes: Vec<&[u8]> = event.chunks(1).collect();
                in_parts(session, &bytes, Pause::UntilRead)
            },
        },
        Case {
            id: "framing/cuts",
            level: Level::Must,
            requires: "an event may be cut into two anywhere",
            why: "A cut within a token, before a newline or after it is as likely as any other.",
            needs: &["framing/parts", "framing/many"],
            only: None,
            run: |session| {
                session.ready()?;
                let len = session.tick().len();
                for at in 1..len {
                    let event = session.tick();
                    let (first, second) = event.split_at(at);
                    session.send_in_parts(&[first, second], Pause::UntilRead)?;
                    session.accepted()?;
                    session.ready()?;
                }
                Ok(())
            },
        },
        Case {
            id: "framing/newlines",
            level: Level::Must,
            requires: "newlines within a payload and at its end belong to it",
            why: "Log text holds several lines, empty ones too, and often ends with one.",
            needs: BASIC,
            only: None,
            run: |session| log(session, "\n\none\n\ntwo\n\n\n"),
        },
        Case {
            id: "framing/lookalike",
            level: Level::Must,
            requires: "a payload that looks like the protocol is only a payload",
            why: "Programs print anything, and a listener's own log is a program's output too.",
            needs: BASIC,
            only: None,
            run: |session| {
                log(
                    session,
                    "READY\nRESULT 2\nOK\nver:3.0 server:x serial:1 pool:x poolserial:1 eventname:TICK_5 len:9\nx",
                )
            },
        },
    ],
};

/// How long the header line is, its newline included.
pub(crate) fn header_len(event: &[u8]) -> usize {
    event.iter().position(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

/// Sends a log event with this text, and another event to see that the listener is still in step.
pub(crate) fn log(session: &mut Session<'_>, text: &str) -> Verdict {
    session.ready()?;
    let event = session.log(text);
    session.handle_and_stay_in_step(&event)
}

pub(crate) fn in_parts(session: &mut Session<'_>, parts: &[&[u8]], pause: Pause) -> Verdict {
    session.send_in_parts(parts, pause)?;
    session.accepted()?;
    session.ready()?;
    let next = session.tick();
    session.handle(&next)
}

/// So many events, one after the other, with a listener that is READY.
pub(crate) fn repeat(session: &mut Session<'_>, times: u32) -> Verdict {
    for _ in 0..times {
        let event = session.tick();
        session.handle(&event)?;
    }
    Ok(())
}

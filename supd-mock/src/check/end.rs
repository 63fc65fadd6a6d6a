//! How a listener ends: at the end of its input, at SIGTERM, and when supervisord is gone.

use std::time::Duration;

use super::case::{Case, Level, Section, Verdict, failure};
use super::expect::PATIENCE_CAN_BE_HAD;
use super::framing::BASIC;
use super::session::{Pause, Session};
use super::{consequence, idle};

/// So long the other half of an event is kept back.
const GAP: Duration = Duration::from_millis(50);

const ENDS: &[&str] = &["end/eof"];

pub(crate) const SECTION: Section = Section {
    name: "end",
    title: "How it ends",
    cases: &[
        Case {
            id: "end/spin",
            level: Level::Should,
            requires: "it does not spin at the end of its input",
            why: "read(2) returns at once then, and empty, for ever.",
            needs: &["idle/cpu", "framing/two"],
            only: None,
            run: |session| {
                work(session)?;
                session.close_stdin();
                idle::comes_to_rest(session)
            },
        },
        Case {
            id: "end/eof",
            level: Level::Should,
            requires: "it ends at the end of its input",
            why: "Its input ends only when supervisord has died, or has reaped the shell in between.",
            needs: &["end/spin"],
            only: None,
            run: ends_at_end_of_input,
        },
        Case {
            id: "end/status",
            level: Level::Should,
            requires: "it ends with status 0 then",
            why: "In a shell's pipeline only the shell gets SIGTERM: the end of its input is how a stage learns of an \
                  ordinary stop, which is no error.",
            needs: ENDS,
            only: None,
            run: |session| {
                work(session)?;
                session.close_stdin();
                match session.end()? {
                    Some(end) if end.status() == Some(0) => Ok(()),
                    Some(end) => Err(failure(format!("it {end}"), consequence::NO_CRASH)),
                    None => Err(still_runs(session)),
                }
            },
        },
        Case {
            id: "end/children",
            level: Level::Should,
            requires: "it leaves no process behind then",
            why: "What a listener starts is its own to end: supervisord does not know of it.",
            needs: ENDS,
            only: None,
            run: |session| {
                ends_at_end_of_input(session)?;
                leaves_nothing(session)
            },
        },
        Case {
            id: "end/cut",
            level: Level::Should,
            requires: "it ends when its input ends in the middle of an event",
            why: "Waiting for the rest of a payload must end with the input.",
            needs: &["end/eof", "framing/parts"],
            only: None,
            run: |session| {
                half_an_event(session)?;
                session.close_stdin();
                ends(session, consequence::ORPHAN)
            },
        },
        Case {
            id: "end/gone",
            level: Level::Should,
            requires: "it ends when supervisord dies while it handles an event",
            why: "SIGPIPE is inherited as ignored: writing to nobody is an error (EPIPE), and not the end by itself.",
            needs: &["end/children"],
            only: None,
            run: |session| {
                work(session)?;
                let event = session.tick();
                session.freeze();
                session.send(&event)?;
                session.hang_up();
                session.thaw();
                ends(session, consequence::ORPHAN)?;
                leaves_nothing(session)
            },
        },
        Case {
            id: "end/sigterm",
            level: Level::Should,
            requires: "it ends at SIGTERM while idle",
            why: "supervisord stops it so, and closes its input only after it has ended.",
            needs: BASIC,
            only: None,
            run: |session| {
                work(session)?;
                session.terminate();
                ends(session, consequence::KILLED)
            },
        },
        Case {
            id: "end/sigterm-busy",
            level: Level::Should,
            requires: "it ends at SIGTERM in the middle of an event, or after it",
            why: "supervisord goes on writing the rest of the event until the listener has ended; a signal that comes \
                  while there is work must not be forgotten.",
            needs: &["end/sigterm", "framing/parts"],
            only: None,
            run: |session| {
                let rest = half_an_event(session)?;
                session.terminate();
                // What the signal interrupts is not the read of the rest, which comes later.
                session.pass(GAP)?;
                session.put(&rest)?;
                ends(session, consequence::KILLED)
            },
        },
        Case {
            id: "end/sigterm-children",
            level: Level::Should,
            requires: "it leaves no process behind at SIGTERM",
            why: "Only the process that supervisord started gets the signal; the rest see their pipes close.",
            needs: &["end/sigterm", "end/children"],
            only: None,
            run: |session| {
                work(session)?;
                session.terminate();
                ends(session, consequence::KILLED)?;
                leaves_nothing(session)
            },
        },
    ],
};

/// One event, so that the listener is past its start.
fn work(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let event = session.tick();
    session.handle(&event)
}

/// Half of an event, read by the listener; the other half.
fn half_an_event(session: &mut Session<'_>) -> anyhow::Result<Vec<u8>> {
    session.ready()?;
    let event = session.tick();
    let (half, rest) = event.split_at(event.len() - 5);
    session.send_in_parts(&[half, b""], Pause::Longer(GAP))?;
    Ok(rest.to_vec())
}

fn ends_at_end_of_input(session: &mut Session<'_>) -> Verdict {
    work(session)?;
    session.close_stdin();
    ends(session, consequence::ORPHAN)
}

fn ends(session: &mut Session<'_>, consequence: &str) -> Verdict {
    match session.end()? {
        Some(_) => Ok(()),
        None => Err(failure(still_runs(session).to_string(), consequence)),
    }
}

fn still_runs(session: &Session<'_>) -> anyhow::Error {
    let what = format!("it still ran after {:?}{PATIENCE_CAN_BE_HAD}", session.patience());
    failure(what, consequence::ORPHAN)
}

/// supervisord closes its ends of the pipes once it has reaped the process it started; then all must go.
fn leaves_nothing(session: &mut Session<'_>) -> Verdict {
    session.hang_up();
    if session.leaves_nothing()? {
        return Ok(());
    }
    let patience = session.patience();
    let what = format!("something it started still ran after {patience:?}{PATIENCE_CAN_BE_HAD}");
    Err(failure(what, consequence::ORPHAN))
}

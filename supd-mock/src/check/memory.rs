//! What a listener keeps.

use super::case::{Case, Failure, Level, Section, Verdict};
use super::framing::BASIC;
use super::session::Session;
use super::usage;

const EVENTS: u32 = 2000;
/// By then everything that a runtime sets up once is there.
const SETTLED: u32 = 500;
const SIZE: usize = 16 * 1024;
/// Half of what the events weigh that come after `SETTLED`.
const LIMIT: u64 = 12 << 20;

pub(crate) const SECTION: Section = Section {
    name: "memory",
    title: "Memory",
    cases: &[Case {
        id: "memory/steady",
        level: Level::Should,
        requires: "its memory does not grow with the events it has handled",
        why: "A listener runs for months.",
        needs: BASIC,
        only: None,
        run: stays_steady,
    }],
};

fn stays_steady(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let mut settled = 0;
    for number in 0..EVENTS {
        if number == SETTLED {
            settled = usage::resident(&usage::descendants());
        }
        let event = session.log_of_size(SIZE);
        session.handle(&event)?;
    }
    let grown = usage::resident(&usage::descendants()).saturating_sub(settled);
    if grown < LIMIT {
        return Ok(());
    }
    let what = format!(
        "its memory grew by {} MiB within {} events of {} KiB",
        grown >> 20,
        EVENTS - SETTLED,
        SIZE >> 10
    );
    Err(Failure::new(what, "sooner or later the machine has no memory left"))
}

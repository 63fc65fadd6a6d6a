//! What a listener keeps.

use std::time::{Duration, Instant};

use super::case::{Case, Level, Section, Verdict, failure};
use super::session::Session;
use super::usage;

const EVENTS: u64 = 2000;
/// By then everything that a runtime sets up once is there.
const SETTLED: u64 = 500;
const SIZE: usize = 16 * 1024;
/// A runtime may need as much for reasons of its own; beyond that, half of what the events weigh is too much.
const SLACK: u64 = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(6);

pub(crate) const SECTION: Section = Section {
    name: "memory",
    title: "Memory",
    cases: &[Case {
        id: "memory/steady",
        level: Level::Should,
        requires: "its memory does not grow with the events it has handled",
        why: "A listener runs for months.",
        needs: &["framing/many"],
        only: None,
        run: stays_steady,
    }],
};

fn stays_steady(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let payload = format!("processname:web groupname:web pid:4711 channel:stdout\n{}", "x".repeat(SIZE));
    let began = Instant::now();
    let (mut settled_at, mut settled) = (0, 0);
    for number in 1..=EVENTS {
        let event = session.event("PROCESS_LOG_STDOUT", &payload);
        session.handle(&event)?;
        // A slow listener is judged by fewer events.
        if settled_at == 0 && (number == SETTLED || began.elapsed() > PATIENCE / 2) {
            (settled_at, settled) = (number, resident());
        }
        if began.elapsed() > PATIENCE {
            return judge(number - settled_at, resident().saturating_sub(settled));
        }
    }
    judge(EVENTS - settled_at, resident().saturating_sub(settled))
}

fn resident() -> u64 {
    usage::resident(&usage::descendants())
}

fn judge(events: u64, grown: u64) -> Verdict {
    if grown <= SLACK.max(events * SIZE as u64 / 2) {
        return Ok(());
    }
    let what = format!("its memory grew by {} MiB with {events} events of {} KiB", grown >> 20, SIZE >> 10);
    Err(failure(what, "sooner or later the machine has no memory left"))
}

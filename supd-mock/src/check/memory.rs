//! What a listener keeps.

use std::time::{Duration, Instant};

use super::case::{Case, Level, Section, Verdict, failure};
use super::framing;
use super::session::Session;
use crate::proc;

/// Much in few events, and still within what a pipe holds.
const SIZE: usize = 60 * 1024;
/// After so many events, or so long with a slow listener, its memory is looked at.
const EVENTS: u64 = 100;
const INTERVAL: Duration = Duration::from_millis(250);
/// A runtime that collects garbage lets memory grow to some size of its own first: Java, with 24 GiB in the machine, to
/// 270 MiB, for which it took 100 MiB of events. It has until the last look to get there.
const ENOUGH: usize = 6;
const LOOKS: usize = 40;
/// As much may come and go for a runtime's own reasons.
const SLACK: u64 = 4 << 20;

/// What is there once comes with the first events.
const SETTLED: u32 = 20;
const LATER: u32 = 180;
/// A pool of threads may still be filling up then, but not with one for every fourth event.
const MANY: usize = LATER as usize / 4;

pub(crate) const SECTION: Section = Section {
    name: "memory",
    title: "What it keeps",
    cases: &[
        Case {
            id: "memory/handles",
            level: Level::Should,
            requires: "descriptors, threads, processes do not grow with 200 events",
            why: "What each event opens or starts must be closed or ended; the limit is often 1024 descriptors.",
            needs: &["framing/many"],
            only: None,
            run: keeps_no_handles,
        },
        Case {
            id: "memory/steady",
            level: Level::Should,
            requires: "its memory stops growing with the events it has handled",
            why: "A listener runs for months.",
            needs: &["framing/many"],
            only: None,
            run: stays_steady,
        },
    ],
};

fn keeps_no_handles(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    framing::repeat(session, SETTLED)?;
    let before = handles();
    framing::repeat(session, LATER)?;
    for ((what, before), (_, after)) in before.into_iter().zip(handles()) {
        if after >= before + MANY {
            let grown = format!("after {SETTLED} events it had {before} {what}, after {LATER} more {after}");
            return Err(failure(grown, "sooner or later there are no more to be had, and each event fails"));
        }
    }
    Ok(())
}

fn handles() -> [(&'static str, usize); 3] {
    let pids = proc::descendants();
    [
        ("descriptors open", proc::descriptors(&pids)),
        ("threads", proc::threads(&pids)),
        ("processes", pids.len()),
    ]
}

fn stays_steady(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let payload = format!("processname:web groupname:web pid:4711 channel:stdout\n{}", "x".repeat(SIZE));
    let mut samples = vec![Sample::take(0)];
    loop {
        let began = Instant::now();
        let mut events = 0;
        while events < EVENTS && began.elapsed() < INTERVAL {
            let event = session.event("PROCESS_LOG_STDOUT", &payload);
            session.handle(&event)?;
            events += 1;
        }
        samples.push(Sample::take(events));
        if samples.len() > ENOUGH && !grows(&samples) {
            return Ok(());
        }
        if samples.len() > LOOKS {
            return Err(failure(told(&samples), "sooner or later the machine has no memory left"));
        }
    }
}

/// What a listener's memory was after so many more events.
#[derive(Debug, Clone, Copy)]
struct Sample {
    events: u64,
    resident: u64,
}

impl Sample {
    fn take(events: u64) -> Self {
        Self { events, resident: proc::resident(&proc::descendants()) }
    }
}

/// Whether in the last third memory grew by more than half of what the events of that time weigh.
fn grows(samples: &[Sample]) -> bool {
    let last = &samples[samples.len() * 2 / 3..];
    let [first, .., end] = last else { return false };
    let events: u64 = last[1..].iter().map(|sample| sample.events).sum();
    end.resident.saturating_sub(first.resident) > SLACK.max(events * SIZE as u64 / 2)
}

/// The evidence: some of what was seen, the last included.
fn told(samples: &[Sample]) -> String {
    let events: u64 = samples.iter().map(|sample| sample.events).sum();
    let some = samples.iter().rev().step_by(4).rev();
    let sizes: Vec<String> = some.map(|sample| (sample.resident >> 20).to_string()).collect();
    format!(
        "during {events} events of {} KiB its memory went on growing, in MiB: {}",
        SIZE >> 10,
        sizes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(sizes: [u64; 12]) -> Vec<Sample> {
        sizes.map(|size| Sample { events: EVENTS, resident: size << 20 }).to_vec()
    }

    #[test]
    fn memory_may_grow_as_long_as_it_ends() {
        assert!(grows(&samples([10, 18, 26, 34, 42, 50, 58, 66, 74, 82, 90, 98])));
        assert!(!grows(&samples([10, 20, 30, 40, 50, 58, 58, 58, 59, 58, 60, 60])));
        // A garbage collector's teeth.
        assert!(!grows(&samples([10, 30, 50, 10, 30, 50, 10, 30, 50, 10, 30, 12])));
    }
}

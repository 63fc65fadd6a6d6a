//! What a listener does while there is nothing to do.

use std::time::{Duration, Instant};

use super::case::{Case, Level, Section, Verdict, failure};
use super::consequence;
use super::session::Session;
use super::usage;

/// Long enough for a timer that someone tries out; the hourly one cannot be found in this way.
const QUIET: Duration = Duration::from_millis(600);
/// Processor time is counted in hundredths of a second, so shorter ones would tell little.
const WINDOW: Duration = Duration::from_millis(200);
const SAMPLES: u32 = 10;

pub(crate) const SECTION: Section = Section {
    name: "idle",
    title: "While idle",
    cases: &[
        Case {
            id: "idle/stays",
            level: Level::Must,
            requires: "the listener stays until it is told to end",
            why: "Nothing may come for days.",
            needs: &["reply/once"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.group_added();
                session.handle(&event)?;
                session.pass(QUIET)?;
                match session.ended() {
                    Some(end) => Err(failure(format!("it {end} while idle"), consequence::ENDED)),
                    None => Ok(()),
                }
            },
        },
        Case {
            id: "idle/quiet",
            level: Level::Must,
            requires: "nothing is written while there is nothing to answer",
            why: "A heartbeat, a warning or a progress line on standard output is out of turn.",
            needs: &["idle/stays"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.group_added();
                session.handle(&event)?;
                session.quiet(QUIET)
            },
        },
        Case {
            id: "idle/cpu",
            level: Level::Should,
            requires: "it takes no processor time while it waits",
            why: "Waiting is read(2) or poll(2) without a timeout, not a loop.",
            needs: &["idle/stays"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.group_added();
                session.handle(&event)?;
                comes_to_rest(session)
            },
        },
    ],
};

/// Passes when there is a moment without work, or the listener has ended. What has just been started has work to do, so
/// it is given as long as anything else.
pub(crate) fn comes_to_rest(session: &mut Session<'_>) -> Verdict {
    let (started, before) = (Instant::now(), usage::cpu_time(&usage::descendants()));
    while started.elapsed() < session.setting.timeout {
        if rests(session)? || session.ended().is_some() {
            return Ok(());
        }
    }
    let used = usage::cpu_time(&usage::descendants()).saturating_sub(before);
    let what = format!("it used {used:.1?} of processor time within {:.1?}", started.elapsed());
    Err(failure(what, consequence::SPINS))
}

fn rests(session: &mut Session<'_>) -> anyhow::Result<bool> {
    let pids = usage::descendants();
    let before = usage::cpu_time(&pids);
    let mut running = 0;
    for _ in 0..SAMPLES {
        session.pass(WINDOW / SAMPLES)?;
        // On a busy machine, who spins gets little time, but always wants it.
        running += u32::from(usage::are_running(&pids));
    }
    let spent = usage::cpu_time(&pids).saturating_sub(before);
    Ok(spent <= WINDOW / 10 && running <= 1)
}

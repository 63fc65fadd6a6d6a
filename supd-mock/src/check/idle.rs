//! What a listener does while there is nothing to do.

use std::time::Duration;

use super::case::{Case, Level, Section, Verdict, failure};
use super::consequence;
use super::session::Session;
use crate::proc;

/// Long enough for what happens every second; an hourly timer cannot be found in this way.
const QUIET: Duration = Duration::from_millis(1300);
/// Processor time is counted in hundredths of a second, so shorter ones would tell little.
const WINDOW: Duration = Duration::from_millis(200);
const SAMPLES: u32 = 10;
const ASLEEP: Duration = Duration::from_millis(600);
/// So often a process may wake up while it is asleep: a Java runtime does it some 20 times for itself.
const WAKES: u64 = 30;

pub(crate) const SECTION: Section = Section {
    name: "idle",
    title: "While idle",
    cases: &[
        Case {
            id: "idle/quiet",
            level: Level::Must,
            requires: "without an event, for 1.3 s, it stays and writes nothing",
            why: "Nothing may come for days; and a heartbeat or a progress line on standard output is out of turn. \
                  Rarer ones than one a second are not found.",
            needs: &["reply/once"],
            only: None,
            run: |session| {
                work(session)?;
                let until = session.now() + QUIET;
                session.quiet(QUIET)?;
                let left = until.saturating_sub(session.now());
                session.pass(left)?;
                match session.ended() {
                    Some(end) => Err(failure(format!("it {end} while idle"), consequence::ENDED)),
                    None => Ok(()),
                }
            },
        },
        Case {
            id: "idle/cpu",
            level: Level::Should,
            requires: "it takes no processor time while it waits",
            why: "Waiting is read(2) or poll(2) without a timeout, not a loop.",
            needs: &["idle/quiet"],
            only: None,
            run: |session| {
                work(session)?;
                comes_to_rest(session)
            },
        },
        Case {
            id: "idle/wakes",
            level: Level::Should,
            requires: "it sleeps until something comes: under 50 wake-ups a second",
            why: "Looking every few milliseconds whether something has come keeps processors from saving power; \
                  read(2) and poll(2) without a timeout wake up in time.",
            needs: &["idle/cpu"],
            only: None,
            run: |session| {
                work(session)?;
                sleeps(session)
            },
        },
    ],
};

fn work(session: &mut Session<'_>) -> Verdict {
    session.ready()?;
    let event = session.group_added();
    session.handle(&event)
}

/// Passes when there is a moment without work, or the listener has ended. What has just been started has work to do, so
/// it is given as long as anything else.
pub(crate) fn comes_to_rest(session: &mut Session<'_>) -> Verdict {
    let (started, before) = (session.now(), proc::cpu_time(&proc::descendants()));
    while session.now() - started < session.setting.timeout {
        if rests(session)? || session.ended().is_some() {
            return Ok(());
        }
    }
    let used = proc::cpu_time(&proc::descendants()).saturating_sub(before);
    let what = format!("it used {used:.1?} of processor time within {:.1?}", session.now() - started);
    Err(failure(what, consequence::SPINS))
}

fn rests(session: &mut Session<'_>) -> anyhow::Result<bool> {
    let pids = proc::descendants();
    let before = proc::cpu_time(&pids);
    let mut running = 0;
    for _ in 0..SAMPLES {
        session.pass(WINDOW / SAMPLES)?;
        // On a busy machine, who spins gets little time, but always wants it.
        running += u32::from(proc::are_running(&pids));
    }
    let spent = proc::cpu_time(&pids).saturating_sub(before);
    Ok(spent <= WINDOW / 10 && running <= 1)
}

/// Passes when each process sleeps through one window; tried again as long as it may be at work still.
fn sleeps(session: &mut Session<'_>) -> Verdict {
    let started = session.now();
    loop {
        let before: Vec<_> = proc::descendants().into_iter().map(|pid| (pid, proc::sleeps(pid))).collect();
        session.pass(ASLEEP)?;
        let times = |&(pid, before)| Some(proc::sleeps(pid)?.saturating_sub(before?));
        let most = before.iter().filter_map(times).max().unwrap_or(0);
        if most < WAKES {
            return Ok(());
        }
        if session.now() - started >= session.setting.timeout {
            let what = format!("a process of it woke up {most} times within {ASLEEP:?}");
            return Err(failure(what, consequence::POLLS));
        }
    }
}

//! One trial: a listener is started, all events are pushed through it, and it ends.

use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::bail;
use supd_core::signals::SignalPipe;

use super::answers::Breach;
use super::drive::{Course, Tally};
use super::figures::Figures;
use super::member::Fault;
use super::numbered::Numbered;
use super::pool::Pool;
use super::watchdog::Watch;
use super::{Bench, measure};

/// Runs a listener once; what was measured.
pub(crate) fn run(args: &Bench, words: &[OsString], sigchld: &SignalPipe) -> anyhow::Result<Figures> {
    let watch = Watch::default();
    let started = Instant::now();
    let mut pool = Pool::start(words, args.members, sigchld, args.timeout)?;
    match pool.wait_until_ready() {
        Ok(true) => {}
        Ok(false) => bail!("it did not write READY within {:?}", args.timeout),
        Err(fault) => bail!("{} before the first event", described(fault, &mut pool)?),
    }
    let ready = started.elapsed();
    let start_up = measure::reaped_cpu()? + measure::living_cpu();

    let course = Course::new(Numbered::new(args.payload), args.count, &watch.accepted);
    let own = measure::own_cpu()?;
    let begun = Instant::now();
    let pushed = watch.during(args.timeout, || course.push(&mut pool.members));
    let took = begun.elapsed();
    let own = measure::own_cpu()? - own;
    let tally = pushed.or_else(|fault| explain(fault, &mut pool, &watch, args))?;

    let memory = watch.look_at_memory();
    let closed = Instant::now();
    if let Some(end) = pool.finish()? {
        // Nothing is wrong with the figures, and many a listener knows no end of input: supervisord sends it SIGTERM.
        log::warn!("the listener {end} after the last event");
    }
    let drain = closed.elapsed();
    let cpu = measure::reaped_cpu()?.saturating_sub(start_up);
    let Tally { latency, rejections } = tally;
    Ok(Figures { took, latency, rejections, ready, cpu, memory, drain, own })
}

/// Why not all events were accepted, in one line.
fn explain(fault: Fault, pool: &mut Pool<'_>, watch: &Watch, args: &Bench) -> anyhow::Result<Tally> {
    let accepted = watch.accepted.load(Ordering::Relaxed);
    let what = if watch.has_timed_out() {
        format!("it answered nothing within {:?}", args.timeout)
    } else {
        described(fault, pool)?
    };
    bail!("{what} after {accepted} of {} events", args.count)
}

fn described(fault: Fault, pool: &mut Pool<'_>) -> anyhow::Result<String> {
    Ok(match fault {
        Fault::Left(pid) => match pool.end_of(pid)? {
            Some(end) => format!("it {end}"),
            None => "it closed its standard input or output".to_owned(),
        },
        Fault::Breach(Breach { output, awaited }) => {
            let shown = output[..output.len().min(200)].escape_ascii();
            format!("it wrote '{shown}' instead of {awaited}")
        }
        Fault::Rejections => "it kept rejecting".to_owned(),
        Fault::System(errno) => return Err(std::io::Error::from(errno).into()),
    })
}

//! `supd-mock generate`: plausible records from a seed, and the built-in bad day.

mod chatter;
mod day;
mod rng;
mod scenario;
mod world;

use std::io;
use std::io::Write as _;

use supd_core::{cli, stdio};

use crate::args::Generate;
pub(crate) use day::bad_day;
pub(crate) use rng::Rng;
pub(crate) use scenario::Scenario;
pub(crate) use world::World;

pub(crate) fn run(args: &Generate) -> anyhow::Result<u8> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    for record in args.scenario.records(args.seed).take(args.count) {
        line.clear();
        record.write_line(&mut line);
        stdout.write_all(&line).map_err(stdio::stdout_error)?;
    }
    stdout.flush().map_err(stdio::stdout_error)?;
    Ok(cli::DONE)
}

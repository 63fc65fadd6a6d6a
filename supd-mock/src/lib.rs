//! `supd-mock`: plays supervisord, so that a listener can be tried, tested and fed without it.

pub mod args;
mod bench;
mod check;
mod config;
mod daemon;
mod emit;
mod events;
mod fault;
mod generate;
mod lint;
mod listeners;
mod play;
mod proc;
mod process;
mod renumber;
mod replay;
mod transcript;

use std::process::ExitCode;

use supd_core::{arguments, cli, stdio};

use crate::args::{Args, Command};

const NAME: &str = "supd-mock";

/// The program: its exit status is 0 when all went well, 1 when something failed (a listener that broke the protocol,
/// an event it did not accept, a line that could not be read), 2 for wrong usage.
pub fn main() -> ExitCode {
    let args = arguments::parse::<Args>(NAME);
    args.verbosity.start(NAME);
    cli::run(NAME, || {
        stdio::refuse_supervisords_pipe()?;
        match args.command {
            Command::Replay(replay) => replay::run(&replay),
            Command::Play(play) => play::run(&play),
            Command::Check(check) => check::run(&check),
            Command::Emit(emit) => emit::run(&emit),
            Command::Generate(generate) => generate::run(&generate),
            Command::Lint(lint) => lint::run(&lint),
            Command::Bench(bench) => bench::run(&bench),
        }
    })
}

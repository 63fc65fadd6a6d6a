//! `supd-listen`: speaks supervisord's eventlistener protocol and emits one JSON record a line.

pub mod args;
mod origin;
mod outbox;
mod own;
mod pipeline;
mod print_config;
mod replies;
mod retry;
mod session;
mod sink;
mod spool_command;
mod store;
mod wake;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use supd_core::cli::{self, Usage};
use supd_core::signals::{SIGCHLD, SIGHUP, STOP_SIGNALS, SignalPipe};
use supd_core::{arguments, stdio};

use crate::args::{Args, Output};
use crate::pipeline::Pipeline;
use crate::session::{End, Session};
use crate::sink::Sink;
use crate::store::Store;
use crate::wake::Wake;

const NAME: &str = "supd-listen";

/// The program: its exit status is 0 after end of input or SIGTERM (or the pipeline's own, when it ends with another),
/// 1 when something failed, 2 for wrong usage.
pub fn main() -> ExitCode {
    cli::run(NAME, || {
        args::refuse_shell_words(std::env::args_os())?;
        let args = arguments::parse::<Args>(NAME);
        args.verbosity.start(NAME);
        if let Some(command) = &args.command {
            return command.run();
        }
        if let Some(section) = args.print_config.section(&args)? {
            stdio::refuse_supervisords_pipe()?;
            stdio::print(section.as_bytes())?;
            return Ok(cli::DONE);
        }
        listen(&args)
    })
}

fn listen(args: &Args) -> anyhow::Result<u8> {
    if io::stdin().is_terminal() {
        bail!(Usage(
            "this is an event listener, which supervisord starts and feeds: put command=supd-listen -c 'supd-parse \
             --problems | supd-notify log' into an [eventlistener:NAME] section, or try it with: supd-mock replay -- \
             supd-listen -c 'supd-parse --to text' (see --help)"
                .into()
        ));
    }
    let output = args.output();
    // An output that cannot be opened should not look like a listener that is ready.
    let file = match output {
        Output::File(path) => Some(Sink::file(path)?),
        _ => None,
    };
    let replies = replies::open(&output, args.protocol_fd)?;
    let is_file = matches!(output, Output::File(_));
    // Who rotates a file says so with SIGHUP; else it is one of the signals that stop us.
    let stop_signals = STOP_SIGNALS.into_iter().filter(|signal| !is_file || *signal != SIGHUP);
    let sigterm = SignalPipe::watch(&stop_signals.collect::<Vec<_>>()).context("catch SIGTERM")?;
    let attention =
        SignalPipe::watch(&[if is_file { SIGHUP } else { SIGCHLD }]).context("catch SIGCHLD or SIGHUP")?;
    let store = match args.spool.dir() {
        None => None,
        Some(path) => match store::wait_for_lock(path, &sigterm)? {
            Some(lock) => Some(Store::open(args, path, lock)?),
            None => return Ok(cli::DONE),
        },
    };
    let environment = store.as_ref().map(|(store, _)| store.environment()).transpose()?;
    let sink = if output == Output::Stdout { Some(Sink::stdout()?) } else { file };
    // supervisord sends nothing before this, so nothing slow may come before it.
    replies.ready()?;
    let (sink, mut pipeline) = match (sink, Pipeline::start(&output, environment)?) {
        (None, Some((pipeline, stdin))) => (Sink::pipe(stdin)?, Some(pipeline)),
        (Some(sink), _) => (sink, None),
        (None, None) => unreachable!("an output is a sink or a pipeline"),
    };

    let wake = Wake::start(args.wake(), &replies);
    let mut session = Session::new(args, replies, sink, store, sigterm, attention, wake)?;
    let result = session.run(pipeline.as_mut());
    let (sigchld, deadline) = session.close();
    let status = match pipeline {
        Some(pipeline) => pipeline.drain(&sigchld, deadline)?,
        None => cli::DONE,
    };
    match result? {
        End::Input | End::Sigterm => Ok(status),
        // Its own status says more, but never that all is well: supervisord would not start us again.
        End::PipelineEnded | End::NotAnswered => Ok(if status == cli::DONE { cli::FAILED } else { status }),
    }
}

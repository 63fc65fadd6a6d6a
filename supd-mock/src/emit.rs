//! `supd-mock emit`: records to the bytes that supervisord sends.

use std::io::{self, Write as _};
use std::path::Path;

use supd_core::reader::Form;
use supd_core::{cli, stdio};

use crate::args::Emit;
use crate::events::Events;

pub(crate) fn run(args: &Emit) -> anyhow::Result<u8> {
    let mut status = cli::DONE;
    let stdin = ["-".into()];
    let files = if args.files.is_empty() { &stdin } else { &args.files[..] };
    for path in files {
        match emit(path, args) {
            Ok(0) => {}
            Ok(_) => status = cli::FAILED,
            Err(error) if error.is::<stdio::ClosedStdout>() => return Err(error),
            Err(error) => {
                log::error!("{error:#}");
                status = cli::FAILED;
            }
        }
    }
    Ok(status)
}

/// Writes one file's events; how many of its lines were none.
fn emit(path: &Path, args: &Emit) -> anyhow::Result<u64> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut events = Events::open(Some(path), Form::Auto, Some(args.len))?;
    while events.wait()? {
        while let Some(event) = events.take() {
            stdout.write_all(&event.wire).map_err(stdio::stdout_error)?;
        }
        // What was read at once is written at once, and nothing waits for more.
        stdout.flush().map_err(stdio::stdout_error)?;
    }
    Ok(events.malformed())
}

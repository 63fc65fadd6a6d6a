//! `supd-mock emit`: records to the bytes that supervisord sends.

use std::io::{self, Write as _};

use supd_core::input::{self, Source};
use supd_core::{cli, stdio};

use crate::args::Emit;
use crate::events::{Events, Planned};

pub(crate) fn run(args: &Emit) -> anyhow::Result<u8> {
    cli::each_file(input::sources(&args.files).map(|source| emit(source?, args)))
}

/// Writes one file's events; how many of its lines were none.
fn emit(source: Source, args: &Emit) -> anyhow::Result<u64> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut events = Events::read_from(source);
    while events.wait()? {
        while let Some(Planned { event, .. }) = events.take() {
            stdout.write_all(&event.encode(args.len)).map_err(stdio::stdout_error)?;
        }
        // What was read at once is written at once, and nothing waits for more.
        stdout.flush().map_err(stdio::stdout_error)?;
    }
    Ok(events.malformed())
}

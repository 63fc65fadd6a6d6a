//! `supd-mock emit`: records to the bytes that supervisord sends.

use std::io::{self, Write as _};

use supd_core::{cli, stdio};

use crate::args::Emit;
use crate::events::Events;

pub(crate) fn run(args: &Emit) -> anyhow::Result<u8> {
    let mut malformed = 0;
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let stdin = ["-".into()];
    let files = if args.files.is_empty() {
        &stdin
    } else {
        &args.files[..]
    };
    for path in files {
        let mut events = Events::open(Some(path), supd_core::reader::From::Auto, Some(args.len.into()))?;
        while events.peek()?.is_some() {
            while let Some(event) = events.take() {
                stdout.write_all(&event.wire).map_err(stdio::stdout_error)?;
            }
            // What was read at once is written at once, and nothing waits for more.
            stdout.flush().map_err(stdio::stdout_error)?;
        }
        malformed += events.malformed();
    }
    Ok(if malformed == 0 { cli::DONE } else { cli::FAILED })
}

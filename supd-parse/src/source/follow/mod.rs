//! `--follow`: what is there is read first, then what comes, from several files and spools at once.
//!
//! ```text
//! read all ─▶ caught up ─▶ silent ──change, or a second──▶ read all ─▶ silent …
//!                            └──SIGTERM──▶ read all ─▶ end
//! ```

mod awaited;
mod changes;
mod named;
mod spool;
mod tail;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use supd_core::cli::{self, Usage};
use supd_core::stdio::is_about_stdout;

use super::Stream;
use awaited::Awaited;
use changes::Changes;

/// Where nobody tells of changes, as on a network file system, they are looked for so often.
const LOOK: Duration = Duration::from_secs(1);

/// Something whose end is never the last.
trait Followed {
    /// Reads some of what has come; whether there was anything.
    fn read(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool>;

    /// Nobody will look again: what will not go on is taken as it is.
    fn end(&mut self, _stream: &mut Stream<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Whether these options mean to follow something; standard input is read to its end in any case.
///
/// # Errors
/// Standard input among files: it would keep them waiting.
pub(super) fn is_wanted(stream: &Stream<'_>) -> anyhow::Result<bool> {
    let input = &stream.args.input;
    let stdin = input.files.iter().filter(|path| path.as_os_str() == "-").count();
    if input.follow && stdin > 0 && stdin < input.files.len() {
        return Err(Usage("standard input '-' cannot be followed beside files".into()).into());
    }
    Ok(input.follow && input.files.len() > stdin)
}

/// Follows what the command line names until SIGTERM, or until nothing more is wanted; the exit status.
///
/// # Errors
/// When the output cannot be written.
pub(super) fn run(stream: &mut Stream<'_>) -> anyhow::Result<u8> {
    let paths = &stream.args.input.files;
    let mut changes = Changes::of(paths);
    let mut status = cli::DONE;
    let mut all = Vec::new();
    for path in paths {
        match Awaited::new(path) {
            Ok(awaited) => all.push(awaited),
            Err(error) => give_up(&error, &mut status),
        }
    }
    let mut has_caught_up = false;
    while !all.is_empty() && stream.flow.is_continue() {
        if read_each(&mut all, stream, &mut status)? {
            let name = all.first().map_or_else(String::new, |followed| followed.path.display().to_string());
            if stream.has_no_time(&name)? {
                break;
            }
            continue;
        }
        if !has_caught_up {
            has_caught_up = true;
            log::debug!("follow: what was there has been read; waiting for more");
            stream.lane.chain.caught_up(&mut stream.output.buf);
        }
        let due = match super::silence(&mut stream.lane, &mut stream.output, &mut stream.failures)? {
            ControlFlow::Continue(due) => due,
            ControlFlow::Break(()) => break,
        };
        if stream.watch.is_ending() {
            break;
        }
        let look = Instant::now() + LOOK;
        changes.wait(&mut stream.watch, due.map_or(look, |due| due.min(look)))?;
    }
    for followed in &mut all {
        followed.end(stream)?;
    }
    Ok(if stream.malformed > 0 { cli::FAILED } else { status })
}

/// Reads some of what has come to each; whether there was anything. What cannot be read is said and left.
fn read_each(all: &mut Vec<Awaited>, stream: &mut Stream<'_>, status: &mut u8) -> anyhow::Result<bool> {
    let mut has_read = false;
    let mut number = 0;
    while let Some(followed) = all.get_mut(number).filter(|_| stream.flow.is_continue()) {
        match followed.read(stream) {
            Ok(more) => {
                has_read |= more;
                number += 1;
            }
            Err(error) if is_about_stdout(&error) => return Err(error),
            Err(error) => {
                give_up(&error, status);
                all.remove(number);
            }
        }
    }
    Ok(has_read)
}

fn give_up(error: &anyhow::Error, status: &mut u8) {
    log::error!("{error:#}");
    *status = cli::FAILED;
}

//! Where replies to supervisord go: a private descriptor, so that nothing else we print can get between them.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context as _, anyhow, bail};
use supd_core::ancestry::{self, NoPipe};
use supd_core::cli::Usage;
use supd_core::listener::Listener;
use supd_core::stdio;

use crate::args::Output;

/// supervisord's end of the conversation.
#[derive(Debug)]
pub(crate) struct Replies {
    pipe: File,
}

/// Finds supervisord's pipe and takes it away from our standard output.
pub(crate) fn open(output: &Output<'_>, protocol_fd: Option<u32>) -> anyhow::Result<Replies> {
    if matches!(output, Output::Shell(_) | Output::Program(_))
        && stdio::is_fifo(io::stdout())
        && ancestry::same_file(io::stdout(), io::stderr())
    {
        bail!(Usage(
            "standard error is supervisord's pipe too, so any message of the pipeline would silence this listener for \
             ever; take the '2>&1' away"
                .into()
        ));
    }
    let pipe = match (protocol_fd, output) {
        (Some(fd), _) => ancestry::open_fd(std::process::id(), fd)
            .map_err(|error| Usage(format!("open --protocol-fd '{fd}': {error}")))?,
        (None, Output::Stdout) => ancestry::open_supervisords_pipe().map_err(|reason| no_pipe(&reason))?,
        (None, _) => io::stdout().as_fd().try_clone_to_owned().context("duplicate standard output")?,
    };
    if *output != Output::Stdout {
        silence_stdout().context("point standard output at '/dev/null'")?;
    }
    Ok(Replies { pipe: pipe.into() })
}

/// Not at standard error: a program further down that compares its output with ours, to know supervisord's pipe,
/// would take standard error for it.
fn silence_stdout() -> io::Result<()> {
    let null: OwnedFd = File::options().write(true).open("/dev/null")?.into();
    Ok(rustix::stdio::dup2_stdout(null)?)
}

fn no_pipe(reason: &NoPipe) -> Usage {
    Usage(format!(
        "find supervisord's pipe for replies: {reason}; use supd-listen -c 'PIPELINE', or sh -c '{{ supd-listen \
         --protocol-fd 3 | …; }} 3>&1'"
    ))
}

impl Replies {
    /// Whether this descriptor, too, leads to where supervisord waits for replies.
    pub(crate) fn go_to(&self, fd: impl AsFd) -> bool {
        ancestry::same_file(&self.pipe, fd)
    }

    /// Asks for the first event.
    pub(crate) fn ready(&self) -> anyhow::Result<()> {
        (&self.pipe)
            .write_all(Listener::READY)
            .map_err(|error| anyhow!(error).context("write READY to supervisord"))
    }

    /// Writes a reply; false when supervisord no longer listens, which is how it ends a shell's pipeline.
    pub(crate) fn send(&self, reply: &[u8]) -> anyhow::Result<bool> {
        match (&self.pipe).write_all(reply) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(anyhow!(error).context("write a reply to supervisord")),
        }
    }
}

//! What is on its way to standard output.

use std::io::{self, Write as _};

use supd_core::stdio;

/// So much is written at once, unless the input is silent before.
const ENOUGH: usize = 64 * 1024;

/// Text that has not been written yet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) buf: Vec<u8>,
}

impl Output {
    /// Writes what there is when it is enough to be worth it.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(crate) fn write(&mut self) -> anyhow::Result<()> {
        if self.buf.len() > ENOUGH { self.flush() } else { Ok(()) }
    }

    /// Writes all there is.
    ///
    /// # Errors
    /// [`stdio::ClosedStdout`]; the system's.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.buf).and_then(|()| stdout.flush());
        self.buf.clear();
        written.map_err(stdio::stdout_error)
    }
}

//! What is on its way to standard output.

use supd_core::stdio;

/// So much is written at once, unless the input is silent before.
const ENOUGH: usize = 64 * 1024;

/// Text that has not been written yet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) buf: Vec<u8>,
}

impl Output {
    /// Adds what somebody else has put together; much of it is not copied, but written.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(crate) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if bytes.len() < ENOUGH {
            self.buf.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        stdio::print(bytes)
    }

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
        let written = stdio::print(&self.buf);
        self.buf.clear();
        written
    }
}

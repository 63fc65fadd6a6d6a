//! Blocks of whole lines in, the chain's output out. What search can tell about the block as a whole is never read.

use std::ops::ControlFlow;

use supd_core::flat::Scanner;
use supd_core::reader;

use crate::chain::Chain;
use crate::item::Item;

/// One way through the program; several of them can go side by side.
pub(crate) struct Lane {
    pub(crate) chain: Chain,
    scanner: Scanner,
}

/// What came of a block.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Lines that are no records, by their number in the block, from 0, each with the reason.
    pub(crate) malformed: Vec<(u64, String)>,
    /// Whether more is wanted.
    pub(crate) flow: ControlFlow<()>,
}

impl Lane {
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain, scanner: Scanner::default() }
    }

    /// Takes a block of whole lines.
    ///
    /// # Errors
    /// The chain's.
    pub(crate) fn take(&mut self, block: &[u8], out: &mut Vec<u8>) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome { malformed: Vec::new(), flow: ControlFlow::Continue(()) };
        for (number, line) in block.split(|&byte| byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match Item::read(&mut self.scanner, line) {
                Ok(item) => outcome.flow = self.chain.take(item, out)?,
                Err(error) => outcome.malformed.push((number as u64, reader::reason(&error))),
            }
            if outcome.flow.is_break() {
                break;
            }
        }
        Ok(outcome)
    }
}

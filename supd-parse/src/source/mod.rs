//! Where records come from: files and standard input, one after another.

pub(crate) mod options;

use std::ops::ControlFlow;

use supd_core::input::{self, Watch};
use supd_core::reader::{Form, Piece, Reader};

use crate::item::Item;
use crate::lane::Lane;
use crate::output::Output;

/// So much is read at once, if it is there: more than the processor's second cache holds would be slower again.
const BLOCK: usize = 256 * 1024;

/// What came of a source.
#[derive(Debug)]
pub(crate) struct Read {
    /// How many of its lines were no records.
    pub(crate) malformed: u64,
    /// Whether more is wanted.
    pub(crate) flow: ControlFlow<()>,
}

/// Reads one source to its end, or until nothing more is wanted.
///
/// # Errors
/// The system's, with the name; a raw capture that makes no sense from some point on.
pub(crate) fn read(
    mut source: input::Source,
    form: Form,
    watch: &mut Watch,
    lane: &mut Lane,
    output: &mut Output,
) -> anyhow::Result<Read> {
    let mut reader = Reader::new(form, source.name());
    let mut flow = ControlFlow::Continue(());
    loop {
        let bytes = source.read_into(reader.room(BLOCK), watch, &mut || {
            lane.chain.idle(&mut output.buf);
            output.flush()?;
            Ok(lane.chain.next_due())
        })?;
        let ended = reader.filled(bytes);
        reader.each_piece(|piece, rejects| {
            if flow.is_break() {
                return Ok(());
            }
            match piece {
                Piece::Lines(first, block) => {
                    let outcome = lane.take(block, &mut output.buf)?;
                    outcome.malformed.iter().for_each(|(line, reason)| rejects.add(first + line, reason));
                    flow = outcome.flow;
                }
                Piece::Record(record) => flow = lane.chain.take(Item::from(*record), &mut output.buf)?,
            }
            output.write()
        })?;
        if ended || flow.is_break() {
            return Ok(Read { malformed: reader.malformed(), flow });
        }
    }
}

//! What holds whatever the bytes are. Each law takes bytes and panics where it is broken: the property tests beside it
//! try it with plausible bytes, the fuzz targets (`fuzz/`) look for others.
//!
//! One more law is one more file here, its name below, a target in `fuzz/`, and a property.

// Whoever includes this takes the laws that it needs.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used)]

mod decoder;
mod endless;
#[path = "../spool/machine.rs"]
mod machine;
mod reader;
mod record;
mod recovery;

pub use decoder::decoder;
pub use endless::endless;
pub use reader::reader;
pub use record::record;
pub use recovery::recovery;

/// How the bytes are to be read: the last few of them say so, so that a capture is a plausible input as it is.
struct Choices {
    bytes: [u8; 8],
}

impl Choices {
    /// Takes them off the end.
    fn split(input: &[u8]) -> (Self, &[u8]) {
        let (input, last) = input.split_at(input.len().saturating_sub(8));
        let mut bytes = [0; 8];
        bytes[..last.len()].copy_from_slice(last);
        (Self { bytes }, input)
    }

    /// One of these.
    fn among<T: Copy>(&self, number: usize, items: &[T]) -> T {
        items[usize::from(self.bytes[number]) % items.len()]
    }

    /// Sizes of the pieces that are fed, over and over.
    fn cuts(&self) -> [usize; 4] {
        [4, 5, 6, 7].map(|number| match self.bytes[number] {
            byte @ 0..200 => 1 + usize::from(byte),
            byte => (usize::from(byte) - 199) * 1000,
        })
    }
}

/// Gives these bytes in pieces of these sizes, in turns.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(bytes.len());
        let (piece, rest) = bytes.split_at(size);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

//! What happened before the first record, from the spool that it comes from: a pipeline that was restarted goes on after
//! what it had confirmed, and would take a process that had ended before for one that never did.

use std::path::PathBuf;

use anyhow::Context as _;
use supd_core::fields::Fields as _;
use supd_core::flat::Scanner;
use supd_core::spool::disk::Directory;
use supd_core::spool::log::Index;
use supd_core::spool::{self, Reader};

use crate::item::Item;

/// So much is read at most, the latest of it: hours of a busy supervisord, and weeks of a quiet one.
const MAX_BYTES: u64 = 64 << 20;

/// A spool that is to be looked into when the first of its records comes.
#[derive(Debug)]
pub(crate) struct WarmUp(PathBuf);

impl WarmUp {
    /// From the spool that supd-listen tells its pipeline of, if it does.
    pub(crate) fn from_environment() -> Option<Self> {
        std::env::var_os(spool::VARIABLE).filter(|path| !path.is_empty()).map(|path| Self(path.into()))
    }

    /// Gives every record there is with a number below this one.
    ///
    /// # Errors
    /// The system's, with the name; the receiver's.
    pub(crate) fn each_before(
        &self,
        number: u64,
        mut give: impl FnMut(Item<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let path = &self.0;
        let context = || format!("read spool '{}'", path.display());
        let (index, _) = spool::look(path)?;
        let mut reader = Reader::after(begin(&index, number).saturating_sub(1));
        let (mut lines, mut scanner) = (Vec::new(), Scanner::default());
        let disk = Directory::to_read(path);
        while reader.position() + 1 < number
            && reader.read(&disk, &index, &mut lines).with_context(context)? > 0
        {
            for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                // What is no record there is none of ours.
                let Ok(item) = Item::read(&mut scanner, line) else { continue };
                if item.get("seq").and_then(|seq| seq.number()).is_some_and(|seq| seq < number) {
                    give(item)?;
                }
            }
            lines.clear();
        }
        Ok(())
    }
}

/// Where to begin, so that it is not more than may be read.
fn begin(index: &Index, number: u64) -> u64 {
    let mut bytes = 0;
    let earlier = index.segments().rev().filter(|segment| segment.first < number);
    let read = earlier.take_while(|segment| {
        bytes += segment.len;
        bytes <= MAX_BYTES
    });
    read.last().map_or(number, |segment| segment.first)
}

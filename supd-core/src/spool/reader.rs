//! Reading records back, in order, while more are written.

use std::io;

use serde::Deserialize;

use super::disk::Disk;
use super::log::{Index, NUMBERS};

/// So much is read at once; a longer record, whole.
const CHUNK: usize = 64 * 1024;

/// Reads the records after a number.
#[derive(Debug)]
pub struct Reader<F> {
    /// The number of the next record to read.
    next: u64,
    /// The segment that holds it, by its first number.
    open: Option<(u64, F, Lines)>,
}

impl<F> Reader<F> {
    /// Reads what comes after this number; 0 for everything.
    pub fn after(number: u64) -> Self {
        Self { next: number + 1, open: None }
    }

    /// The number of the last record that was read.
    pub fn position(&self) -> u64 {
        self.next - 1
    }

    /// Whether there is nothing to read.
    pub fn is_at_end(&self, index: &Index) -> bool {
        self.next >= index.next()
    }

    /// Passes over the one record that there is to read: who wrote it has it at hand.
    pub fn skip(&mut self, line: &[u8]) {
        self.next += 1;
        if let Some((_, _, lines)) = &mut self.open {
            lines.skip(line.len());
        }
    }

    /// Appends some of the lines that are there, whole ones, and says how many; 0 when all have been read.
    ///
    /// # Errors
    /// The disk's.
    pub fn read<D: Disk<File = F>>(&mut self, disk: &D, index: &Index, out: &mut Vec<u8>) -> io::Result<u64> {
        while let (false, Some((segment, end))) = (self.is_at_end(index), index.find(self.next)) {
            self.next = self.next.max(segment.first);
            if self.open.as_ref().is_none_or(|(first, ..)| *first != segment.first) {
                self.open = Some((segment.first, disk.open(&segment.name())?, Lines::default()));
            }
            let (_, file, lines) = self.open.as_mut().expect("it was opened above");
            let lines = lines.next(disk, file, segment.len)?;
            if lines.is_empty() {
                self.next = self.next.max(end);
            }
            let mut count = 0;
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                if let Some(number) = number_of(line).filter(|number| (self.next..end).contains(number)) {
                    out.extend_from_slice(line);
                    self.next = number + 1;
                    count += 1;
                }
            }
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }
}

/// Whole lines of a file, a chunk at a time.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Where in the file the lines begin that come next.
    offset: u64,
    buf: Vec<u8>,
}

impl Lines {
    /// The lines that come next, at least one; none when the file, up to `end`, holds no other whole line.
    pub(super) fn next<D: Disk>(&mut self, disk: &D, file: &D::File, end: u64) -> io::Result<&[u8]> {
        let mut held = 0;
        loop {
            let left = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let wanted = left.min(CHUNK.max(held * 2));
            self.buf.resize(wanted, 0);
            while held < wanted {
                match disk.read_at(file, &mut self.buf[held..], self.offset + held as u64)? {
                    0 => break,
                    bytes => held += bytes,
                }
            }
            if let Some(newline) = memchr::memrchr(b'\n', &self.buf[..held]) {
                self.offset += newline as u64 + 1;
                return Ok(&self.buf[..=newline]);
            }
            if held == left || held < wanted {
                return Ok(&[]);
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.offset += bytes as u64;
    }
}

/// The number of a record that is all there: a power failure may have left holes in it.
pub(super) fn number_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    // An array would be as good to serde.
    let record: Numbered = line.starts_with(b"{").then(|| serde_json::from_slice(line).ok())??;
    NUMBERS.contains(&record.seq).then_some(record.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_behind_what_others_chose() {
        let line = br#"{"host":"\"seq\":1","boot":",\"seq\":2","seq":30,"data":"\"seq\":4"}"#;
        assert_eq!(number_of(line), Some(30));
        assert_eq!(number_of(br#"{"eventname":"TICK_5"}"#), None);
        assert_eq!(number_of(b"{\"seq\":3,\"data\":\"\0\"}"), None);
        assert_eq!(number_of(b"{\"seq\":3,\"data\":\"x"), None);
        assert_eq!(number_of(b"{\"seq\":0}"), None);
        assert_eq!(number_of(b"[3]"), None);
    }
}

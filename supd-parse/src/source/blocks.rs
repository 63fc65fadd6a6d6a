//! A part of a file: the lines that begin in it, whole, wherever they end.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use supd_core::input::{KEPT, MAX_LINE};

/// Most lines end within so many bytes after the part in which they begin.
const MARGIN: usize = 2 * 1024;

/// Reads parts of a file, one after another, into memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    buf: Vec<u8>,
    /// How much of that has been read.
    len: usize,
}

/// The lines that begin in a part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// Their bytes, newlines included.
    pub(crate) lines: &'a [u8],
    /// Where the last of them ends; `None` where there is none.
    pub(crate) end: Option<u64>,
    /// Whether another line begins in the part, which is not whole: the file ends, or the line is longer than any record.
    pub(crate) is_last: bool,
}

impl Blocks {
    /// The lines of `file` that begin in `part`; one begins where the part does if `begins` says so.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&mut self, file: &File, part: Range<u64>, begins: bool) -> io::Result<Block<'_>> {
        // A line begins after a newline, so the byte before the part tells.
        let start = if begins { part.start } else { part.start - 1 };
        // The newline that ends the last line stands here or behind.
        let ending = usize::try_from(part.end - 1 - start).expect("a part fits into memory");
        self.len = 0;
        if self.buf.len() > KEPT {
            self.buf = Vec::new();
        }
        let mut is_all = self.fill(file, start, ending + MARGIN)?;
        let before = &self.buf[..self.len.min(ending)];
        let first = if begins { Some(0) } else { memchr::memchr(b'\n', before).map(|newline| newline + 1) };
        let Some(first) = first else {
            return Ok(Block { lines: &[], end: None, is_last: is_all && self.len <= ending });
        };
        let mut searched = ending.min(self.len);
        let newline = loop {
            if let Some(newline) = memchr::memchr(b'\n', &self.buf[searched..self.len]) {
                break Some(searched + newline);
            }
            searched = self.len;
            if is_all || self.len > ending + MAX_LINE {
                break None;
            }
            is_all = self.fill(file, start, 2 * self.len)?;
        };
        let is_last = newline.is_none();
        let end = newline.or_else(|| memchr::memrchr(b'\n', &self.buf[first..self.len]).map(|at| first + at));
        let lines = end.map_or(&[][..], |end| &self.buf[first..=end]);
        Ok(Block { lines, end: end.map(|end| start + end as u64 + 1), is_last })
    }

    /// Reads until so many bytes are there; whether the file ends before.
    fn fill(&mut self, file: &File, start: u64, wanted: usize) -> io::Result<bool> {
        if self.buf.len() < wanted {
            self.buf.resize(wanted, 0);
        }
        while self.len < wanted {
            match file.read_at(&mut self.buf[self.len..wanted], start + self.len as u64) {
                Ok(0) => return Ok(true),
                Ok(bytes) => self.len += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file
    }

    /// The parts of this size, put together, and where they end.
    fn together(text: &[u8], size: u64) -> (Vec<u8>, u64) {
        let (file, mut blocks) = (file(text), Blocks::default());
        let (mut found, mut end) = (Vec::new(), 0);
        for number in 0.. {
            let start = number * size;
            if start >= text.len() as u64 {
                break;
            }
            let part = start..(start + size).min(text.len() as u64);
            let block = blocks.read(&file, part, number == 0).unwrap();
            found.extend_from_slice(block.lines);
            end = block.end.unwrap_or(end);
            if block.is_last {
                break;
            }
        }
        (found, end)
    }

    #[test]
    fn each_line_is_in_one_part_whatever_the_parts() {
        let long = vec![b'x'; 3 * MARGIN];
        let texts = [
            &b"one\n\n\ntwo two\nthree\n"[..],
            b"\n",
            b"a\nb",
            b"no end",
            b"",
            &[b"first\n", &long[..], b"\nlast\n"].concat(),
            &[&long[..], b"\ntorn"].concat(),
        ];
        for text in texts {
            let whole = memchr::memrchr(b'\n', text).map_or(0, |newline| newline + 1);
            for size in (1..20).chain([MARGIN as u64, 10 * MARGIN as u64]) {
                let (found, end) = together(text, size);
                assert_eq!((found.len(), end), (whole, whole as u64), "{size}");
                assert_eq!(found, text[..whole], "{size}");
            }
        }
    }
}

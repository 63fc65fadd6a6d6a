//! A file that grows: its whole lines as they come, and how it is known to be cut.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use supd_core::reader::Reader;

use crate::source::{BLOCK, Stream};

/// So many bytes tell a file from the one that stood in its place before: they hold the time of its first record.
const HEAD: usize = 64;
/// A line that has begun is read again when it has grown, unless it is this long.
const LONG: usize = 1 << 20;

/// An open file, read from its start.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    reader: Reader,
    /// So much of it has been read. A line that has begun does not count: whoever writes may cut it off again.
    offset: u64,
    /// Its first bytes, as far as they have been read.
    head: Vec<u8>,
}

impl Tail {
    /// Opens a file; `None` where there is none of this name.
    ///
    /// # Errors
    /// The system's; what is not a file to be read from its start.
    pub(super) fn open(path: &Path, stream: &Stream<'_>) -> io::Result<Option<Self>> {
        let opened = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
            true => File::open(path),
            false => Err(io::Error::other("only regular files and spools can be followed")),
        });
        match opened {
            Ok(file) => {
                let reader = Reader::new(stream.args.input.from, &path.display().to_string());
                Ok(Some(Self { file, reader, offset: 0, head: Vec::new() }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether another file has this name now, or none.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match fs::metadata(path).map(identity) {
            Ok(there) => Ok(self.file.metadata().map(identity)? == there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether anything of it has been read.
    pub(super) fn has_begun(&self) -> bool {
        self.offset > 0
    }

    /// Whether there is something to read, or it was cut.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn has_changed(&mut self) -> anyhow::Result<bool> {
        let changed = |tail: &mut Self| Ok(tail.file.metadata()?.len() != tail.offset || tail.was_cut()?);
        changed(self).map_err(|error: io::Error| self.error(error))
    }

    fn error(&self, error: io::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(format!("follow '{}'", self.reader.name()))
    }

    /// Reads a block of whole lines; whether there were any. From the start again, if it was cut.
    ///
    /// # Errors
    /// The system's; the chain's.
    pub(super) fn read(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        if self.was_cut().map_err(|error| self.error(error))? {
            log::warn!("follow '{}': it was cut short; reading it from its start", self.reader.name());
            self.reader = Reader::new(stream.args.input.from, self.reader.name());
            self.offset = 0;
            self.head.clear();
        }
        let (bytes, goes_on) = self.fill().map_err(|error| self.error(error))?;
        if bytes > 0 {
            self.reader.filled(bytes);
            self.take(stream)?;
        }
        // There is more of a line than there was room for: it gets more room, and goes on from here.
        let begun = if goes_on { 0 } else { self.reader.unread_up_to(LONG) };
        self.offset = self.offset + bytes as u64 - begun as u64;
        Ok(bytes > begun)
    }

    /// Nothing more will come: a line that has begun is whole.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn finish(mut self, stream: &mut Stream<'_>) -> anyhow::Result<()> {
        loop {
            let (bytes, _) = self.fill().map_err(|error| self.error(error))?;
            self.reader.filled(bytes);
            self.take(stream)?;
            if bytes == 0 {
                return Ok(());
            }
            self.offset += bytes as u64;
        }
    }

    /// How many bytes of a line are left out that nobody will finish.
    pub(super) fn torn(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.offset))
    }

    fn take(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<()> {
        let before = self.reader.malformed();
        let taken = stream.take(&mut self.reader);
        stream.malformed += self.reader.malformed() - before;
        taken
    }

    /// How many bytes were read, and whether the file goes on behind them, for which there was no room.
    fn fill(&mut self) -> io::Result<(usize, bool)> {
        loop {
            let room = self.reader.room(BLOCK);
            let wanted = room.capacity() - room.len();
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(room), self.offset) {
                Err(rustix::io::Errno::INTR) => {}
                read => {
                    let bytes = read?;
                    let goes_on = bytes == wanted && self.file.metadata()?.len() > self.offset + bytes as u64;
                    return Ok((bytes, goes_on));
                }
            }
        }
    }

    fn was_cut(&mut self) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.offset {
            return Ok(true);
        }
        let wanted = usize::try_from(self.offset).unwrap_or(HEAD).min(HEAD);
        let mut head = Vec::with_capacity(HEAD);
        rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut head), 0)?;
        head.truncate(wanted);
        // Another content has come in place of the first, and is already longer.
        let is_other = !head.starts_with(&self.head);
        if !is_other {
            self.head = head;
        }
        Ok(is_other)
    }
}

//! The spool: a directory between supd-listen, which writes every event to it before it is acknowledged, and whoever
//! delivers, however slow or broken that is.
//!
//! ```text
//! DIR/lock                           one writer at a time
//! DIR/00000000000000000001.ndjson    segments of records, named by their first number; plain NDJSON
//! DIR/cursors/<consumer>             everything up to this number has been dealt with
//! DIR/cursors/<consumer>.lock        one process at a time is a consumer
//! ```

mod cursor;
pub mod disk;
mod lock;
pub mod log;
mod reader;
mod segments;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

pub use cursor::{Consumer, ConsumerName, Standing, cursors, standings};
use disk::Directory;
pub use lock::{Asked, Lock};
use log::{Index, Log, Lost, Repairs};
pub use reader::Reader;
pub use segments::{segment_number, segments};

use crate::cli::Usage;

/// How often old segments are looked for.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// Where supd-listen tells its pipeline which spool its records come from, and any other program may say so.
pub const VARIABLE: &str = "SUPD_SPOOL";
/// Where it tells after which number a consumer begins that is new in this pipeline: another consumer of the pipeline
/// may have got further by the time that the new one looks.
pub const START_VARIABLE: &str = "SUPD_SPOOL_START";

/// How a spool is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// At most so many bytes, of which the oldest go first, confirmed or not.
    pub max: u64,
    /// How long segments are kept that every consumer has confirmed.
    pub keep: Duration,
    /// When records must be on disk.
    pub sync: Sync,
}

/// When records must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sync {
    /// Before their event is acknowledged: not even a power failure loses one
    Event,
    /// When the kernel sees fit: only a power failure or a crash of the kernel can lose some
    None,
}

/// A spool that is written to, and whose records are handed on.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    /// Until it is let go of.
    lock: Option<Lock>,
    log: Log<Directory>,
    reader: Reader<std::fs::File>,
    housekeeping: SystemTime,
    /// As they were when it was opened.
    cursors: BTreeMap<String, u64>,
}

/// Makes the directories of a spool, for nobody but us, unless they are there.
///
/// # Errors
/// A [`Usage`] error with the cure where the parent is missing; the system's.
pub fn create(path: &Path) -> anyhow::Result<()> {
    let made = disk::create_private(path).and_then(|()| cursor::create_directories(path));
    match made {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path).display();
            Err(Usage(format!(
                "create spool '{}': there is no '{parent}'; make it with mkdir -p",
                path.display()
            ))
            .into())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error).with_context(|| {
            let user = rustix::process::geteuid();
            format!("create spool '{}', which user {user} must be able to write to", path.display())
        }),
        made => made.with_context(|| format!("create spool '{}'", path.display())),
    }
}

/// Asks to be the one who writes.
///
/// # Errors
/// The system's, with the name.
pub fn ask(path: &Path) -> anyhow::Result<Asked<Lock>> {
    Lock::ask(&path.join("lock"))
}

/// What is in a spool, as far as somebody else has written it, and who that is: the pid, where it can be told.
///
/// # Errors
/// The system's, with the name.
pub fn look(path: &Path) -> anyhow::Result<(Index, Option<Option<u32>>)> {
    let holder = Lock::holder(&path.join("lock"))?;
    let index =
        log::look(&Directory::to_read(path)).with_context(|| format!("read spool '{}'", path.display()))?;
    Ok((index, holder))
}

fn largest(cursors: &BTreeMap<String, u64>) -> u64 {
    cursors.values().max().copied().unwrap_or(0)
}

impl Spool {
    /// Opens a spool that is ours, and goes to the first record that a consumer has not confirmed; when there is no
    /// consumer, to the oldest.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn open(path: &Path, options: Options, lock: Lock) -> anyhow::Result<(Self, Repairs)> {
        let cursors = cursors(path)?;
        let smallest = cursors.values().min().copied().unwrap_or(0);
        let now = SystemTime::now();
        let (log, repairs) = Log::open(Directory::new(path), options, largest(&cursors), now)
            .with_context(|| format!("open spool '{}'", path.display()))?;
        let reader = Reader::after(smallest.max(log.index().first() - 1));
        Ok((
            Self { path: path.to_owned(), lock: Some(lock), log, reader, housekeeping: now, cursors },
            repairs,
        ))
    }

    /// What a program needs in its environment to be a consumer of this spool.
    ///
    /// # Errors
    /// The system's, where the current directory is gone.
    pub fn environment(&self) -> io::Result<[(&'static str, OsString); 2]> {
        let path = std::path::absolute(&self.path)?;
        Ok([(VARIABLE, path.into()), (START_VARIABLE, largest(&self.cursors).to_string().into())])
    }

    /// The consumer that was behind all others when it was opened.
    pub fn hindmost(&self) -> Option<&str> {
        let (name, _) = self.cursors.iter().min_by_key(|(_, number)| **number)?;
        Some(name)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub fn index(&self) -> &Index {
        self.log.index()
    }

    /// Appends a line with the number that comes next. After an error nothing has happened.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn append(&mut self, line: &[u8]) -> anyhow::Result<()> {
        assert!(self.lock.is_some(), "a spool that was let go of is another process's");
        self.log
            .append(line, SystemTime::now())
            .with_context(|| format!("write to spool '{}'", self.path.display()))
    }

    /// Makes room for so many more bytes, and removes what has served; gives the records lost by that, of which somebody
    /// has to be told. Costs nothing when there is nothing to do.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn make_room(&mut self, bytes: usize) -> anyhow::Result<Option<Lost>> {
        let bytes = bytes as u64;
        let now = SystemTime::now();
        if !self.log.needs_room(bytes) && now < self.housekeeping {
            return Ok(None);
        }
        self.housekeeping = now + HOUSEKEEPING;
        let confirmed = cursors(&self.path)?.values().min().copied().unwrap_or(0);
        self.log
            .make_room(bytes, confirmed, now)
            .with_context(|| format!("remove an old segment of spool '{}'", self.path.display()))
    }

    /// Reads the last records, at most so many.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn each_of_last(&self, count: u64, each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        self.log.each_of_last(count, each).with_context(|| format!("read spool '{}'", self.path.display()))
    }

    /// The number of the record that was handed on last.
    pub fn position(&self) -> u64 {
        self.reader.position()
    }

    /// Whether everything has been handed on.
    pub fn is_at_end(&self) -> bool {
        self.reader.is_at_end(self.log.index())
    }

    /// Passes over the record that was just appended, the only one not handed on: the caller hands it on itself.
    pub fn skip(&mut self, line: &[u8]) {
        self.reader.skip(line);
    }

    /// Appends some of the lines that are to be handed on, whole ones; gives how many, 0 at the end.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn read(&mut self, out: &mut Vec<u8>) -> anyhow::Result<u64> {
        self.reader
            .read(self.log.disk(), self.log.index(), out)
            .with_context(|| format!("read spool '{}'", self.path.display()))
    }

    /// Lets a successor write. What is there can still be read.
    pub fn let_go(&mut self) {
        self.lock = None;
    }
}

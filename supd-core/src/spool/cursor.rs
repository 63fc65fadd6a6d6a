//! How far each consumer has got: a number in a file of its own. Everything up to it has been dealt with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::disk;
use super::lock::{Asked, Lock};
use super::log::NUMBERS;

const DIRECTORY: &str = "cursors";
/// What consumers remember for themselves beside their cursors.
const STATE: &str = "state";
const LOCK: &str = ".lock";

/// A consumer's name: letters, digits, `-`, `_` and `.`, which is not at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerName(String);

impl ConsumerName {
    /// Takes a name that can be a file's.
    ///
    /// # Errors
    /// A one-line message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if text.is_empty() || text.starts_with('.') || text.ends_with(LOCK) || !text.chars().all(is_allowed) {
            return Err(
                "a consumer's name consists of letters, digits, '-', '_' and '.', and is a file's".into()
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the consumer keeps what it has to remember beside its cursor, in whatever form: `DIR/state/<name>`. It goes
    /// when the consumer is removed.
    pub fn state(&self, spool: &Path) -> PathBuf {
        spool.join(STATE).join(&self.0)
    }

    fn cursor(&self, spool: &Path) -> PathBuf {
        spool.join(DIRECTORY).join(&self.0)
    }

    fn lock(&self, spool: &Path) -> PathBuf {
        spool.join(DIRECTORY).join(format!("{}{LOCK}", self.0))
    }
}

/// Makes the directories of the cursors and of what else consumers remember.
pub(super) fn create_directories(spool: &Path) -> io::Result<()> {
    disk::create_private(&spool.join(DIRECTORY))?;
    disk::create_private(&spool.join(STATE))
}

/// Every consumer's cursor. One that cannot be read counts as 0, and is said: again is better than not at all.
///
/// # Errors
/// The system's, with the name.
pub fn cursors(spool: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut cursors = BTreeMap::new();
    for consumer in names(spool)? {
        if let Some(number) = read(spool, &consumer)? {
            cursors.insert(consumer.0, number);
        }
    }
    Ok(cursors)
}

/// Whoever has a cursor or a lock.
fn names(spool: &Path) -> anyhow::Result<BTreeSet<ConsumerName>> {
    let path = spool.join(DIRECTORY);
    let name = || format!("read '{}'", path.display());
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.with_context(name)?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.with_context(name)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let file = entry.file_name();
        let file = file.to_str().map(|file| file.strip_suffix(LOCK).unwrap_or(file));
        names.extend(file.and_then(|file| ConsumerName::parse(file).ok()));
    }
    Ok(names)
}

/// Where a consumer stands, for who looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Everything up to this number has been dealt with; `None` when it runs and has confirmed nothing yet.
    pub position: Option<u64>,
    /// Whether it runs, and then its pid, where it can be told.
    pub holder: Option<Option<u32>>,
}

/// Where every consumer stands: those that have a cursor, and those that run.
///
/// # Errors
/// The system's, with the name.
pub fn standings(spool: &Path) -> anyhow::Result<BTreeMap<String, Standing>> {
    let mut standings = BTreeMap::new();
    for consumer in names(spool)? {
        let standing =
            Standing { position: read(spool, &consumer)?, holder: Lock::holder(&consumer.lock(spool))? };
        if standing.position.is_some() || standing.holder.is_some() {
            standings.insert(consumer.0, standing);
        }
    }
    Ok(standings)
}

fn read(spool: &Path, consumer: &ConsumerName) -> anyhow::Result<Option<u64>> {
    let path = consumer.cursor(spool);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("read cursor '{}'", path.display()))?,
    };
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    let number = number.filter(|number| *number == 0 || NUMBERS.contains(number));
    if number.is_none() {
        log::warn!(
            "read cursor '{}': it holds no number; everything counts as not confirmed by '{}'",
            path.display(),
            consumer.0
        );
    }
    Ok(Some(number.unwrap_or(0)))
}

/// Puts the number into place in one step, so that a crash leaves the old one or the new one.
fn write(spool: &Path, consumer: &ConsumerName, number: u64) -> anyhow::Result<()> {
    let path = consumer.cursor(spool);
    let new = spool.join(DIRECTORY).join(format!(".{}.new", consumer.0));
    let write = || {
        let mut file = disk::private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(format!("{number}\n").as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, &path)
    };
    write().with_context(|| format!("write cursor '{}'", path.display()))
}

/// A consumer, for as long as it lives the only one of its name.
#[derive(Debug)]
pub struct Consumer {
    spool: PathBuf,
    name: ConsumerName,
    /// `None` when it has no cursor yet.
    position: Option<u64>,
    _lock: Lock,
}

impl Consumer {
    /// Asks to be this consumer of a spool.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn ask(spool: &Path, name: &ConsumerName) -> anyhow::Result<Asked<Self>> {
        Ok(match Lock::ask(&name.lock(spool))? {
            Asked::Held(pid) => Asked::Held(pid),
            Asked::Ours(lock) => Asked::Ours(Self {
                spool: spool.to_owned(),
                name: name.clone(),
                position: read(spool, name)?,
                _lock: lock,
            }),
        })
    }

    /// Everything up to this number has been dealt with; `None` when the consumer is new.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// Everything up to this number has been dealt with, or is to be dealt with again after it.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn set_position(&mut self, number: u64) -> anyhow::Result<()> {
        if self.position != Some(number) {
            write(&self.spool, &self.name, number)?;
            self.position = Some(number);
        }
        Ok(())
    }

    /// Removes the consumer: nothing waits for it any more.
    ///
    /// # Errors
    /// The system's, with the name.
    pub fn remove(self) -> anyhow::Result<()> {
        for path in [self.name.cursor(&self.spool), self.name.state(&self.spool), self.name.lock(&self.spool)]
        {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.with_context(|| format!("remove '{}'", path.display()))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(spool: &Path, name: &str) -> Consumer {
        match Consumer::ask(spool, &ConsumerName::parse(name).unwrap()).unwrap() {
            Asked::Ours(consumer) => consumer,
            Asked::Held(pid) => panic!("held by {pid:?}"),
        }
    }

    #[test]
    fn a_consumer_goes_on_where_it_was_and_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        create_directories(dir.path()).unwrap();
        let mut notify = consumer(dir.path(), "notify");
        assert_eq!(notify.position(), None);
        assert!(cursors(dir.path()).unwrap().is_empty());
        notify.set_position(7).unwrap();
        assert!(matches!(
            Consumer::ask(dir.path(), &notify.name).unwrap(),
            Asked::Held(Some(pid)) if pid == std::process::id()
        ));
        drop(notify);
        assert_eq!(consumer(dir.path(), "notify").position(), Some(7));
        assert_eq!(cursors(dir.path()).unwrap(), BTreeMap::from([("notify".to_owned(), 7)]));
        consumer(dir.path(), "notify").remove().unwrap();
        assert!(cursors(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_spoilt_cursor_confirms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        create_directories(dir.path()).unwrap();
        fs::write(dir.path().join("cursors/notify"), "\0\0").unwrap();
        assert_eq!(consumer(dir.path(), "notify").position(), Some(0));
    }

    #[test]
    fn a_directory_is_no_cursor() {
        let dir = tempfile::tempdir().unwrap();
        create_directories(dir.path()).unwrap();
        fs::create_dir(dir.path().join("cursors/old")).unwrap();
        assert!(cursors(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_name_stays_in_its_directory() {
        for wrong in ["", ".", "..", "a/b", "x.lock", "né", "a b"] {
            ConsumerName::parse(wrong).expect_err(wrong);
        }
        ConsumerName::parse("notify.slack-2").unwrap();
    }
}

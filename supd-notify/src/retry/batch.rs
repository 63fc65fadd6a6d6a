//! The dead letters of one `retry`, out of the way of those that a running supd-notify adds meanwhile:
//!
//! `FILE --take--> FILE.retrying, locked --every letter delivered, or back in FILE--> removed`
//!
//! Whoever dies on the way leaves FILE.retrying, and the next one begins with it. So nothing is lost, and what had been
//! sent by then is sent again.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use supd_core::append;
use supd_core::cli::Usage;

use super::lines::Lines;

/// Dead letters that are ours alone.
pub(crate) struct Batch {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl Batch {
    /// Takes what is in the dead letter file; `None` when that is nothing.
    ///
    /// # Errors
    /// When another process has taken dead letters of this file and is at work; the system's.
    pub(crate) fn take(dead: &Path) -> anyhow::Result<Option<Self>> {
        check(dead)?;
        let path = retrying(dead);
        loop {
            if let Some(file) = open_left(&path)? {
                match file.try_lock() {
                    // The one who had it has just finished.
                    Ok(()) if !append::is_at(&file, &path) => continue,
                    Ok(()) => return Self::take_left(path, file, dead),
                    Err(TryLockError::WouldBlock) => {
                        bail!("retry '{}': another supd-notify is doing so", dead.display())
                    }
                    Err(TryLockError::Error(error)) => {
                        return Err(error).with_context(|| format!("lock '{}'", path.display()));
                    }
                }
            }
            let file =
                append::lock(dead).with_context(|| format!("lock dead letter file '{}'", dead.display()))?;
            // Under the lock, without which nobody puts it there.
            if path.exists() {
                continue;
            }
            let metadata = file.metadata()?;
            if metadata.len() == 0 {
                return Ok(None);
            }
            let renamed = fs::rename(dead, &path);
            renamed.with_context(|| format!("rename '{}' to '{}'", dead.display(), path.display()))?;
            create_like(dead, &metadata)
                .with_context(|| format!("create dead letter file '{}'", dead.display()))?;
            return Ok(Some(Self { path, _file: file }));
        }
    }

    /// What somebody left who died, with what has been added to the dead letter file since then behind it.
    fn take_left(path: PathBuf, file: File, dead: &Path) -> anyhow::Result<Option<Self>> {
        let name = || format!("append to '{}'", path.display());
        log::warn!(
            "'{}' is left from an earlier retry, which did not end; beginning with it",
            path.display()
        );
        let new =
            append::lock(dead).with_context(|| format!("lock dead letter file '{}'", dead.display()))?;
        let mut left = append::open(&path).with_context(name)?;
        let before = left.metadata()?.len();
        let copied = File::open(dead).and_then(|mut new| io::copy(&mut new, &mut left));
        if let Err(error) = copied.and_then(|_| left.sync_all()) {
            let _ = left.set_len(before);
            return Err(error).with_context(name);
        }
        new.set_len(0).with_context(|| format!("empty dead letter file '{}'", dead.display()))?;
        let is_empty = left.metadata()?.len() == 0;
        let batch = Self { path, _file: file };
        if is_empty {
            batch.finish()?;
            return Ok(None);
        }
        Ok(Some(batch))
    }

    /// Its lines.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn lines(&self) -> anyhow::Result<Lines> {
        let file = File::open(&self.path).with_context(|| format!("open '{}'", self.path.display()))?;
        Ok(Lines::new(Box::new(BufReader::new(file)), &self.path))
    }

    /// Where they are until they are dealt with.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All of them have been dealt with.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("remove '{}'", self.path.display()))
    }
}

/// The lines that a retry would begin with, for who only looks at them.
///
/// # Errors
/// [`Usage`] when that is no file; the system's, with the name.
pub(crate) fn look_at(dead: &Path) -> anyhow::Result<Lines> {
    check(dead)?;
    let open = |path: &Path| match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some).with_context(|| format!("open '{}'", path.display())),
    };
    let files = [open(&retrying(dead))?, open(dead)?].into_iter().flatten();
    let nothing: Box<dyn io::Read + Send> = Box::new(io::empty());
    let all = files.fold(nothing, |before, file| Box::new(before.chain(file)));
    Ok(Lines::new(Box::new(BufReader::new(all)), dead))
}

/// That there is such a file, or what an earlier retry made of it.
fn check(dead: &Path) -> anyhow::Result<()> {
    match fs::metadata(dead) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => bail!(Usage(format!("retry '{}': not a file", dead.display()))),
        Err(_) if retrying(dead).exists() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("open dead letter file '{}'", dead.display())),
    }
}

fn retrying(dead: &Path) -> PathBuf {
    let mut path = OsString::from(dead);
    path.push(".retrying");
    path.into()
}

fn open_left(path: &Path) -> anyhow::Result<Option<File>> {
    match File::options().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some).with_context(|| format!("open '{}'", path.display())),
    }
}

/// Creates the file anew, for the same people: the supd-notify that writes to it may be another user's than we are.
fn create_like(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let mode = metadata.mode() & 0o777;
    match File::options().append(true).create_new(true).mode(mode).open(path) {
        // It was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(file) => {
            // Only root may, and only for root it makes a difference.
            let _ = fchown(&file, Some(metadata.uid()), Some(metadata.gid()));
            file.set_permissions(fs::Permissions::from_mode(mode))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(batch: &Batch) -> String {
        fs::read_to_string(batch.path()).unwrap()
    }

    #[test]
    fn the_file_is_taken_whole_and_left_empty_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("dead");
        fs::write(&dead, "a\nb\n").unwrap();
        fs::set_permissions(&dead, fs::Permissions::from_mode(0o622)).unwrap();
        let batch = Batch::take(&dead).unwrap().unwrap();
        assert_eq!(text(&batch), "a\nb\n");
        assert_eq!(fs::read(&dead).unwrap(), b"");
        assert_eq!(fs::metadata(&dead).unwrap().mode() & 0o777, 0o622);
        batch.finish().unwrap();
        assert!(Batch::take(&dead).unwrap().is_none());
        assert!(!retrying(&dead).exists());
    }

    #[test]
    fn one_at_a_time_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("dead");
        fs::write(&dead, "a\n").unwrap();
        let batch = Batch::take(&dead).unwrap().unwrap();
        fs::write(&dead, "b\n").unwrap();
        let error = Batch::take(&dead).err().unwrap().to_string();
        assert_eq!(error, format!("retry '{}': another supd-notify is doing so", dead.display()));
        batch.finish().unwrap();
        assert_eq!(text(&Batch::take(&dead).unwrap().unwrap()), "b\n");
    }

    #[test]
    fn what_somebody_left_comes_first_and_a_torn_line_spoils_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("dead");
        fs::write(retrying(&dead), "left\ntorn").unwrap();
        fs::write(&dead, "new\n").unwrap();
        let batch = Batch::take(&dead).unwrap().unwrap();
        assert_eq!((text(&batch), fs::read(&dead).unwrap()), ("left\ntorn\nnew\n".into(), vec![]));
        // Dropped without an end.
        drop(batch);
        fs::remove_file(&dead).unwrap();
        assert_eq!(text(&Batch::take(&dead).unwrap().unwrap()), "left\ntorn\nnew\n");
    }

    #[test]
    fn nothing_left_behind_is_nothing_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("dead");
        Batch::take(&dead).err().unwrap();
        fs::write(retrying(&dead), "").unwrap();
        assert!(Batch::take(&dead).unwrap().is_none());
        assert!(!retrying(&dead).exists());
        assert!(Batch::take(dir.path()).err().unwrap().is::<Usage>());
    }
}

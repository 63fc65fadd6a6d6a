//! Files that grow by whole lines.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Whoever has the lock writes a line; longer than this takes somebody who does not know what it is for.
const PATIENCE: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Opens a file to append lines to; it is created when missing.
///
/// # Errors
/// The system's.
pub fn open(path: &Path) -> io::Result<File> {
    let mut file = create(path)?;
    begin_line(&mut file, path)?;
    Ok(file)
}

/// As [`open`], but one at a time: until the file is closed, nobody else gets it here. It is the file that has this name
/// once it is locked, even if another one had it before.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when somebody has it for seconds; the system's.
pub fn lock(path: &Path) -> io::Result<File> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        let mut file = create(path)?;
        match ask(&file, path)? {
            Asked::Ours => {
                begin_line(&mut file, path)?;
                return Ok(file);
            }
            Asked::Moved => {}
            // Not waited for at the lock: whoever moves a file away may keep it locked for as long as it likes.
            Asked::Held if Instant::now() < given_up => thread::sleep(ASK_AGAIN),
            Asked::Held => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has locked it"));
            }
        }
    }
}

enum Asked {
    Ours,
    /// It was moved away, or removed, before it was locked.
    Moved,
    Held,
}

fn ask(file: &File, path: &Path) -> io::Result<Asked> {
    match file.try_lock() {
        Ok(()) if is_at(file, path) => Ok(Asked::Ours),
        Ok(()) => Ok(Asked::Moved),
        Err(TryLockError::WouldBlock) => Ok(Asked::Held),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether this is the file that has this name now.
pub fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let [open, there] = [file.metadata(), fs::metadata(path)].map(|metadata| metadata.map(identity).ok());
    open.is_some() && open == there
}

fn create(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// What a power failure, or a writer who was killed, left of a line must not spoil the next.
fn begin_line(file: &mut File, path: &Path) -> io::Result<()> {
    if ends_in_the_middle_of_a_line(path) {
        log::warn!("append to '{}': its last line is not whole; beginning a new one", path.display());
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// Only a regular file has lines to look at; one that cannot be read is taken to be well.
fn ends_in_the_middle_of_a_line(path: &Path) -> bool {
    let last_byte = || {
        let is_file = fs::metadata(path)?.is_file();
        let mut byte = [b'\n'];
        if is_file {
            let mut file = File::open(path)?;
            if file.seek(SeekFrom::End(0))? > 0 {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut byte)?;
            }
        }
        io::Result::Ok(byte[0])
    };
    last_byte().is_ok_and(|byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let moved = lock(&path).unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        let mut file = lock(&path).unwrap();
        file.write_all(b"line\n").unwrap();
        assert_eq!((is_at(&moved, &path), is_at(&file, &path)), (false, true));
        assert_eq!(fs::read(path).unwrap(), b"line\n");
        assert_eq!(fs::read(dir.path().join("moved")).unwrap(), b"");
    }

    #[test]
    fn a_file_that_was_removed_before_it_was_locked_is_not_the_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let removed = create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(ask(&removed, &path), Ok(Asked::Moved)));
        let file = create(&path).unwrap();
        assert!(matches!(ask(&removed, &path), Ok(Asked::Moved)));
        assert!(matches!(ask(&file, &path), Ok(Asked::Ours)));
        assert!(matches!(ask(&create(&path).unwrap(), &path), Ok(Asked::Held)));
    }

    #[test]
    fn writers_wait_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("lines");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut file = lock(path).unwrap();
                        // In pieces, which would mix.
                        (0..10).for_each(|digit| file.write_all(digit.to_string().as_bytes()).unwrap());
                        file.write_all(b"\n").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(path).unwrap(), "0123456789\n".repeat(400));
    }
}

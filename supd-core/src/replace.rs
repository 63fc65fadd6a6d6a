//! Files that are replaced as a whole: whoever reads one finds the old text or the new, and never a part.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// What the new text has to survive, once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survives {
    /// The end of this process.
    Crash,
    /// The end of the machine, too; costs a wait for the disk.
    PowerFailure,
}

/// Puts a file with this text in place of another, or where none was. These are its permissions, whatever the umask says.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when something stands there that is no regular file; the system's.
pub fn put(path: &Path, text: &[u8], mode: u32, survives: Survives) -> io::Result<()> {
    let wrong = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let Some(name) = path.file_name() else {
        return wrong("it is no file's name");
    };
    // Root could put a file in place of /dev/null.
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return wrong("it is no regular file");
    }
    // Hidden, so that nobody takes it for one of its kind. Of this process alone: a successor may write while we drain.
    let new = path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let write = || {
        // What an earlier process of this number left; anything else that stands there is not followed.
        let _ = fs::remove_file(&new);
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text)?;
        if survives == Survives::PowerFailure {
            file.sync_data()?;
        }
        fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (text, mode) in [("one", 0o644), ("two", 0o600)] {
            put(&path, text.as_bytes(), mode, Survives::PowerFailure).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        put(&dir.path().join("missing/file"), b"three", 0o644, Survives::Crash).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        for path in [&path, dir.path(), Path::new("/")] {
            put(path, b"text", 0o644, Survives::Crash).unwrap_err();
        }
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

//! What the spool asks of a file system, and the real one. A test puts one in its place that loses what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One directory of files that are appended to.
pub trait Disk {
    /// A file that is open for reading and appending.
    type File;

    /// The files in the directory, in no order.
    ///
    /// # Errors
    /// The system's, here and below.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that is empty, whatever it held before. Its name, if it was there, stays there throughout.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Reads some of the file from this byte on; 0 at its end.
    fn read_at(&self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends all of it; after an error some of it may be there.
    fn append(&self, file: &Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file.
    fn set_len(&self, file: &Self::File, len: u64) -> io::Result<()>;

    /// Waits until what the file holds is on disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Waits until the directory's entries are on disk.
    fn sync_directory(&self) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A file as its directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory.
    pub name: String,
    /// Its size in bytes.
    pub len: u64,
    /// When it was last written to.
    pub modified: SystemTime,
}

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Whether what is opened may be appended to.
    is_ours: bool,
}

impl Directory {
    /// A directory that is there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), is_ours: true }
    }

    /// One to look into, where nothing can be written, as after a failure of the disk.
    pub fn to_read(path: &Path) -> Self {
        Self { path: path.to_owned(), is_ours: false }
    }
}

/// Makes a directory for nobody but us, unless it is there; its parent must be there, or a misspelt path would go
/// unnoticed.
///
/// # Errors
/// The system's.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory(
            path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        ),
    }
}

/// How files in a spool are opened: nobody else may read them.
pub(super) fn private() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Waits until a directory's entries are on disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Disk for Directory {
    type File = File;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Removed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if let (Ok(name), true) = (entry.file_name().into_string(), metadata.is_file()) {
                entries.push(Entry { name, len: metadata.len(), modified: metadata.modified()? });
            }
        }
        Ok(entries)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::options().read(true).append(self.is_ours).open(self.path.join(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let file = private().read(true).append(true).create(true).open(self.path.join(name))?;
        file.set_len(0)?;
        Ok(file)
    }

    fn read_at(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match file.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }
}

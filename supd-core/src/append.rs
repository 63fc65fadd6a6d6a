//! Files that grow by whole lines.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Opens a file to append lines to; it is created when missing.
///
/// # Errors
/// The system's.
pub fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().append(true).create(true).open(path)?;
    // What a power failure, or a writer who was killed, left of a line must not spoil the next.
    if ends_in_the_middle_of_a_line(path) {
        log::warn!("append to '{}': its last line is not whole; beginning a new one", path.display());
        file.write_all(b"\n")?;
    }
    Ok(file)
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

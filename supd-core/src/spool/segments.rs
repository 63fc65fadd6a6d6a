//! A spool's segments as the files that they are, for whoever reads a spool that is not theirs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The files of a spool's segments, oldest first: their names are numbers.
///
/// # Errors
/// A directory that is no spool; the system's, with the name.
pub fn segments(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let error = || format!("read directory '{}'", path.display());
    let mut segments = Vec::new();
    for entry in fs::read_dir(path).with_context(error)? {
        let file = entry.with_context(error)?.path();
        if let Some(number) = segment_number(&file) {
            segments.push((number, file));
        }
    }
    if segments.is_empty() && !path.join("cursors").is_dir() {
        bail!(
            "read directory '{path}': it is no spool, there are neither segments nor cursors in it; \
             name the files that are meant, such as '{path}'/*.ndjson",
            path = path.display()
        );
    }
    segments.sort();
    Ok(segments.into_iter().map(|(_, file)| file).collect())
}

/// The number of the first record in a segment, from the name of its file; `None` for another file. Fewer digits do as
/// well: a directory of segments that somebody has put together is read as a spool is.
pub fn segment_number(file: &Path) -> Option<u64> {
    let digits = file.file_name()?.to_str()?.strip_suffix(".ndjson")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_in_the_order_of_their_numbers_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["00000000000000000010.ndjson", "2.ndjson", "lock", "x.ndjson", ".ndjson", "3.ndjson.gz"];
        names.iter().for_each(|name| fs::write(dir.path().join(name), "").unwrap());
        let found = segments(dir.path()).unwrap();
        assert_eq!(found, [dir.path().join(names[1]), dir.path().join(names[0])]);
    }

    #[test]
    fn a_new_spool_is_empty_and_any_other_directory_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let error = segments(dir.path()).unwrap_err().to_string();
        assert!(error.contains("it is no spool") && error.contains("/*.ndjson"), "{error}");
        fs::create_dir(dir.path().join("cursors")).unwrap();
        assert!(segments(dir.path()).unwrap().is_empty());
    }
}

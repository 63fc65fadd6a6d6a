//! What the command line names, file by file: a spool stands for its segments.

use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use supd_core::input::Source;
use supd_core::spool;

/// One thing to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file, or standard input.
    File(Option<PathBuf>),
    /// A file of a spool, which has its own writer.
    Segment { path: PathBuf, is_newest: bool },
}

/// What there is to read, in order; standard input when nothing is named. A spool is looked into at its turn.
pub(crate) fn of(paths: &[PathBuf]) -> impl Iterator<Item = anyhow::Result<Input>> {
    let none = paths.is_empty().then_some(Ok(Input::File(None)));
    none.into_iter().chain(paths.iter().flat_map(|path| {
        let inputs: Box<dyn Iterator<Item = _>> = match segments(path) {
            Ok(inputs) => Box::new(inputs.into_iter().map(Ok)),
            Err(error) => Box::new(iter::once(Err(error))),
        };
        inputs
    }))
}

fn segments(path: &Path) -> anyhow::Result<Vec<Input>> {
    if path.as_os_str() == "-" || !path.is_dir() {
        return Ok(vec![Input::File(Some(path.to_owned()))]);
    }
    let segments = spool::segments(path)?;
    let newest = segments.len().saturating_sub(1);
    let segment = |(number, path)| Input::Segment { path, is_newest: number == newest };
    Ok(segments.into_iter().enumerate().map(segment).collect())
}

impl Input {
    /// Opens it; `None` where the spool's writer has removed it meanwhile, which is said.
    ///
    /// # Errors
    /// The system's, with the name.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Source>> {
        let path = match self {
            Self::File(path) => return Source::open(path.as_deref()).map(Some),
            Self::Segment { path, .. } => path,
        };
        match Source::open(Some(path)) {
            Err(error) if is_gone(&error) => {
                say_removed(path);
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// Whether its last line may be one that is being written.
    pub(crate) fn may_be_torn(&self) -> bool {
        matches!(self, Self::Segment { is_newest: true, .. })
    }
}

/// A segment has gone that was there.
pub(crate) fn say_removed(path: &Path) {
    log::warn!("read '{}': the spool's writer has removed it meanwhile; passed over", path.display());
}

fn is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_segment_that_is_gone_is_passed_over_and_another_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("00000000000000000001.ndjson");
        fs::write(&path, "").unwrap();
        let inputs: Vec<Input> = of(&[dir.path().to_owned()]).collect::<Result<_, _>>().unwrap();
        assert_eq!(inputs, [Input::Segment { path: path.clone(), is_newest: true }]);
        fs::remove_file(&path).unwrap();
        assert!(inputs[0].open().unwrap().is_none());
        Input::File(Some(path)).open().unwrap_err();
    }
}

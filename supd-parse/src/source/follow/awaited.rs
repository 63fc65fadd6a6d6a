//! A path that names nothing yet: whether it will be a file or a spool is known once it is there.

use std::path::{Path, PathBuf};

use supd_core::spool::segments;

use super::Followed;
use super::named::Named;
use super::spool::FollowedSpool;
use crate::source::Stream;

/// What a path names, or will name.
pub(super) struct Awaited {
    pub(super) path: PathBuf,
    found: Option<Box<dyn Followed>>,
    said: bool,
}

impl Awaited {
    /// Looks whether it is there.
    ///
    /// # Errors
    /// A directory that is there and no spool: that is better known at once than waited for.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            segments(path)?;
        }
        Ok(Self { path: path.to_owned(), found: None, said: false })
    }

    fn find(&self) -> Result<Box<dyn Followed>, String> {
        if self.path.is_dir() {
            segments(&self.path).map_err(|error| format!("{error:#}"))?;
            return Ok(Box::new(FollowedSpool::new(&self.path)));
        }
        match self.path.symlink_metadata() {
            Ok(_) => Ok(Box::new(Named::new(&self.path))),
            Err(error) => Err(format!("follow '{}': {error}", self.path.display())),
        }
    }
}

impl Followed for Awaited {
    fn read(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        if let Some(found) = &mut self.found {
            return found.read(stream);
        }
        match self.find() {
            Ok(found) => {
                self.found = Some(found);
                Ok(true)
            }
            Err(why) => {
                if !std::mem::replace(&mut self.said, true) {
                    log::info!("{why}; waiting for it");
                }
                Ok(false)
            }
        }
    }

    fn end(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<()> {
        self.found.as_mut().map_or(Ok(()), |found| found.end(stream))
    }
}

//! A spool as its writer leaves it: one segment after another.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use supd_core::spool::{segment_number, segments};

use super::Followed;
use super::tail::Tail;
use crate::source::{Stream, inputs};

/// A spool that is followed.
pub(super) struct FollowedSpool {
    path: PathBuf,
    /// The segment that is read, by its number.
    tail: Option<(u64, PathBuf, Tail)>,
    /// Up to this number segments are done with.
    done: Option<u64>,
    is_gone: bool,
}

impl FollowedSpool {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), tail: None, done: None, is_gone: false }
    }

    /// The segments that are there; none where the spool is not.
    fn segments(&mut self) -> Vec<(u64, PathBuf)> {
        let numbered = |path: PathBuf| Some((segment_number(&path)?, path));
        match segments(&self.path) {
            Ok(segments) => {
                self.is_gone = false;
                segments.into_iter().filter_map(numbered).collect()
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_gone, true) {
                    log::info!("{error:#}; waiting for it");
                }
                Vec::new()
            }
        }
    }

    /// Goes on with the next segment, if there is one; whether there is.
    fn go_on(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        let segments = self.segments();
        if self.was_made_anew(&segments)? {
            log::warn!(
                "follow '{}': the spool was made anew; reading it from its start",
                self.path.display()
            );
            (self.tail, self.done) = (None, None);
        }
        let next = |(number, _): &(u64, PathBuf)| self.done.is_none_or(|done| *number > done);
        let Some((number, path)) = segments.into_iter().find(next) else { return Ok(false) };
        if let Some((_, _, mut tail)) = self.tail.take() {
            // Its writer had left it before there was another.
            while stream.flow.is_continue() && tail.read(stream)? {}
            let torn = tail.torn().with_context(|| format!("follow '{}'", self.path.display()))?;
            if torn > 0 {
                log::warn!(
                    "follow '{}': {torn} bytes of a line that was never whole are left out",
                    self.path.display()
                );
            }
        }
        self.done = Some(number);
        match Tail::open(&path, stream).with_context(|| format!("follow '{}'", path.display()))? {
            Some(tail) => self.tail = Some((number, path, tail)),
            None => inputs::say_removed(&path),
        }
        Ok(true)
    }

    /// Whether somebody has removed the spool and made another, whose numbers begin again.
    fn was_made_anew(&self, segments: &[(u64, PathBuf)]) -> anyhow::Result<bool> {
        let Some((number, path, tail)) = &self.tail else { return Ok(false) };
        Ok(match segments.last() {
            None => false,
            Some((last, _)) if last < number => true,
            Some((last, _)) if last == number => {
                !tail.is_at(path).with_context(|| format!("follow '{}'", path.display()))?
            }
            Some(_) => false,
        })
    }
}

impl Followed for FollowedSpool {
    fn read(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        if let Some((_, _, tail)) = &mut self.tail
            && tail.has_changed()?
            && tail.read(stream)?
        {
            return Ok(true);
        }
        self.go_on(stream)
    }
}

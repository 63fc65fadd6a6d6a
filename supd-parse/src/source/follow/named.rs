//! A file by its name, whichever file has that: log rotation gives it to another.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Followed;
use super::tail::Tail;
use crate::source::Stream;

/// Of several programs that write to a file some may be late to notice that it was moved.
const GRACE: Duration = Duration::from_secs(5);
/// Where a file is moved away more often than that, the oldest is let go of.
const MAX_MOVED: usize = 16;

/// A file that is followed by its name.
pub(super) struct Named {
    path: PathBuf,
    tail: Option<Tail>,
    /// Those that had the name before, and how long they are read once their successor has begun; the oldest first.
    moved: VecDeque<(Tail, Option<Instant>)>,
    /// What was said last of why it cannot be read.
    said: Option<String>,
}

impl Named {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), tail: None, moved: VecDeque::new(), said: None }
    }

    /// Goes on with another file, if there is one of that name; whether there is.
    fn look(&mut self, stream: &Stream<'_>) -> bool {
        let at = self.tail.as_ref().map_or(Ok(false), |tail| tail.is_at(&self.path));
        let found = match at {
            Ok(true) => return false,
            Ok(false) => Tail::open(&self.path, stream),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(tail)) => {
                log::debug!("follow '{}': reading it from its start", self.path.display());
                self.said = None;
                self.moved.extend(self.tail.replace(tail).map(|moved| (moved, None)));
                true
            }
            Ok(None) => self.say("it is not there; waiting for it".to_owned()),
            Err(error) => self.say(format!("{error}; waiting for it to get well")),
        }
    }

    /// Says it, but not again and again.
    fn say(&mut self, why: String) -> bool {
        if self.said.as_ref() != Some(&why) {
            log::info!("follow '{}': {why}", self.path.display());
            self.said = Some(why);
        }
        false
    }

    /// Reads what has still come to those that were moved away; whether there was anything.
    fn read_moved(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        let mut has_read = false;
        for (tail, _) in &mut self.moved {
            while stream.flow.is_continue() && tail.read(stream)? {
                has_read = true;
            }
        }
        Ok(has_read)
    }

    /// Lets go of those that nobody writes to any more.
    fn let_go(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.tail.as_ref().is_some_and(Tail::has_begun) {
            self.moved.iter_mut().for_each(|(_, until)| *until = until.or(Some(now + GRACE)));
        }
        let is_over = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        while self.moved.len() > MAX_MOVED || self.moved.front().is_some_and(|(_, until)| is_over(until)) {
            let Some((tail, _)) = self.moved.pop_front() else { break };
            tail.finish(stream)?;
        }
        Ok(())
    }
}

impl Followed for Named {
    fn read(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<bool> {
        // Asked first: what was written to a moved file before the other was begun is there now, and comes first.
        let has_changed = match &mut self.tail {
            Some(tail) => tail.has_changed()?,
            None => false,
        };
        let mut has_read = self.read_moved(stream)?;
        if has_changed && let Some(tail) = &mut self.tail {
            has_read |= tail.read(stream)?;
        }
        self.let_go(stream)?;
        Ok(has_read || self.look(stream))
    }

    fn end(&mut self, stream: &mut Stream<'_>) -> anyhow::Result<()> {
        self.moved.drain(..).try_for_each(|(tail, _)| tail.finish(stream))
    }
}

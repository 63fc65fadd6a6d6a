//! Which target gets a record.

use std::sync::Arc;

use supd_core::Kind;

use crate::parcel::Letter;
use crate::queue::{Entry, Queue};

/// The ways to the targets.
pub(crate) struct Router {
    queues: Vec<Arc<Queue>>,
}

impl Router {
    /// Every target gets everything.
    pub(crate) fn to_all(queues: Vec<Arc<Queue>>) -> Self {
        Self { queues }
    }

    /// Queues a record for whom it is for; the others learn that its number has passed.
    pub(crate) fn route(&self, letter: Letter) {
        if letter.record.kind() == Kind::Mark {
            let Some(seq) = letter.record.seq else { return };
            self.queues.iter().for_each(|queue| queue.push(Entry::Passed(seq)));
            return;
        }
        let letter = Arc::new(letter);
        self.queues.iter().for_each(|queue| queue.push(Entry::Letter(Arc::clone(&letter))));
    }
}

//! How many records are wanted: all, the first, or the last.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use supd_core::flat::Scanner;

use crate::format::Format;
use crate::item::Item;

/// Which of the records that pass are written.
#[derive(Debug)]
pub(crate) enum Limit {
    /// Each, as it comes.
    None,
    /// So many yet; nothing is read after them.
    First(u64),
    /// So many at the end, of which the lines are kept until then; and the last mark, which must not overtake them.
    Last(usize, VecDeque<Vec<u8>>, Option<Vec<u8>>),
}

impl Limit {
    /// From `--limit` and `--tail`, of which one can be given.
    pub(crate) fn new(first: Option<u64>, last: Option<usize>) -> Self {
        match (first, last) {
            (Some(first), _) => Self::First(first),
            (None, Some(last)) => Self::Last(last, VecDeque::new(), None),
            (None, None) => Self::None,
        }
    }

    /// Whether all are wanted, each as it comes.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Writes a record, or keeps it. Breaks off when it was the last one wanted.
    pub(crate) fn give(
        &mut self,
        item: &Item<'_>,
        format: &mut dyn Format,
        out: &mut Vec<u8>,
    ) -> ControlFlow<()> {
        match self {
            Self::None => format.write(item, out),
            Self::First(0) => return ControlFlow::Break(()),
            Self::First(left) => {
                format.write(item, out);
                *left -= 1;
                if *left == 0 {
                    return ControlFlow::Break(());
                }
            }
            Self::Last(0, ..) => {}
            Self::Last(wanted, lines, _) => {
                // The memory of the oldest serves the newest.
                let mut line =
                    if lines.len() < *wanted { None } else { lines.pop_front() }.unwrap_or_default();
                line.clear();
                item.write_line(&mut line);
                line.pop();
                lines.push_back(line);
            }
        }
        ControlFlow::Continue(())
    }

    /// Passes a mark on, behind what is kept.
    pub(crate) fn mark(&mut self, item: &Item<'_>, format: &mut dyn Format, out: &mut Vec<u8>) {
        match self {
            Self::Last(_, _, mark) => {
                let line = mark.get_or_insert_default();
                line.clear();
                item.write_line(line);
                line.pop();
            }
            Self::None | Self::First(_) => format.mark(item, out),
        }
    }

    /// Writes what was kept; what comes from now on is written as it comes.
    pub(crate) fn end(&mut self, format: &mut dyn Format, out: &mut Vec<u8>) {
        let Self::Last(_, lines, mark) = self else { return };
        let mut scanner = Scanner::default();
        for line in lines.drain(..) {
            format.write(&Item::read_any(&mut scanner, &line), out);
        }
        if let Some(mark) = mark {
            format.mark(&Item::read_any(&mut scanner, mark), out);
        }
        *self = Self::None;
    }
}

//! How a listener begins.

use std::time::Duration;

use super::case::{Case, Level, Section};

/// What is written by mistake comes with what is written on purpose, or at once after it.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

pub(crate) const SECTION: Section = Section {
    name: "start",
    title: "Start",
    cases: &[
        Case {
            id: "start/output",
            level: Level::Must,
            requires: "the listener speaks first, without waiting for input",
            why: "supervisord sends nothing before READY. Output to a pipe stays in the program's own buffer until it \
                  is flushed.",
            needs: &[],
            only: None,
            run: |session| match session.gather(|received| !received.is_empty())?.is_empty() {
                true => session.fail(None, "READY"),
                false => Ok(()),
            },
        },
        Case {
            id: "start/ready",
            level: Level::Must,
            requires: r"the first thing it writes is exactly READY\n",
            why: r"A banner, a warning of the runtime, or READY\r\n in its place is not understood.",
            needs: &["start/output"],
            only: None,
            run: |session| session.ready(),
        },
        Case {
            id: "start/once",
            level: Level::Must,
            requires: "it writes READY once, and nothing with it",
            why: "While the listener is READY it is supervisord's turn to speak; any byte is out of place, a second \
                  READY too.",
            needs: &["start/ready"],
            only: None,
            run: |session| {
                session.ready()?;
                session.quiet(MOMENT)
            },
        },
    ],
};

//! Events that come slowly, as they do when supervisord has much to do.

use std::time::Duration;

use super::case::{Case, Level, Section};
use super::framing::{header_len, in_parts};
use super::session::Pause;

const SLOW: &[&str] = &["framing/parts"];
/// supervisord writes the next part of a large event after this, when it is busy.
const TURN: Duration = Duration::from_millis(50);
const STALL: Duration = Duration::from_millis(300);

pub(crate) const SECTION: Section = Section {
    name: "pace",
    title: "Slow writes",
    cases: &[
        Case {
            id: "pace/parts",
            level: Level::Must,
            requires: "a large event may come in parts 50 ms apart",
            why: "So supervisord sends what does not fit into the pipe, under load.",
            needs: SLOW,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.log_of_size(200_000);
                let parts: Vec<&[u8]> = event.chunks(64 * 1024).collect();
                in_parts(session, &parts, Pause::Longer(TURN))
            },
        },
        Case {
            id: "pace/header",
            level: Level::Must,
            requires: "a header may stop in its middle for 300 ms",
            why: "A machine that swaps stops anybody anywhere; a read timeout must not lose the half that came.",
            needs: SLOW,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                let (first, second) = event.split_at(40);
                in_parts(session, &[first, second], Pause::Longer(STALL))
            },
        },
        Case {
            id: "pace/payload",
            level: Level::Must,
            requires: "a header may come 300 ms before its payload",
            why: "The same; and whoever answers without waiting for the payload is found out.",
            needs: SLOW,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                let (header, payload) = event.split_at(header_len(&event));
                in_parts(session, &[header, payload], Pause::Longer(STALL))
            },
        },
        Case {
            id: "pace/mid-character",
            level: Level::Must,
            requires: "a payload may be cut within a character",
            why: "Parts end at bytes; each part decoded by itself gives two broken characters instead of one, and a \
                  wrong count.",
            needs: &["framing/parts", "text/in-step"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.log("日本\nmore\n");
                // Within the first character, and then within the second.
                let first = event.len() - "日本\nmore\n".len() + 1;
                let (one, rest) = event.split_at(first);
                let (two, three) = rest.split_at(4);
                in_parts(session, &[one, two, three], Pause::Longer(TURN))
            },
        },
    ],
};

//! Payloads from nothing to megabytes. A pipe holds 64 KiB; supervisord writes the rest as the listener reads.

use super::case::{Case, Level, Section, Verdict};
use super::framing::BASIC;
use super::session::Session;

const PIPE: usize = 64 * 1024;

pub(crate) const SECTION: Section = Section {
    name: "size",
    title: "Sizes",
    cases: &[
        Case {
            id: "size/empty",
            level: Level::Must,
            requires: "an empty payload (len:0) is an event",
            why: "SUPERVISOR_STATE_CHANGE_RUNNING and _STOPPING have none; waiting for one byte of it hangs.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.event("SUPERVISOR_STATE_CHANGE_RUNNING", "");
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "size/pipe",
            level: Level::Must,
            requires: "events as large as a pipe, and one byte less and more, are read",
            why: "At 64 KiB the pipe is full, and what is left comes in a second write.",
            needs: &["framing/parts"],
            only: None,
            run: |session| large(session, &[PIPE - 1, PIPE, PIPE + 1]),
        },
        Case {
            id: "size/300k",
            level: Level::Must,
            requires: "an event of 300 KB is read to its end before it is answered",
            why: "A payload larger than the pipe comes in parts, and so it returns from read(2).",
            needs: &["framing/parts"],
            only: None,
            run: |session| large(session, &[300_000]),
        },
        Case {
            id: "size/2m",
            level: Level::Must,
            requires: "an event of 2 MB is read to its end before it is answered",
            why: "PROCESS_COMMUNICATION and remote events have no limit but stdout_capture_maxbytes.",
            needs: &["size/300k"],
            only: None,
            run: |session| large(session, &[2_000_000]),
        },
    ],
};

fn large(session: &mut Session<'_>, sizes: &[usize]) -> Verdict {
    session.ready()?;
    for &bytes in sizes {
        let event = session.log_of_size(bytes);
        session.handle_and_stay_in_step(&event)?;
    }
    Ok(())
}

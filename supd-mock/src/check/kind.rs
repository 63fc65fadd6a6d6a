//! Events of every kind, known or not, new or not.

use supd_core::LenUnit;

use super::case::{Case, Level, Section};
use super::framing::BASIC;

/// One of each kind, as supervisord writes them.
const KNOWN: [(&str, &str); 22] = [
    ("PROCESS_STATE_STARTING", "processname:web groupname:web from_state:STOPPED tries:0"),
    ("PROCESS_STATE_RUNNING", "processname:web groupname:web from_state:STARTING pid:4711"),
    ("PROCESS_STATE_BACKOFF", "processname:web groupname:web from_state:STARTING tries:1"),
    ("PROCESS_STATE_STOPPING", "processname:web groupname:web from_state:RUNNING pid:4711"),
    ("PROCESS_STATE_EXITED", "processname:web groupname:web from_state:RUNNING expected:0 pid:4711"),
    ("PROCESS_STATE_STOPPED", "processname:web groupname:web from_state:STOPPING pid:4711"),
    ("PROCESS_STATE_FATAL", "processname:web groupname:web from_state:BACKOFF"),
    ("PROCESS_STATE_UNKNOWN", "processname:web groupname:web from_state:FATAL"),
    ("PROCESS_LOG_STDOUT", "processname:web groupname:web pid:4711 channel:stdout\nhello\n"),
    ("PROCESS_LOG_STDERR", "processname:web groupname:web pid:4711 channel:stderr\n"),
    ("PROCESS_COMMUNICATION_STDOUT", "processname:web groupname:web pid:4711\nhello"),
    ("PROCESS_COMMUNICATION_STDERR", "processname:web groupname:web pid:4711\n"),
    ("REMOTE_COMMUNICATION", "type:deploy\nversion 7"),
    ("REMOTE_COMMUNICATION", "type:\n"),
    ("REMOTE_COMMUNICATION", "type:two words\n:"),
    ("SUPERVISOR_STATE_CHANGE_RUNNING", ""),
    ("SUPERVISOR_STATE_CHANGE_STOPPING", ""),
    ("TICK_5", "when:1795356105"),
    ("TICK_60", "when:1795356060"),
    ("TICK_3600", "when:1795353600"),
    ("PROCESS_GROUP_ADDED", "groupname:web\n"),
    ("PROCESS_GROUP_REMOVED", "groupname:web\n"),
];

pub(crate) const SECTION: Section = Section {
    name: "event",
    title: "Kinds of events",
    cases: &[
        Case {
            id: "event/known",
            level: Level::Must,
            requires: "every kind of event that supervisord has is answered",
            why: "Events leak into pools that did not subscribe to them when another listener rejects them.",
            needs: &["framing/two", "framing/newlines", "size/empty"],
            only: None,
            run: |session| {
                session.ready()?;
                for (eventname, payload) in KNOWN {
                    let event = session.event(eventname, payload);
                    session.handle(&event)?;
                }
                Ok(())
            },
        },
        Case {
            id: "event/unknown",
            level: Level::Must,
            requires: "an event whose name nobody knows is answered too",
            why: "A later supervisord, or a plugin, may send it, and events=EVENT subscribes to all.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let event =
                    session.event("PROCESS_MEMORY_PRESSURE", "processname:web groupname:web rss:4711");
                session.handle_and_stay_in_step(&event)?;
                let event = session.event("X", "nothing of the kind");
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "event/tokens",
            level: Level::Should,
            requires: "a token in the payload that nobody knows is passed over",
            why: "Each version of supervisord has added some.",
            needs: &["event/known"],
            only: None,
            run: |session| {
                session.ready()?;
                let payload = "processname:web groupname:web from_state:RUNNING expected:0 pid:4711 signal:11 core:/tmp/core.1";
                let event = session.event("PROCESS_STATE_EXITED", payload);
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "event/reload",
            level: Level::Must,
            requires: "numbers that start again from 0 are accepted",
            why: "At a reload poolserial starts again, and the listener may have outlived its supervisord.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                session.serial = 70_000;
                let event = session.tick();
                session.handle(&event)?;
                let mut header = session.header("TICK_5");
                (header.serial, header.poolserial) = (0, 0);
                let event = session.wire(header, "when:1795356110");
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "event/again",
            level: Level::Must,
            requires: "an event that comes again with the same numbers is answered again",
            why: "So it is sent after a crash, or when two subscriptions overlap; unanswered it blocks the rest.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.tick();
                session.handle(&event)?;
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "event/no-channel",
            level: Level::Must,
            requires: "a log event without a channel is answered",
            why: "So the Go supervisord writes them.",
            needs: &["event/known"],
            only: Some(LenUnit::Bytes),
            run: |session| {
                session.ready()?;
                let payload = "processname:web groupname:web pid:4711\nhello\n";
                let event = session.event("PROCESS_LOG_STDOUT", payload);
                session.handle_and_stay_in_step(&event)
            },
        },
    ],
};

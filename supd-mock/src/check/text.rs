//! What `len` counts, and what text may hold.

use supd_core::LenUnit;

use super::case::{Case, Level, Section};
use super::framing::{self, BASIC};
use super::start::MOMENT;

/// In bytes it is much longer than in characters, and what a reader in the wrong unit leaves over is no header.
const ACCENTS: &str = "ééééééééééééééééééééééééé\nover\nand\nover\nagain\n";
const IN_STEP: &[&str] = &["text/in-step"];

pub(crate) const SECTION: Section = Section {
    name: "text",
    title: "Characters and bytes",
    cases: &[
        Case {
            id: "text/non-ascii",
            level: Level::Must,
            requires: "a payload with é in it is answered",
            why: "One program that prints an accent must not end the listener, or hang it.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.log(ACCENTS);
                session.handle(&event)
            },
        },
        Case {
            id: "text/in-step",
            level: Level::Must,
            requires: "after it the next event is read from its beginning",
            why: "supervisord under Python 3 counts characters in len, and the Go one bytes (--len bytes). In the wrong \
                  unit, the rest of the payload is taken for the next header; more than 64 KiB of it crash supervisord.",
            needs: &["text/non-ascii"],
            only: None,
            run: |session| {
                session.ready()?;
                let event = session.log(ACCENTS);
                session.handle(&event)?;
                session.quiet(MOMENT)?;
                let next = session.tick();
                session.handle(&next)
            },
        },
        Case {
            id: "text/three-bytes",
            level: Level::Must,
            requires: "so it is with characters of three bytes (€, 日)",
            why: "Their number must be counted, not guessed.",
            needs: IN_STEP,
            only: None,
            run: |session| framing::log(session, "€€€ 日本語\nmore\nand\nmore\n"),
        },
        Case {
            id: "text/four-bytes",
            level: Level::Must,
            requires: "so it is with characters of four bytes (😀)",
            why: "Where strings are UTF-16 (JavaScript, Java, C#) each of them has length 2.",
            needs: IN_STEP,
            only: None,
            run: |session| framing::log(session, "😀😀😀😀😀😀😀😀\nmore\nand\nmore\n"),
        },
        Case {
            id: "text/names",
            level: Level::Must,
            requires: "so it is with a process whose name is not ASCII",
            why: "Names accept nearly everything, in every kind of event.",
            needs: IN_STEP,
            only: None,
            run: |session| {
                session.ready()?;
                let payload = "processname:café groupname:日本 from_state:RUNNING expected:0 pid:4711";
                let event = session.event("PROCESS_STATE_EXITED", payload);
                session.handle_and_stay_in_step(&event)
            },
        },
        Case {
            id: "text/control",
            level: Level::Must,
            requires: "NUL and other control characters are text",
            why: "Programs print colours, bells and binary data.",
            needs: BASIC,
            only: None,
            run: |session| framing::log(session, "a\0b\0\0\u{1}\u{7}\u{8}\u{1b}[31m\u{1a}\u{4}\u{7f}\t."),
        },
        Case {
            id: "text/crlf",
            level: Level::Must,
            requires: r"\r\n counts as two characters, and \r as one",
            why: "Text mode turns them into one newline before they are counted, and then waits for the rest.",
            needs: BASIC,
            only: None,
            run: |session| framing::log(session, "progress 1%\rprogress 2%\r\nover\r\n"),
        },
        Case {
            id: "text/separators",
            level: Level::Must,
            requires: "U+0085, U+2028, form feed and their like end no line",
            why: "Only \\n does; some libraries split lines at all of them.",
            needs: IN_STEP,
            only: None,
            run: |session| {
                framing::log(session, "a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\u{1c}g\u{feff}h\u{a0}i")
            },
        },
        Case {
            id: "text/not-utf8",
            level: Level::Must,
            requires: "bytes that are not UTF-8 are read all the same",
            why: "Where len counts bytes, what a program prints is passed on as it is.",
            needs: BASIC,
            only: Some(LenUnit::Bytes),
            run: |session| {
                session.ready()?;
                let event = session.log(b"latin-1: \xe9\xe8\xff, and cut: \xe6\x97");
                session.handle_and_stay_in_step(&event)
            },
        },
    ],
};

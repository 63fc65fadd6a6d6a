//! What a header line may look like.

use supd_core::wire::Header;

use super::case::{Case, Level, Section, Verdict};
use super::framing::BASIC;
use super::session::Session;

/// Of its lines, none is a header: whoever reads too little of it stumbles over the rest.
const PAYLOAD: &str = "processname:web groupname:web pid:4711 channel:stdout\none\ntwo\n";
const EVENT: &str = "PROCESS_LOG_STDOUT";

pub(crate) const SECTION: Section = Section {
    name: "header",
    title: "Headers",
    cases: &[
        Case {
            id: "header/spaces",
            level: Level::Must,
            requires: "supervisord's identifier may hold spaces",
            why: "identifier= accepts any text: words without a colon belong to the token before them.",
            needs: BASIC,
            only: None,
            run: |session| server(session, "web server 1"),
        },
        Case {
            id: "header/colons",
            level: Level::Must,
            requires: "supervisord's identifier may hold colons",
            why: "Only the first colon of a token separates; host:port is a likely identifier.",
            needs: BASIC,
            only: None,
            run: |session| server(session, "web1:9001:a"),
        },
        Case {
            id: "header/empty",
            level: Level::Must,
            requires: "supervisord's identifier may be empty",
            why: "identifier= with nothing after it is accepted.",
            needs: BASIC,
            only: None,
            run: |session| server(session, ""),
        },
        Case {
            id: "header/non-ascii",
            level: Level::Must,
            requires: "supervisord's identifier may be other than ASCII",
            why: "The header is UTF-8; its characters do not count in len.",
            needs: &["text/non-ascii"],
            only: None,
            run: |session| server(session, "bücher-日本-😀"),
        },
        Case {
            id: "header/blanks",
            level: Level::Should,
            requires: "tokens are separated by U+0020 only, not by tabs or U+00A0",
            why: "Tab and no-break space are allowed in names; split() without an argument splits at them.",
            needs: &["header/spaces", "header/non-ascii"],
            only: None,
            run: |session| {
                session.ready()?;
                let mut header = session.header(EVENT);
                header.server = "a\tb\u{a0}c\u{3000}d\u{2028}e".into();
                header.pool = "rec\torder".into();
                handle(session, header)
            },
        },
        Case {
            id: "header/lookalike",
            level: Level::Should,
            requires: "words of the identifier that look like tokens are not tokens",
            why: "What is right of the identifier is certain; of two len: the last is the length.",
            needs: &["header/spaces", "header/colons"],
            only: None,
            run: |session| server(session, "a b:c len:3 serial:7 x"),
        },
        Case {
            id: "header/pool",
            level: Level::Should,
            requires: "a pool's name may begin with a space",
            why: "[eventlistener: rec] is a section that supervisord accepts.",
            needs: &["header/spaces"],
            only: None,
            run: |session| {
                session.ready()?;
                let mut header = session.header(EVENT);
                header.pool = " rec".into();
                handle(session, header)
            },
        },
        Case {
            id: "header/order",
            level: Level::Should,
            requires: "tokens are found by name, not by place",
            why: "The protocol names its tokens, and promises no order.",
            needs: BASIC,
            only: None,
            run: |session| {
                session.ready()?;
                let Header { serial, .. } = session.header("TICK_5");
                let line = format!(
                    "ver:3.0 server:supervisor len:15 eventname:TICK_5 poolserial:{serial} pool:listener serial:{serial}"
                );
                session.handle_and_stay_in_step(format!("{line}\nwhen:1795356105").as_bytes())
            },
        },
        Case {
            id: "header/unknown",
            level: Level::Should,
            requires: "a token that nobody knows is passed over",
            why: "A later supervisord may have more to say.",
            needs: &["header/order"],
            only: None,
            run: |session| {
                session.ready()?;
                let mut header = session.header(EVENT);
                header.other = vec![("host".into(), "web1".into()), ("trace".into(), "00-4bf9".into())];
                handle(session, header)
            },
        },
    ],
};

fn server(session: &mut Session<'_>, identifier: &str) -> Verdict {
    session.ready()?;
    let mut header = session.header(EVENT);
    header.server = identifier.into();
    handle(session, header)
}

fn handle(session: &mut Session<'_>, header: Header) -> Verdict {
    let event = session.wire(header, PAYLOAD);
    session.handle_and_stay_in_step(&event)
}

//! Input that somebody made so that it costs time or memory.

mod laws;

use supd_core::{Decoder, Event, Header, LenMode, LenUnit, Payload};

const TICK: &str = "ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:TICK_5 len:6\nwhen:5";

#[test]
fn of_event_names_beyond_number_not_all_are_remembered() {
    let mut decoder = Decoder::live(LenMode::Auto, 1024);
    for number in 0..5000 {
        let name = format!("{number:0200}");
        let payload = Payload { body: Some("é".into()), ..Payload::default() };
        let header = Header { ver: "3.0".into(), eventname: name, ..Header::default() };
        decoder.feed(&Event { header, payload }.encode(LenUnit::Chars));
        assert!(decoder.next().unwrap().is_some());
    }
    assert!(decoder.held() < 200_000, "{}", decoder.held());
}

#[test]
fn a_header_of_many_tokens_keeps_their_order() {
    let tokens: Vec<String> = (0..6000).map(|number| format!("t:{number}")).collect();
    let line =
        format!("ver:3.0 server:s serial:1 pool:p poolserial:2 eventname:E {} len:0", tokens.join(" "));
    let header = Header::parse(line.as_bytes()).unwrap();
    assert_eq!(header.encode(), line + "\n");
}

#[test]
fn a_line_of_many_words_is_no_line_of_tokens() {
    let tokens: Vec<String> = (0..200_000).map(|number| format!("t{number}:")).collect();
    let line = tokens.join(" ");
    let payload = Payload::parse("LATER", line.as_bytes());
    assert_eq!(payload.body.as_deref(), Some(line.as_bytes()));
}

#[test]
fn beginnings_of_headers_that_go_on_for_ever_end_in_an_error() {
    let mut decoder = Decoder::stored(LenMode::Bytes, 4 << 20);
    decoder.feed(TICK.as_bytes());
    assert!(decoder.next().unwrap().is_some());
    decoder.feed(b"x");
    let fed = (0..10_000).find(|_| {
        decoder.feed(&b"ver:".repeat(1024));
        decoder.next().is_err()
    });
    assert_eq!(fed.map(|times| times * 4096 / (1 << 20)), Some(4));
}

#[test]
fn a_header_beyond_its_bounds_is_none_at_any_cut() {
    let far = [TICK.as_bytes(), &vec![b'x'; 200_000], TICK.as_bytes()].concat();
    let long = TICK.replace("server:s", &format!("server:{}", "s".repeat(100_000)));
    for wire in [&far[..], long.as_bytes()] {
        let found = |size: usize| {
            let mut decoder = Decoder::stored(LenMode::Auto, 16);
            let mut found = 0;
            for chunk in wire.chunks(size) {
                decoder.feed(chunk);
                loop {
                    match decoder.next() {
                        Ok(Some(_)) => found += 1,
                        Ok(None) => break,
                        Err(_) => return (found, true),
                    }
                }
            }
            (found, false)
        };
        assert!(found(usize::MAX).1);
        assert_eq!(found(1000), found(usize::MAX));
    }
}

#[test]
fn the_largest_bounds_do_not_overflow() {
    let mut decoder = Decoder::stored(LenMode::Auto, usize::MAX);
    decoder.feed([TICK.as_bytes(), b"stray"].concat().as_slice());
    assert!(decoder.next().unwrap().is_some());
    assert!(decoder.next().unwrap().is_none());
    let huge = TICK.replace("len:6", &format!("len:{}", usize::MAX));
    let mut decoder = Decoder::live(LenMode::Auto, usize::MAX);
    decoder.feed(huge.as_bytes());
    assert!(decoder.next().unwrap().is_none());
}

#[test]
fn what_repeats_for_ever_is_not_held() {
    for again in
        [TICK, "x", "ver:", "\n", "é", &format!("{TICK}x"), &format!("{TICK}é\n"), &TICK.replace("when", "é")]
    {
        for choices in 0..6u8 {
            laws::endless(&[again.as_bytes(), &[choices % 3, choices / 3, 0, 0, 0, 0, 0, 0]].concat());
        }
    }
}

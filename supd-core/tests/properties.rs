//! What holds for any input: no bytes make the decoder or the reader panic, and no cut changes what they find.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod laws;

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use supd_core::{Decoded, Decoder, Event, Header, LenMode, LenUnit, Payload, Record};

fn decode(wire: &[u8], cuts: &[usize]) -> (Vec<Decoded>, bool) {
    let mut decoder = Decoder::stored(LenMode::Auto, 1 << 20);
    let mut found = Vec::new();
    let mut rest = wire;
    let mut sizes = cuts.iter().copied().cycle();
    loop {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(usize::MAX).min(rest.len()));
        decoder.feed(chunk);
        rest = after;
        if rest.is_empty() {
            decoder.finish();
        }
        loop {
            match decoder.next() {
                Ok(Some(decoded)) => found.push(decoded),
                Ok(None) if rest.is_empty() => return (found, true),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let header = ("[^\n]{0,12}", any::<u64>(), " ?[a-z ]{1,8}", any::<u64>());
    let event = (header, "[^ :\n]{1,8}", any::<u64>(), "(?s).{0,40}").prop_map(
        |((server, serial, pool, poolserial), name, pid, body)| Event {
            header: Header {
                ver: "3.0".into(),
                server,
                serial,
                pool: pool.trim_end().to_owned() + "x",
                poolserial,
                eventname: "PROCESS_LOG_STDOUT".into(),
                ..Header::default()
            },
            payload: Payload {
                processname: Some(name),
                pid: Some(pid),
                channel: Some("stdout".into()),
                body: Some(body.into_bytes()),
                ..Payload::default()
            },
        },
    );
    prop::collection::vec(event, 1..6)
}

/// Real bytes of this form with pieces taken out, put in, doubled and moved, and with the choices of a law at their end.
fn damaged(extension: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == extension))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(files.len() > 20);
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        Just(b"ver:3.0 server:".to_vec()),
        Just(b"len:4".to_vec()),
        Just("é".into()),
        Just(b"\n".to_vec()),
    ];
    let damage =
        (any::<Index>(), any::<Index>(), any::<Index>(), prop_oneof![Just(None), piece.prop_map(Some)]);
    let damages = prop::collection::vec(damage, 0..5);
    let choices = prop::collection::vec(any::<u8>(), 8);
    (prop::sample::select(files), any::<Index>(), damages, choices).prop_map(
        |(mut bytes, start, damages, choices)| {
            // A window, for whole captures take long.
            let start = start.index(bytes.len());
            bytes = bytes[start / 2..bytes.len().min(start / 2 + 3000)].to_vec();
            for (one, other, to, piece) in damages {
                if bytes.is_empty() {
                    break;
                }
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                let range = one.min(other)..one.max(other).min(one.min(other) + 200);
                let to = to.index(bytes.len());
                match piece {
                    // What it had elsewhere, and what it never had.
                    None => drop(bytes.splice(to..to, bytes[range].to_vec())),
                    Some(piece) => drop(bytes.splice(range, piece)),
                }
            }
            bytes.extend(choices);
            bytes
        },
    )
}

/// A key and a value, of the type that it should have or of another.
fn pair() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(supd_core::record::KEYS.to_vec());
    let values = prop::sample::select(vec![
        "7",
        "\"x\"",
        "null",
        "true",
        "{\"a\":\"b\"}",
        "[1.5]",
        "\"eQ==\"",
        "\"\"",
    ]);
    (keys, values)
        .prop_filter("the name is there already", |(key, _)| *key != "eventname")
        .prop_map(|(key, value)| format!("\"{key}\":{value}"))
}

proptest! {
    // What fails is printed, and belongs into a test of its own rather than into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_are_found_at_every_cut_in_either_unit(
        sent in events(),
        cuts in prop::collection::vec(1usize..50, 1..8),
        chars in any::<bool>(),
    ) {
        let unit = if chars { LenUnit::Chars } else { LenUnit::Bytes };
        let wire: Vec<u8> = sent.iter().flat_map(|event| event.encode(unit)).collect();
        let (found, ended_well) = decode(&wire, &cuts);
        prop_assert!(ended_well);
        let strip = |mut event: Event| { event.header.len = 0; event };
        let found: Vec<Event> = found
            .into_iter()
            .map(|decoded| match decoded {
                Decoded::Event(event, _) => strip(event),
                Decoded::Stray { .. } => panic!("{decoded:?}"),
            })
            .collect();
        prop_assert_eq!(found, sent);
    }

    #[test]
    fn no_bytes_break_a_law(bytes in prop::collection::vec(any::<u8>(), 0..300), len in 0usize..400) {
        let mut wire = format!("ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:PROCESS_LOG_STDOUT len:{len}\n")
            .into_bytes();
        wire.extend(&bytes);
        for bytes in [&bytes, &wire] {
            laws::decoder(bytes);
            laws::reader(bytes);
        }
    }

    #[test]
    fn no_damage_to_a_capture_breaks_a_law(bytes in damaged("raw")) {
        laws::decoder(&bytes);
        laws::reader(&bytes);
    }

    #[test]
    fn no_damage_to_records_breaks_a_law(bytes in damaged("ndjson")) {
        laws::reader(&bytes);
        bytes.split(|&byte| byte == b'\n').for_each(laws::record);
    }

    #[test]
    fn no_odd_value_and_no_repetition_breaks_the_law_of_records(pairs in prop::collection::vec(pair(), 0..6)) {
        laws::record(format!("{{\"eventname\":\"PROCESS_GROUP_ADDED\",{}}}", pairs.join(",")).as_bytes());
        laws::record(format!("{{{},\"eventname\":\"X\"}}", pairs.join(",")).as_bytes());
    }

    #[test]
    fn any_payload_survives_the_record(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "(pid:[0-9]{1,3}|tries:0?1|x:[a-z]|expected:[01x]|processname:a|type:|when|serial:1| |\n){0,8}") {
        for payload in [&bytes[..], text.as_bytes()] {
            for eventname in ["PROCESS_LOG_STDOUT", "PROCESS_STATE_EXITED", "REMOTE_COMMUNICATION", "TICK_5", "LATER"] {
                let event = Event {
                    header: Header { eventname: eventname.into(), ..Header::default() },
                    payload: Payload::parse(eventname, payload),
                };
                // Blanks between tokens apart, nothing is lost and nothing added.
                if std::str::from_utf8(payload).is_ok() {
                    let sorted = |bytes: &[u8]| {
                        let mut bytes: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b' ').collect();
                        bytes.sort_unstable();
                        bytes
                    };
                    prop_assert_eq!(sorted(&event.payload.encode(eventname)), sorted(payload));
                }
                let record = Record::from_event(event.clone());
                let mut line = Vec::new();
                record.write_line(&mut line);
                let text = serde_json::to_string(&record).unwrap() + "\n";
                prop_assert_eq!(&line[..], text.as_bytes());
                let back = Record::from_line(&line).unwrap().to_event().unwrap();
                prop_assert_eq!(back.payload, event.payload);
            }
        }
    }
}

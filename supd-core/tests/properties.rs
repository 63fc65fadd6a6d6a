//! What holds for any input: no bytes make the decoder or the reader panic, and no cut changes what they find.

use proptest::prelude::*;
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
    fn no_bytes_make_the_decoder_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        len in 0usize..400,
        cuts in prop::collection::vec(1usize..50, 1..8),
    ) {
        let mut wire = format!("ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:PROCESS_LOG_STDOUT len:{len}\n")
            .into_bytes();
        wire.extend(&bytes);
        let whole = decode(&wire, &[usize::MAX]);
        prop_assert_eq!(decode(&wire, &cuts), whole);
        decode(&bytes, &cuts);
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

//! The decoder, the record and the encoder against real bytes of every event type: `tests/data` holds what listeners
//! read from supervisord, and for each a sidecar that says where every event begins and ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use supd_core::gaps::{Gap, Gaps};
use supd_core::recent::Recent;
use supd_core::{Decoded, Decoder, Event, LenMode, LenUnit, Record};

const MAX: usize = 16 << 20;

struct Capture {
    name: String,
    raw: Vec<u8>,
    /// Where each event begins and ends in `raw`.
    events: Vec<std::ops::Range<usize>>,
}

fn captures() -> Vec<Capture> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    let raw_files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<Capture> =
        raw_files.filter(|path| path.extension().is_some_and(|ext| ext == "raw")).map(capture).collect();
    assert_eq!(found.len(), 23, "tests/data is not complete");
    found
}

fn capture(path: PathBuf) -> Capture {
    let sidecar = fs::read_to_string(path.with_extension("ndjson")).unwrap();
    let lines = sidecar.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    // Lines without an offset tell how the listener ended.
    let mut events: Vec<std::ops::Range<usize>> = lines
        .filter_map(|line| {
            let number = |key: &str| line[key].as_u64().map(|number| number as usize);
            let start = number("offset")?;
            Some(start..start + number("header_bytes")? + number("payload_bytes")?)
        })
        .collect();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let raw = fs::read(&path).unwrap();
    if name == "killbusy.raw" {
        // Its listener was killed before it noted the first of the two deliveries.
        events.insert(1, events[0].end..events[1].start);
    }
    assert!(events.windows(2).all(|pair| pair[0].end == pair[1].start), "{name}");
    assert_eq!((events[0].start, events[events.len() - 1].end), (0, raw.len()), "{name}");
    Capture { name, raw, events }
}

fn decode_stored(raw: &[u8], size: usize) -> Vec<(Event, LenUnit)> {
    let mut decoder = Decoder::stored(LenMode::Auto, MAX);
    let mut events = Vec::new();
    let mut take = |decoder: &mut Decoder| {
        while let Some(decoded) = decoder.next().unwrap() {
            match decoded {
                Decoded::Event(event, unit) => events.push((event, unit)),
                Decoded::Stray { .. } => panic!("{decoded:?}"),
            }
        }
    };
    for chunk in raw.chunks(size) {
        decoder.feed(chunk);
        take(&mut decoder);
    }
    decoder.finish();
    take(&mut decoder);
    events
}

#[test]
fn every_capture_decodes_to_its_events_and_back_at_every_cut() {
    for Capture { name, raw, events } in captures() {
        let whole = decode_stored(&raw, raw.len());
        let encoded: Vec<Vec<u8>> = whole.iter().map(|(event, unit)| event.encode(*unit)).collect();
        let slices: Vec<&[u8]> = events.iter().map(|range| &raw[range.clone()]).collect();
        assert!(encoded == slices, "{name}");
        for size in 1..120 {
            assert!(decode_stored(&raw, size) == whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn every_record_goes_through_json_and_back_to_the_same_bytes() {
    for Capture { name, raw, events } in captures() {
        for ((event, unit), range) in decode_stored(&raw, raw.len()).into_iter().zip(events) {
            let mut line = Vec::new();
            Record::from_event(event).write_line(&mut line);
            let record = Record::from_line(&line).unwrap();
            assert_eq!(record.to_event().unwrap().encode(unit), &raw[range], "{name}");
            let mut again = Vec::new();
            record.write_line(&mut again);
            assert_eq!(again, line, "{name}");
        }
    }
}

/// What a listener sees: one event, then silence until it answers.
#[test]
fn a_live_decoder_gives_each_event_when_it_is_whole_or_after_a_silence() {
    for Capture { name, raw, events } in captures() {
        for size in [1, 2, 3, 7, 64, 4096] {
            let mut decoder = Decoder::live(LenMode::Auto, MAX);
            let mut silences = 0;
            for range in &events {
                let (last, before) = {
                    let mut pieces: Vec<&[u8]> = raw[range.clone()].chunks(size).collect();
                    (pieces.pop().unwrap(), pieces)
                };
                for piece in before {
                    decoder.feed(piece);
                    assert_eq!(decoder.next(), Ok(None), "{name}: given before it was whole");
                }
                decoder.feed(last);
                let decoded = decoder.next().unwrap().or_else(|| {
                    silences += 1;
                    decoder.silence_means_bytes()
                });
                let Some(Decoded::Event(event, unit)) = decoded else { panic!("{name}: {decoded:?}") };
                assert_eq!(event.encode(unit), &raw[range.clone()], "{name}");
            }
            // Only Python 2 counts bytes, and what was learned once is known.
            assert_eq!(
                silences,
                usize::from(name == "py27-remote.raw") + 2 * usize::from(name == "py27-states.raw"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_truncated_payload_keeps_its_beginning_and_the_stream_its_step() {
    let log = "processname:a groupname:a pid:1 channel:stdout\n".to_owned() + &"é".repeat(10_000);
    let header = |name: &str, len: usize| {
        format!("ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:{name} len:{len}\n")
    };
    let wire = header("PROCESS_LOG_STDOUT", log.chars().count()) + &log + &header("TICK_5", 6) + "when:5";
    for size in [1, 100, 1001, wire.len()] {
        let mut decoder = Decoder::live(LenMode::Auto, 1000);
        let mut events = Vec::new();
        for chunk in wire.as_bytes().chunks(size) {
            decoder.feed(chunk);
            while let Some(Decoded::Event(event, _)) = decoder.next().unwrap() {
                events.push(event);
            }
        }
        let [log, tick] = &events[..] else { panic!("{events:?}") };
        assert!(log.payload.truncated && !tick.payload.truncated);
        assert_eq!(log.payload.body.as_deref(), Some("é".repeat(476).as_bytes()));
        assert_eq!(tick.payload.when, Some(5));
    }
}

#[test]
fn a_wrong_unit_is_noticed_at_the_next_header_and_the_stream_goes_on_in_step() {
    let log = "processname:a groupname:a pid:1 channel:stdout\né漢字😀";
    let header = |name: &str, len: usize| {
        format!("ver:3.0 server:s serial:1 pool:p poolserial:0 eventname:{name} len:{len}\n")
    };
    let mut decoder = Decoder::live(LenMode::Bytes, MAX);
    decoder.feed((header("PROCESS_LOG_STDOUT", log.chars().count()) + log).as_bytes());
    assert!(matches!(decoder.next(), Ok(Some(Decoded::Event(..)))));
    assert_eq!(decoder.next(), Ok(None), "the rest of the payload may still be followed by a header");
    decoder.feed((header("TICK_5", 6) + "when:5").as_bytes());
    let stray =
        Decoded::Stray { bytes: log.len() - log.chars().count(), eventname: "PROCESS_LOG_STDOUT".into() };
    assert_eq!(decoder.next(), Ok(Some(stray)));
    assert!(matches!(decoder.next(), Ok(Some(Decoded::Event(event, _))) if event.payload.when == Some(5)));
}

#[test]
fn only_what_supervisord_dropped_is_a_gap() {
    let late = Duration::from_secs(60);
    for Capture { name, raw, .. } in captures() {
        let (mut gaps, mut recent, now) = (Gaps::default(), Recent::default(), Instant::now());
        for (Event { header, .. }, _) in decode_stored(&raw, raw.len()) {
            if recent.insert(header.serial, &header.eventname) {
                gaps.saw(header.poolserial, now);
            }
        }
        let missing: Vec<u64> = std::iter::from_fn(|| gaps.due(now + late)).map(Gap::missing).collect();
        let expected: &[u64] = match &*name {
            "overflow.raw" => &[20, 21],
            "startuploss.raw" => &[19],
            _ => &[],
        };
        assert_eq!(missing, expected, "{name}");
    }
}

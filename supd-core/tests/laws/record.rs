//! A line into a record, and back.

use supd_core::{Event, LenUnit, Record};

/// What was read is written so that it is read as the same; and whether or not it can go onto the wire, nothing panics.
pub fn record(line: &[u8]) {
    let Ok(record) = Record::from_line(line) else { return };
    let back = written_and_read(&record);
    assert_eq!(back, record);
    if let Ok(event) = record.to_event() {
        for unit in [LenUnit::Chars, LenUnit::Bytes] {
            event.encode(unit);
        }
    }
}

/// An event that was received comes back from its record as the same bytes, unless it was cut.
pub(super) fn survives(event: Event, unit: LenUnit) {
    let record = Record::from_event(event.clone());
    let back = written_and_read(&record);
    if event.payload.truncated {
        assert!(back.to_event().is_err());
        return;
    }
    let mut keys: Vec<&String> = event.header.other.iter().map(|(key, _)| key).collect();
    keys.sort();
    // An object has each key once, and nobody sends a token twice.
    if keys.windows(2).all(|pair| pair[0] != pair[1]) {
        let back = back.to_event().expect("it was whole");
        assert_eq!(back.encode(unit), event.encode(unit));
    }
}

fn written_and_read(record: &Record) -> Record {
    let mut line = Vec::new();
    record.write_line(&mut line);
    let end = line.iter().position(|&byte| byte == b'\n');
    assert_eq!(end, Some(line.len() - 1), "a record is one line");
    Record::from_line(&line).expect("we wrote it")
}

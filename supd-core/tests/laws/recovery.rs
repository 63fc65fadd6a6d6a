//! Any bytes at all in the file of a spool's last segment.

use std::time::{Duration, SystemTime};

use supd_core::spool::log::{Log, Repairs};
use supd_core::spool::{Options, Reader, Sync};

use super::machine::Machine;

const OPTIONS: Options = Options { max: 1 << 20, keep: Duration::MAX, sync: Sync::Event };

/// Of a segment with this number and these bytes, what is whole is kept and read, in order; the rest is cut off or told
/// of; and what is written next comes after it.
pub fn recovery(first: u64, bytes: &[u8]) {
    let name = format!("{first:020}.ndjson");
    let machine = Machine::new(0);
    machine.put(&name, bytes);
    let (mut log, repairs, lines) = open(&machine);
    let numbers: Vec<u64> = lines_of(&lines).map(number).collect();
    assert!(
        numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|&number| number >= first),
        "{numbers:?}"
    );
    let all: Vec<&[u8]> = lines_of(bytes).collect();
    assert!(lines_of(&lines).all(|line| all.contains(&line)));
    for lost in &repairs.unreadable {
        assert!(numbers.iter().all(|number| !(lost.first..=lost.last).contains(number)));
    }
    // What is kept is the beginning, up to the last whole record.
    let kept = &machine.contents()[&name];
    assert!(bytes.starts_with(kept));
    assert_eq!(repairs.cut, (bytes.len() - kept.len()) as u64);

    let next = log.index().next();
    assert_eq!(next, numbers.last().map_or(first, |last| last + 1));
    let line = format!("{{\"seq\":{next}}}\n").into_bytes();
    log.append(&line, SystemTime::UNIX_EPOCH).expect("nothing is planned to fail");
    let (_, again, after) = open(&machine);
    assert_eq!((again, after), (Repairs::default(), [lines, line].concat()));
}

/// Opens it and reads everything.
pub(super) fn open(machine: &Machine) -> (Log<Machine>, Repairs, Vec<u8>) {
    let (log, repairs) =
        Log::open(machine.clone(), OPTIONS, 0, SystemTime::UNIX_EPOCH).expect("nothing is planned to fail");
    let (mut reader, mut lines) = (Reader::after(0), Vec::new());
    while reader.read(log.disk(), log.index(), &mut lines).expect("nothing is planned to fail") > 0 {}
    (log, repairs, lines)
}

fn lines_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

fn number(line: &[u8]) -> u64 {
    let record: serde_json::Value = serde_json::from_slice(line).expect("it was found to be whole");
    record["seq"].as_u64().expect("it was found by its number")
}

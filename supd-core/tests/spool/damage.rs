//! Any bytes at all where records should be.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use supd_core::spool::log::{Log, Repairs};
use supd_core::spool::{Options, Reader, Sync};

use crate::machine::Machine;

const OPTIONS: Options = Options { max: 1 << 20, keep: Duration::MAX, sync: Sync::Event };

fn open(machine: &Machine) -> (Log<Machine>, Repairs, Vec<u8>) {
    let (log, repairs) = Log::open(machine.clone(), OPTIONS, 0, SystemTime::UNIX_EPOCH).unwrap();
    let (mut reader, mut lines) = (Reader::after(0), Vec::new());
    while reader.read(log.disk(), log.index(), &mut lines).unwrap() > 0 {}
    (log, repairs, lines)
}

fn number(line: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
}

/// Whole lines, torn ones, and what no spool has ever written.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![8 => 0_u64..40, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let whole = (number, 0_usize..200).prop_map(|(number, len)| {
        format!("{{\"host\":\"h\",\"seq\":{number},\"data\":\"{}\"}}\n", "x".repeat(len)).into_bytes()
    });
    let torn = (whole.clone(), any::<prop::sample::Index>()).prop_map(|(mut line, at)| {
        line.truncate(at.index(line.len()));
        line
    });
    let zeros = (0_usize..1200).prop_map(|len| vec![0; len]);
    let noise = prop::collection::vec(any::<u8>(), 0..60);
    let words =
        prop::sample::select(vec!["\n", "{}\n", "\"seq\":", "{\"seq\":", "9}\n", "\"", "[1,{\"seq\":7}]\n"]);
    let words = words.prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![6 => whole, 1 => torn, 1 => zeros, 1 => noise, 2 => words]
}

proptest! {
    // What fails is printed, and belongs into a test of its own rather than into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn of_any_bytes_what_is_whole_is_kept(
        pieces in prop::collection::vec(piece(), 0..20),
        first in 1_u64..10,
    ) {
        let bytes = pieces.concat();
        let name = format!("{first:020}.ndjson");
        let machine = Machine::new(0);
        machine.put(&name, &bytes);
        let (mut log, repairs, lines) = open(&machine);
        let numbers: Vec<u64> = lines.split_inclusive(|&byte| byte == b'\n').map(number).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
        prop_assert!(numbers.iter().all(|&number| number >= first));
        let all: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        prop_assert!(lines.split_inclusive(|&byte| byte == b'\n').all(|line| all.contains(&line)));
        for lost in &repairs.unreadable {
            prop_assert!(numbers.iter().all(|number| !(lost.first..=lost.last).contains(number)));
        }
        // What is kept is the beginning, up to the last whole record.
        let kept = &machine.contents()[&name];
        prop_assert!(bytes.starts_with(kept));
        prop_assert_eq!(repairs.cut, (bytes.len() - kept.len()) as u64);

        let next = log.index().next();
        prop_assert_eq!(next, numbers.last().map_or(first, |last| last + 1));
        let line = format!("{{\"seq\":{next}}}\n").into_bytes();
        log.append(&line, SystemTime::UNIX_EPOCH).unwrap();
        let (_, again, after) = open(&machine);
        prop_assert_eq!(again, Repairs::default());
        prop_assert_eq!(after, [lines, line].concat());
    }
}

#[test]
fn what_is_no_segment_is_left_alone() {
    let machine = Machine::new(0);
    let junk = [
        "lock",
        "1.ndjson",
        "00000000000000000001",
        "00000000000000000001.ndjson.gz",
        "0000000000000000000x.ndjson",
        "+0000000000000000001.ndjson",
        "99999999999999999999.ndjson",
        "00000000000000000000.ndjson",
        "18446744073709551615.ndjson",
        ".00000000000000000001.ndjson",
    ];
    for name in junk {
        machine.put(name, b"{\"seq\":1}\n");
    }
    let before = machine.contents();
    let (log, repairs, lines) = open(&machine);
    assert_eq!((repairs, lines), (Repairs::default(), Vec::new()));
    assert_eq!((log.index().next(), log.index().first(), log.index().size()), (1, 1, 0));
    assert_eq!(machine.contents(), before);
}

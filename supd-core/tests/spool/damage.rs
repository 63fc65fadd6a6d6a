//! Any bytes at all where records should be.

use proptest::prelude::*;
use supd_core::spool::log::Repairs;

use crate::machine::Machine;
use crate::recovery::{open, recovery};

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
        recovery(first, &pieces.concat());
    }
}

#[test]
fn a_segment_ends_where_the_next_one_begins() {
    let machine = Machine::new(0);
    machine.put(
        "00000000000000000001.ndjson",
        b"{\"seq\":1}\n{\"seq\":2,\"torn{\"seq\":3,\"of\":1}\n{\"seq\":3,\"of\":1}\n",
    );
    machine.put("00000000000000000003.ndjson", b"{\"seq\":2}\n{\"seq\":3,\"of\":3}\n");
    assert_eq!(open(&machine).2, b"{\"seq\":1}\n{\"seq\":3,\"of\":3}\n");
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

//! What holds for any line: where a record is read as it stands, it says what the record says that was taken apart.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use supd_core::Record;
use supd_core::fields::Fields;
use supd_core::flat::Scanner;
use supd_core::record::KEYS;

/// A string, and which of its characters are spelled by their number.
fn string(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let numbered = prop_oneof![3 => Just(0), 1 => any::<u64>()];
    (text, numbered, any::<bool>()).prop_map(|(text, numbered, upper)| {
        let spell = |(at, c): (usize, char)| {
            let plain = serde_json::to_string(&c).unwrap();
            if numbered >> (at % 64) & 1 == 0 {
                return plain[1..plain.len() - 1].to_owned();
            }
            let halves = c.encode_utf16(&mut [0; 2]).to_vec();
            let numbers = halves.iter().map(|half| format!("\\u{half:04x}")).collect::<String>();
            if upper { numbers.to_uppercase().replace("\\U", "\\u") } else { numbers }
        };
        format!("\"{}\"", text.chars().enumerate().map(spell).collect::<String>())
    })
}

fn value() -> impl Strategy<Value = String> {
    let texts =
        prop_oneof![any::<String>(), "[ -~é\n\u{1b}]{0,40}", Just(String::new()), "PROCESS_[A-Z_]{3,12}"];
    let odd = [
        "null",
        "{}",
        "[]",
        "{\"a\":[1]}",
        "-0",
        "-7",
        "1e3",
        "1E-2",
        "007",
        "1.",
        "tru",
        "\"\\/\"",
        "\"\\x\"",
    ];
    prop_oneof![
        6 => string(texts),
        2 => any::<u64>().prop_map(|number| number.to_string()),
        1 => any::<bool>().prop_map(|flag| flag.to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => (0..5000_u64, 0..5000_u64).prop_map(|(whole, fraction)| format!("{whole}.{fraction}")),
        1 => select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

fn member() -> impl Strategy<Value = (String, String)> {
    let keys = prop_oneof![
        4 => select(KEYS.to_vec()).prop_map(|key| format!("\"{key}\"")),
        1 => string(prop_oneof![select(KEYS.to_vec()).prop_map(str::to_owned), "[a-z]{0,3}"]),
    ];
    (keys, value())
}

/// A value as our programs write it, but for a few.
fn usual_value() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => string("[ -~é\n\u{1b}]{1,40}"),
        10 => (0..1_u64 << 60).prop_map(|number| number.to_string()),
        5 => any::<bool>().prop_map(|flag| flag.to_string()),
        1 => value(),
    ]
}

/// Members as our programs order them, with others behind, so that many lines are plain.
fn in_order() -> impl Strategy<Value = Vec<(String, String)>> {
    let usual: Vec<_> =
        KEYS.into_iter().filter(|key| !["header", "data_b64", "truncated"].contains(key)).collect();
    let keys = prop_oneof![9 => Just(usual), 1 => Just(KEYS.to_vec())];
    let known = keys.prop_flat_map(|keys| subsequence(keys.clone(), 0..keys.len()));
    let members = known.prop_flat_map(|keys| {
        let key = |key| format!("\"{key}\"");
        let member = |name| usual_value().prop_map(move |value| (key(name), value));
        let name = "\"[A-Z_]{1,20}\"".prop_map(move |value| vec![(key("eventname"), value)]);
        let place = KEYS.iter().position(|key| *key == "eventname");
        let is_before = |key: &&&str| KEYS.iter().position(|known| known == *key) < place;
        let before: Vec<_> = keys.iter().filter(is_before).map(|key| member(*key)).collect();
        let after = keys.iter().filter(|key| !is_before(key) && **key != "eventname");
        (before, name, after.map(|key| member(*key)).collect::<Vec<_>>())
    });
    (members, prop::collection::vec(("\"x[a-z]{0,2}\"", usual_value()), 0..4))
        .prop_map(|((before, name, after), others)| [before, name, after, others].concat())
}

/// A line, spaces and damage included.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let members = prop_oneof![in_order(), prop::collection::vec(member(), 0..12)];
    let space = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\t")];
    let damage = prop_oneof![6 => Just(None), 1 => (any::<Index>(), any::<Option<u8>>()).prop_map(Some)];
    (members, space, damage).prop_map(|(members, space, damage)| {
        let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}{space}:{value}")).collect();
        let mut line = format!("{{{}{space}}}", members.join(&format!(",{space}"))).into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(line.len());
            line.splice(at..=at, byte);
        }
        line
    })
}

fn fields(of: &impl Fields) -> Vec<String> {
    let mut fields = Vec::new();
    of.each(&mut |key, field| fields.push(format!("{key}={field:?}")));
    fields.sort();
    fields
}

#[test]
fn many_of_these_lines_are_read_as_they_stand() {
    let mut runner = TestRunner::deterministic();
    let mut is_plain = || Scanner::default().scan(&line().new_tree(&mut runner).unwrap().current()).is_some();
    let plain = (0..500).filter(|_| is_plain()).count();
    assert!((50..450).contains(&plain), "{plain} of 500");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_as_it_stands_says_what_the_record_says(line in line()) {
        let mut scanner = Scanner::default();
        let Some(flat) = scanner.scan(&line) else { return Ok(()) };
        let record = Record::from_line(&line).unwrap();
        prop_assert_eq!(fields(&flat), fields(&record));
        for key in KEYS.into_iter().chain(["", "x", "xa"]) {
            prop_assert_eq!(flat.get(key), record.get(key));
        }
        prop_assert_eq!(flat.body(), record.body());
        let (mut memory, body) = (b"what was before".to_vec(), record.body());
        prop_assert_eq!(flat.body_in(&mut memory), body.as_deref());
        prop_assert_eq!((flat.eventname(), flat.kind()), (record.eventname.as_str().into(), record.kind()));
    }
}

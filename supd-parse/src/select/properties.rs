//! What holds for any lines and any conditions: however lines are read, the same ones pass; and what passes as it came
//! costs no memory.

use clap::Parser as _;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::args::Args;
use crate::lane::{Lane, Reading};

const TEXTS: [(&str, &[&str]); 9] = [
    ("ts", &["2026-01-05T08:00:00.000Z", "2026-01-05T09:00:00+01:00", "2026-01-31T08:00:00.000Z", "noon"]),
    ("host", &["db1", "web1", "wéb"]),
    ("server", &["supervisor", "blue\\team"]),
    (
        "eventname",
        &[
            "PROCESS_STATE_EXITED",
            "PROCESS_STATE_FATAL",
            "PROCESS_STATE_RUNNING",
            "PROCESS_STATE_EXITED_TWICE",
            "PROCESS_LOG_STDOUT",
            "TICK_5",
            "SUPD_MARK",
            "SUPD_FLAPPING",
            "SUPD_GAP",
        ],
    ),
    ("processname", &["web_00", "web", "café", "a\"b/c"]),
    ("groupname", &["web", "web_00", "café"]),
    ("from_state", &["RUNNING", "EXITED"]),
    ("state", &["FATAL", "RUNNING"]),
    ("data", &["error: out of memory\n", "\u{1b}[31mok\u{1b}[0m", "naïve\nERROR", ""]),
];

const OTHERS: [&str; 6] = [
    r#""expected":false"#,
    r#""expected":true"#,
    r#""serial":7"#,
    r#""data_b64":"//9lcnJvcg==""#,
    r#""host":null"#,
    r#""x":{"host":"db1"}"#,
];

const CONDITIONS: [&[&str]; 24] = [
    &["-e", "exited"],
    &["-e", "fatal,log"],
    &["-e", "process_state"],
    &["-p", "web"],
    &["-p", "web:*"],
    &["-p", "*é,w*:web_00"],
    &["-p", "a\"b*"],
    &["-g", "web*"],
    &["--host", "db1"],
    &["--host", "w?b,*1"],
    &["--server", "blue\\team"],
    &["--from-state", "running"],
    &["--state", "fatal,Exited"],
    &["--state", "running"],
    &["--unexpected"],
    &["--since", "2026-01-05T08:00:00Z"],
    &["--until", "2026-01-05T08:00:00.001Z"],
    &["--grep", "error"],
    &["--grep", "error", "-i"],
    &["--grep", "^ok|memory$"],
    &["--grep", "na.ve"],
    &["--ticks"],
    &["--problems"],
    &["--invert"],
];

/// Some of a string's characters spelled by their number.
fn spelled(text: &str, numbered: u64) -> String {
    let spell = |(at, c): (usize, char)| {
        let plain = serde_json::to_string(&c).unwrap();
        let is_plain = numbered >> (at % 64) & 1 == 0;
        if is_plain { plain[1..plain.len() - 1].to_owned() } else { format!("\\u{:04x}", u32::from(c)) }
    };
    format!("\"{}\"", text.chars().enumerate().map(spell).collect::<String>())
}

fn line() -> impl Strategy<Value = String> {
    let numbered = || prop_oneof![12 => Just(0), 1 => any::<u64>()];
    let members = TEXTS.map(|(key, texts)| {
        let text = (numbered(), select(texts.to_vec()), numbered());
        let member = text.prop_map(move |(key_numbered, text, numbered)| {
            format!("{}:{}", spelled(key, key_numbered), spelled(text, numbered))
        });
        // The event's name is what makes a record.
        prop::option::weighted(if key == "eventname" { 0.97 } else { 0.7 }, member)
    });
    let others = subsequence(OTHERS.to_vec(), 0..3);
    let order = prop_oneof![2 => Just(false), 1 => Just(true)];
    let space = prop_oneof![4 => Just(""), 1 => Just(" ")];
    (members.to_vec(), others, order, space, any::<prop::sample::Index>()).prop_map(
        |(members, others, reversed, space, doubled)| {
            let mut members: Vec<String> =
                members.into_iter().flatten().chain(others.into_iter().map(str::to_owned)).collect();
            if reversed {
                members.reverse();
                members.push(members[doubled.index(members.len())].clone());
            }
            format!("{space}{{{}}}{space}", members.join(&format!(",{space}")))
        },
    )
}

fn args(words: &[&str]) -> Args {
    let given = ["supd-parse", "--to", "ndjson"];
    Args::try_parse_from(given.iter().chain(words)).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn passed(mut lane: Lane, block: &str) -> String {
    let mut out = Vec::new();
    lane.take(block.as_bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_lines_pass_however_they_are_read(
        lines in prop::collection::vec(line(), 1..12),
        conditions in subsequence(CONDITIONS.to_vec(), 0..4),
    ) {
        let mut words = conditions.concat();
        if words.contains(&"--problems") {
            words.retain(|word| *word != "--invert");
        }
        let block = lines.join("\n");
        let strict = passed(args(&[&words[..], &["--strict"]].concat()).lane(jiff::Timestamp::now()).unwrap(), &block);
        prop_assert_eq!(&passed(args(&words).lane(jiff::Timestamp::now()).unwrap(), &block), &strict);
        let every = Lane::new(args(&words).lane(jiff::Timestamp::now()).unwrap().chain, Reading::Every);
        prop_assert_eq!(&passed(every, &block), &strict);
    }
}

#[test]
fn a_record_that_passes_as_it_came_costs_no_memory() {
    let record = r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","seq":3,"server":"s","serial":21,"eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":2766}"#;
    let log = r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","eventname":"PROCESS_LOG_STDOUT","processname":"web_00","groupname":"web","pid":7,"channel":"stdout","data":"an \"error\"\n\u001b[31m"}"#;
    let block = format!("{record}\n{log}\n").repeat(500);
    for words in [
        &[][..],
        &["-e", "exited,log", "-p", "web:*,cron"],
        &["-g", "w?b*", "--host", "db*", "--server", "s"],
        &["--from-state", "running", "--state", "exited", "--unexpected"],
        &["--since", "2026-01-05T08:00:00Z", "--until", "2026-01-05T09:00:00.0001Z"],
        &["--grep", "error|panic", "--grep", "ERROR", "-i"],
        &["--grep", "nothing", "--invert"],
        &["--problems"],
    ] {
        let mut lane = args(words).lane(jiff::Timestamp::now()).unwrap();
        let mut out = Vec::with_capacity(block.len() + 1);
        // What is kept from one block to the next is there after the first.
        lane.take(block.as_bytes(), &mut out).unwrap();
        assert!(!out.is_empty(), "{words:?}");
        out.clear();
        let allocated = allocation_counter::measure(|| drop(lane.take(block.as_bytes(), &mut out).unwrap()));
        assert_eq!(allocated.count_total, 0, "{words:?}");
    }
}

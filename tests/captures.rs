//! Every capture of real events, played by supd-mock into a pipeline: each event arrives once, in order.

use std::collections::HashSet;

use serde_json::Value;
use supd_core::Record;
use supd_core::decoder::{Decoded, Decoder, LenMode, MAX_PAYLOAD};

use crate::harness::{Sandbox, capture};

/// The events of a capture as records, each once.
fn expected(raw: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::stored(LenMode::Auto, MAX_PAYLOAD);
    decoder.feed(raw);
    decoder.finish();
    let mut seen = HashSet::new();
    let mut events = Vec::new();
    while let Some(Decoded::Event(event, _)) = decoder.next().unwrap() {
        if seen.insert((event.header.serial, event.header.eventname.clone())) {
            events.push(serde_json::to_value(Record::from_event(event)).unwrap());
        }
    }
    events
}

fn without_receipt(mut record: Value) -> Value {
    let fields = record.as_object_mut().unwrap();
    let receipt = ["ts", "host", "boot"].map(|key| fields.shift_remove(key).is_some());
    assert_eq!(receipt, [true; 3], "a record says when, where and from which supervisord");
    record
}

/// Plays every capture into a pipeline that writes to `out.ndjson`.
fn every_event_arrives(listener: &str) {
    let sandbox = Sandbox::new();
    let captures = std::fs::read_dir(capture("")).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<_> = captures.filter(|path| path.extension().is_some_and(|ext| ext == "raw")).collect();
    assert_eq!(captures.len(), 23);
    for path in captures {
        let name = path.file_name().unwrap().to_string_lossy();
        let raw = std::fs::read(&path).unwrap();
        sandbox
            .sh(&format!("rm -f out.ndjson; supd-mock replay --events {} -- {listener}", path.display()))
            .assert()
            .success();
        let records: Vec<Value> = sandbox.records("out.ndjson").into_iter().map(without_receipt).collect();
        assert_eq!(records, expected(&raw), "{name}");
        if !matches!(&*name, "dup.raw" | "redelivery.raw" | "killbusy.raw") {
            let sidecar = std::fs::read_to_string(path.with_extension("ndjson")).unwrap();
            assert_eq!(records.len(), sidecar.matches("\"offset\"").count(), "{name}");
        }
    }
}

#[test]
fn every_capture_goes_through_a_shells_pipeline() {
    every_event_arrives("sh -c 'supd-listen | supd-parse | supd-notify file out.ndjson'");
}

#[test]
fn every_capture_goes_through_a_pipeline_that_supd_listen_runs() {
    every_event_arrives("supd-listen -c 'supd-parse | supd-notify file out.ndjson'");
}

#[test]
fn every_capture_goes_into_a_file() {
    every_event_arrives("supd-listen -o out.ndjson");
}

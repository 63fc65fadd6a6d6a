//! Every moment at which a program can be killed, a power failure can come or a disk can fail, and what is left then.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::prelude::*;
use supd_core::spool::Sync;

use crate::machine::{End, Fault};
use crate::story::Story;

/// With segments of 1 KiB.
const SMALL: u64 = 8 << 10;

/// Some thirty records, in a dozen segments, of which the oldest have to go. What fails is tried again, once.
fn run(story: &mut Story) {
    for turn in 0..30_usize {
        let size = if turn == 17 { 2500 } else { turn * 89 % 600 };
        story.make_room(size as u64);
        let _ = story.append(size) || story.append(size);
        if turn % 4 == 3 {
            story.read(3);
        }
        if story.machine.is_stopped() {
            return;
        }
    }
}

/// What comes after the first misfortune, up to so many records, and a second one at the end.
fn go_on(story: &mut Story, records: u64) {
    for number in 0..records {
        story.append([300, 20, 700, 40][usize::try_from(number % 4).unwrap()]);
        if number == 2 {
            story.read(1);
        }
    }
    story.restart(End::PowerFailure);
    story.append(100);
    story.read(usize::MAX);
}

/// Says what it was that failed.
fn telling(what: impl FnOnce() -> String, test: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(test)) {
        eprintln!("{}", what());
        resume_unwind(panic);
    }
}

/// The operations that a run takes when nothing fails.
fn operations(sync: Sync) -> usize {
    let mut story = Story::new(0, sync, SMALL);
    run(&mut story);
    story.read(usize::MAX);
    story.machine.operations()
}

#[test]
fn whenever_it_stops_everything_acknowledged_is_there() {
    for sync in [Sync::Event, Sync::None] {
        for stop in 0..operations(sync) {
            for seed in 0..12 {
                let end = if seed % 3 == 0 { End::Killed } else { End::PowerFailure };
                telling(
                    || format!("{sync:?}, {end:?} at operation {stop}, seed {seed}"),
                    || {
                        let mut story = Story::new(seed, sync, SMALL);
                        story.machine.plan(stop, Fault::Stop);
                        run(&mut story);
                        assert!(story.machine.is_stopped());
                        story.restart(end);
                        go_on(&mut story, seed % 5);
                    },
                );
            }
        }
    }
}

#[test]
fn whatever_fails_the_next_one_goes_on() {
    for sync in [Sync::Event, Sync::None] {
        for failure in 0..operations(sync) {
            for fault in Fault::ERRORS {
                for seed in 0..6 {
                    // Soon after, or later, or not at all.
                    let stop = failure + [0, 2, 3, 4, 5, 11][usize::try_from(seed).unwrap()];
                    let end = if seed % 3 == 0 { End::Killed } else { End::PowerFailure };
                    telling(
                        || {
                            format!(
                                "{sync:?}, {fault:?} at operation {failure}, {end:?} at {stop}, seed {seed}"
                            )
                        },
                        || {
                            let mut story = Story::new(seed, sync, SMALL);
                            story.machine.plan(failure, fault);
                            if seed > 0 {
                                story.machine.plan(stop, Fault::Stop);
                            }
                            run(&mut story);
                            story.restart(end);
                            go_on(&mut story, seed % 5);
                        },
                    );
                }
            }
        }
    }
}

/// The only number that is left may be in the name of a file that holds nothing.
#[test]
fn the_numbers_go_on_where_no_record_is_left() {
    for failure in 0..8 {
        for stop in 0..14 {
            for seed in 0..8 {
                telling(
                    || format!("a failure at operation {failure}, a power failure at {stop}, seed {seed}"),
                    || {
                        let mut story = Story::new(seed, Sync::Event, SMALL);
                        story.append(600);
                        story.append(600);
                        story.machine.plan(failure, Fault::Io);
                        story.machine.plan(failure + stop + 1, Fault::Stop);
                        for _ in 0..3 {
                            story.append(600);
                            story.make_room(1 << 40);
                        }
                        story.restart(End::PowerFailure);
                        story.append(600);
                        story.read(usize::MAX);
                    },
                );
            }
        }
    }
}

/// Two attempts at a record of the same number, in the same place: what is left must not be made of both.
#[test]
fn what_failed_does_not_come_back_within_what_was_written_next() {
    for stop in 2..5 {
        for seed in 0..400 {
            telling(
                || format!("a full disk, a power failure at {stop}, seed {seed}"),
                || {
                    let mut story = Story::new(seed, Sync::Event, 8 * SMALL);
                    story.append(100);
                    story.machine.plan(0, Fault::Full);
                    story.machine.plan(stop, Fault::Stop);
                    for _ in 0..3 {
                        story.append(700);
                    }
                    story.restart(End::PowerFailure);
                },
            );
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Read(usize),
    MakeRoom(u64),
    /// After so many operations.
    Fail(usize, Fault),
    /// In the middle of an operation after so many, or, if none is reached, before the next restart.
    Stop(usize),
    Restart(End),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0_usize..900, 1 => 900_usize..5000, 1 => 60_000_usize..140_000];
    let fault = prop::sample::select(&Fault::ERRORS[..]);
    let end = prop_oneof![2 => Just(End::PowerFailure), 1 => Just(End::Killed)];
    prop_oneof![
        12 => size.prop_map(Step::Append),
        3 => (1_usize..4).prop_map(Step::Read),
        2 => (0_u64..3000).prop_map(Step::MakeRoom),
        2 => (0_usize..8, fault).prop_map(|(after, fault)| Step::Fail(after, fault)),
        1 => (0_usize..8).prop_map(Step::Stop),
        2 => end.prop_map(Step::Restart),
    ]
}

proptest! {
    // What fails is printed, and belongs into a test of its own rather than into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_acknowledged_is_lost(
        steps in prop::collection::vec(step(), 1..60),
        seed in any::<u64>(),
        sync in prop::sample::select(vec![Sync::Event, Sync::None]),
        max in prop::sample::select(vec![4 << 10, 32 << 10, 1 << 20]),
    ) {
        let mut story = Story::new(seed, sync, max);
        for step in steps {
            match step {
                Step::Append(size) => { story.append(size); }
                Step::Read(times) => story.read(times),
                Step::MakeRoom(bytes) => story.make_room(bytes),
                Step::Fail(after, fault) => story.machine.plan(after, fault),
                Step::Stop(after) => story.machine.plan(after, Fault::Stop),
                Step::Restart(end) => story.restart(end),
            }
        }
        story.restart(End::PowerFailure);
        story.append(10);
        story.read(usize::MAX);
    }
}

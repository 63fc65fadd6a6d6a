//! What listeners answer, and what both supervisords make of it.

use super::{same, scenario, section, with_witness};
use crate::harness::Step::{Do, Logged, Open, Until};
use crate::harness::{Step, VERSIONS};

#[test]
fn a_rejected_event_comes_again_before_the_next() {
    same(
        &with_witness("a", &["ready read wait=go fail ready read say=RESULT\\_2\\nNO ready loop"], ""),
        &[
            Do("remote x first"),
            Do("remote x second"),
            Until("witness accepted", 2),
            Open("go"),
            Until("a accepted", 2),
        ],
        &["a rejected", "a sent 1"],
    );
}

#[test]
fn every_reply_means_the_same() {
    // What each writes, and what must be said of it under both.
    let replies = [
        ("banner", r"say=hello\n", "unknown"),
        ("crlf", r"say=READY\r\n", "unknown"),
        ("newline", r"say=\n ready", "unknown"),
        ("unfinished", "say=READ", "starting"),
        ("twice", "ready ready", "unknown"),
        ("twicelater", "ready wait=early ready", "unknown"),
        ("spurious", "ready wait=early say=x", "unknown"),
        ("wordlength", r"ready read say=RESULT\_x\n", "unknown"),
        ("nolength", r"ready read say=RESULT\n", "unknown"),
        ("chatter", r"ready read say=chatter\n", "unknown"),
        ("blanks", r"ready read say=RESULT\_\_2\_\nOKREADY\n", "accepted"),
        ("anyword", r"ready read say=XXXXXX\_2\nOKREADY\n", "accepted"),
        ("trailing", r"ready read say=RESULT\_2\nOK\n", "accepted"),
        ("trailingready", r"ready read say=RESULT\_2\nOK\nREADY\n", "unknown"),
        ("twoinone", r"ready read say=RESULT\_2\nOKREADY\n", "accepted"),
        ("negative", r"ready read say=RESULT\_-1\nOK", "sent 0"),
        ("toolong", r"ready read say=RESULT\_9\nOK", "sent 0"),
        ("tooshort", r"ready read say=RESULT\_1\nOKREADY\n", "unknown"),
        ("huge", r"ready read say=RESULT\_99999999999999999999999\nOK", "sent 0"),
        ("underscore", r"ready read say=RESULT\_0_2\nOKREADY\n", "accepted"),
        ("zero", r"ready read say=RESULT\_0\n", "sent 0"),
        ("zeroandmore", r"ready read say=RESULT\_0\nR wait=late say=EADY\n loop", "rejected"),
        ("body", r"ready read say=RESULT\_5\nlaterREADY\n loop", "rejected"),
        ("stdout", "ready read close=1 hang", "sent 0"),
        ("stdin", "ready close=0 wait=never", "ready"),
    ];
    let mut sections = section("witness", &["ready loop"], "priority=5\nbuffer_size=100\n");
    // With priorities of their own, so that nothing leaks from one to the other.
    for (number, (name, script, _)) in replies.iter().enumerate() {
        sections += &section(name, &[script], &format!("priority={}\n", 10 + number));
    }
    let started = replies.iter().map(|&(name, ..)| Logged(name, "start", 1));
    let ready = [
        Until("twicelater ready", 1),
        Until("spurious ready", 1),
        Open("early"),
        Until("twicelater unknown", 1),
        Until("spurious unknown", 1),
        Until("stdin ready", 1),
        Until("stdin running", 1),
    ];
    let events = [
        Do("remote x 0"),
        Do("remote x 1"),
        Until("witness accepted", 2),
        Until("zeroandmore rejected", 1),
        Open("late"),
        Until("zeroandmore accepted", 2),
        Until("body accepted", 2),
        Until("tooshort unknown", 1),
        Until("trailingready unknown", 1),
        Until("twoinone sent 1", 1),
        Until("trailing accepted", 1),
        Until("blanks sent 1", 1),
        Until("anyword sent 1", 1),
        Until("wordlength unknown", 1),
        Until("nolength unknown", 1),
        Until("chatter unknown", 1),
        Until("underscore sent 1", 1),
        Logged("huge", "event", 1),
        Logged("negative", "event", 1),
        Logged("toolong", "event", 1),
        Logged("zero", "event", 1),
        Logged("stdout", "event", 1),
    ];
    let steps: Vec<Step> = started.chain(ready).chain(events).collect();
    let reached: Vec<String> = replies.iter().map(|(name, _, what)| format!("{name} {what}")).collect();
    same(&sections, &steps, &reached.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_listener_that_closes_its_input_within_an_event_has_it_in_hand_all_the_same() {
    let big = format!("remote x {}", "x".repeat(200_000));
    same(
        &with_witness("a", &[r"ready header close=0 wait=go say=RESULT\_2\nOKREADY\n hang"], ""),
        &[Do(big.leak()), Until("witness accepted", 1), Open("go"), Until("a ready", 2)],
        &["a accepted"],
    );
}

#[test]
fn a_listener_that_answers_too_early_brings_supervisord_down() {
    let early = r"ready header say=RESULT\_2\nOKREADY\n wait=never";
    let big = format!("remote x {}", "x".repeat(300_000));
    let scenario = scenario(&with_witness("a", &[early], ""), &[]);
    std::thread::scope(|scope| {
        for version in VERSIONS {
            let (scenario, big) = (&scenario, &big);
            scope.spawn(move || {
                let status = scenario.crash_supervisord(version, &[big, "remote x 1", "remote x 2"]);
                assert_eq!(status, 1, "supervisord {version}");
            });
        }
    });
    let said = scenario.crash_supd_mock(&[&big, "remote x 1", "wait"]);
    assert!(
        said.contains("a answered before it had read the whole event: supervisord itself would crash"),
        "{said}"
    );
}

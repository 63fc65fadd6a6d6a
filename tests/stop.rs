//! How supd-listen ends: when it is stopped, when its pipeline dies, when supervisord does. And how supd-mock does, with
//! all that it has started.

use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::{
    Listener, OK_READY, Running, Sandbox, big_log, processes_running, processes_with, tick, until,
};

#[test]
fn a_dead_pipeline_ends_it_without_an_event_and_without_a_result() {
    let sandbox = Sandbox::new();
    for (words, status) in [
        (&["supd-listen", "-c", "exit 3"][..], 3),
        (&["supd-listen", "-c", "exit 0"], 1),
        (&["supd-listen", "-c", "kill -9 $$"], 128 + 9),
        (&["supd-listen", "--", "/nonexistent/program"], 1),
        (&["bash", "-o", "pipefail", "-c", "supd-listen | true; exit $?"], 1),
        // The death of the last of three runs up the chain.
        (&["supd-listen", "-c", "supd-parse | exit 4"], 4),
        (&["bash", "-o", "pipefail", "-c", "supd-listen | supd-parse | true; exit $?"], 1),
    ] {
        let mut listener = Listener::start(&sandbox, words);
        listener.expect("READY\n");
        assert_eq!(listener.running.status(), status, "{words:?}: {}", sandbox.read("stderr"));
        assert_eq!(listener.rest(), "", "{words:?}");
        assert!(!sandbox.read("stderr").is_empty(), "{words:?} says why");
    }
}

#[test]
fn an_event_that_finds_the_pipeline_dead_is_not_answered() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let mut listener = Listener::start(
        &sandbox,
        &["supd-listen", "-c", "touch started; read -r go <gate; exec <&-; touch closed; exit 5"],
    );
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("started").exists());
    // Stopped, so that the event and the death of the pipeline are both there when it looks again.
    listener.running.stop();
    std::fs::write(sandbox.path("gate"), "go\n").unwrap();
    until("the pipeline takes nothing more", || sandbox.path("closed").exists());
    listener.send(&tick(1));
    listener.running.signal(Signal::CONT);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (5, ""));
}

#[test]
fn sigterm_takes_nothing_new_and_drains_the_pipeline() {
    let sandbox = Sandbox::new();
    let script = "cat > got; touch drained; cat < hold";
    sandbox.sh("mkfifo hold").assert().success();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", script]);
    listener.expect("READY\n");
    listener.send(&tick(1));
    listener.expect(OK_READY);
    listener.running.signal(Signal::TERM);
    until("the pipeline sees the end of its input", || sandbox.path("drained").exists());
    assert!(listener.running.0.try_wait().unwrap().is_none(), "it waits for the pipeline");
    std::fs::write(sandbox.path("hold"), "").unwrap();
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, ""));
    assert_eq!(sandbox.records("got").len(), 1);
}

#[test]
fn an_event_on_its_way_when_sigterm_comes_is_accepted_without_asking_for_more() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-o", "out.ndjson"]);
    listener.expect("READY\n");
    // Stopped, so that both are there when it looks again.
    listener.running.stop();
    listener.send(&tick(1));
    listener.running.signal(Signal::TERM);
    listener.running.signal(Signal::CONT);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out.ndjson").len(), 1);
}

#[test]
fn a_pipeline_that_does_not_end_is_told_to_and_then_killed() {
    let sandbox = Sandbox::new();
    let stubborn = "trap '' TERM; touch up; sleep 1000 & while :; do wait; sleep 1000; done";
    let mut listener =
        Listener::start(&sandbox, &["supd-listen", "--drain-timeout", "100ms", "-c", stubborn]);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("up").exists());
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 128 + 9);
    let said = sandbox.read("stderr");
    assert!(said.contains("sending SIGTERM") && said.contains("sending SIGKILL"), "{said}");
}

#[test]
fn a_stuck_pipeline_does_not_keep_it_from_ending() {
    let sandbox = Sandbox::new();
    let words = ["supd-listen", "--drain-timeout", "200ms", "-c", "sleep 1000"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    listener.send(&big_log());
    // A record larger than the pipe: it cannot be handed on, so it is not acknowledged.
    listener.running.signal(Signal::TERM);
    assert_ne!(listener.running.status(), 0);
    assert_eq!(listener.rest(), "");
}

#[test]
fn sigterm_is_remembered_while_a_slow_pipeline_takes_its_time() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let words = ["supd-listen", "-v", "-c", "touch started; read -r go <gate; cat >out"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("started").exists());
    // Larger than a pipe, so that it waits for room.
    listener.send(&big_log());
    listener.running.signal(Signal::TERM);
    until("it has heard SIGTERM", || sandbox.read("stderr").contains("SIGTERM"));
    std::fs::write(sandbox.path("gate"), "go\n").unwrap();
    // It accepts what it had, asks for nothing more, and ends.
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out").len(), 1);
}

#[test]
fn an_event_that_is_half_here_when_sigterm_comes_is_still_taken() {
    let sandbox = Sandbox::new();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-v", "-o", "out"]);
    listener.expect("READY\n");
    let event = tick(1);
    // Stopped, so that it sees the first half and SIGTERM together.
    listener.running.stop();
    listener.send(&event[..60]);
    listener.running.signal(Signal::TERM);
    listener.running.signal(Signal::CONT);
    until("it has heard SIGTERM", || sandbox.read("stderr").contains("SIGTERM"));
    listener.send(&event[60..]);
    assert_eq!((listener.running.status(), listener.rest().as_str()), (0, "RESULT 2\nOK"));
    assert_eq!(sandbox.records("out").len(), 1);
}

#[test]
fn records_that_a_dead_stage_left_unread_are_no_success() {
    let sandbox = Sandbox::new();
    // supd-parse ends with wrong usage long after everything is in its pipe; the last stage knows nothing of it.
    let pipeline = "{ sleep 0.3; supd-parse --problem; } | cat";
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", pipeline]);
    listener.expect("READY\n");
    listener.send(&tick(1));
    listener.expect(OK_READY);
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 1);
}

#[test]
fn every_stop_signal_of_supervisord_drains_the_pipeline() {
    let sandbox = Sandbox::new();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2] {
        let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", "touch up; cat; echo >drained"]);
        listener.expect("READY\n");
        until("the pipeline runs", || sandbox.path("up").exists());
        listener.running.signal(signal);
        assert_eq!(listener.running.status(), 0, "{signal:?}");
        std::fs::remove_file(sandbox.path("drained")).unwrap();
        std::fs::remove_file(sandbox.path("up")).unwrap();
    }
}

#[test]
fn the_end_of_supervisord_is_noticed_while_the_pipeline_is_stuck() {
    let sandbox = Sandbox::new();
    let words = ["supd-listen", "--drain-timeout", "200ms", "-c", "touch up; exec sleep 1000"];
    let mut listener = Listener::start(&sandbox, &words);
    listener.expect("READY\n");
    until("the pipeline runs", || sandbox.path("up").exists());
    listener.send(&big_log());
    drop(listener.stdin.take());
    assert_eq!((listener.running.status(), listener.rest().as_str()), (128 + 15, ""));
}

#[test]
fn orphans_of_the_pipeline_are_reaped_while_it_runs() {
    let sandbox = Sandbox::new();
    let exec = "exec supd-notify exec -- sh -c 'true & echo >>ran'";
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-c", exec]);
    listener.expect("READY\n");
    for serial in 0..5 {
        listener.send(&tick(serial));
        listener.expect(OK_READY);
    }
    until("all programs have run", || sandbox.read("ran").lines().count() == 5);
    let pid = listener.running.0.id();
    let zombies = || {
        let children = supd_core::ancestry::children_of(pid).into_iter();
        let stat = |child| std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        children.filter(|child| stat(*child).contains(") Z ")).count()
    };
    until("no zombie is left", || zombies() == 0);
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 0);
}

#[test]
fn a_fifo_whose_reader_leaves_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo out").assert().success();
    let reader = std::fs::File::options().read(true).write(true).open(sandbox.path("out")).unwrap();
    let mut listener = Listener::start(&sandbox, &["supd-listen", "-o", "out"]);
    listener.expect("READY\n");
    drop(reader);
    assert_eq!(listener.running.status(), 1);
}

#[test]
fn a_signal_ends_supd_mock_and_all_that_it_has_started() {
    // The listener is deaf to signals, and so is what it has started in a session of its own.
    let listener = "trap '' TERM HUP INT; setsid sleep 1000 & echo READY; read -r header; sleep 1000";
    for (command, signal) in [
        ("check --timeout 1h", Signal::INT),
        ("check --timeout 1h", Signal::TERM),
        ("bench --timeout 1h", Signal::INT),
        ("bench --members 2 --timeout 1h", Signal::HUP),
        ("replay --timeout 1h", Signal::INT),
        ("play", Signal::TERM),
    ] {
        let sandbox = Sandbox::new();
        // Tests that run in the background inherit SIGINT as ignored, and who ignored it would go on ignoring it.
        let heard = "exec env --default-signal=HUP,INT,TERM";
        let script = format!("{heard} supd-mock {command} -- sh -c \"{listener}\"");
        let mut sh = sandbox.spawnable("sh");
        sh.args(["-c", &script]).env("SUPD_TEST", sandbox.path("")).stdin(Stdio::piped());
        let mut running = Running(sh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mark = format!("SUPD_TEST={}", sandbox.path("").display());
        until("the listener runs", || !processes_running(&mark, "sleep").is_empty());
        running.signal(signal);
        assert_eq!(running.status(), 128 + signal.as_raw(), "{command}");
        assert!(processes_with(&mark).is_empty(), "{command}");
    }
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let sandbox = Sandbox::new();
    let listener = "echo READY; touch started; cat hold >/dev/null";
    sandbox.sh("mkfifo hold").assert().success();
    let script = format!("trap '' HUP; exec supd-mock check --only start -- sh -c '{listener}'");
    let mut sh = sandbox.spawnable("sh");
    let mut running = Running(sh.args(["-c", &script]).stdout(Stdio::null()).spawn().unwrap());
    until("the listener runs", || sandbox.path("started").exists());
    running.signal(Signal::HUP);
    assert_eq!(running.status(), 0);
}

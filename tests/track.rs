//! supd-parse --track: what it tells agrees with supervisord's own log, in time, and whatever is killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{
    Listener, OK_READY, Running, Sandbox, Supervisord, eventually_within, state, test_seconds, until,
};

/// The records of this name about a process.
fn told<'r>(records: &'r [Value], eventname: &str, process: &str) -> Vec<&'r Value> {
    let is_it = |record: &&Value| record["eventname"] == eventname && record["processname"] == process;
    records.iter().filter(is_it).collect()
}

/// One run of a process, by supervisord's log.
#[derive(Debug, Default, Clone)]
struct Run {
    pid: u64,
    running: Option<i64>,
    ended: Option<(i64, &'static str)>,
}

/// Milliseconds since midnight, from `2026-01-05 08:00:00,250`.
fn time_of_day(text: &str) -> Option<i64> {
    let (_, time) = text.split_once(' ')?;
    let numbers: Vec<i64> = time.split([':', ',']).filter_map(|number| number.parse().ok()).collect();
    let [hours, minutes, seconds, millis] = numbers[..] else { return None };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// The runs of each process that came to be RUNNING.
fn runs(log: &str) -> BTreeMap<String, Vec<Run>> {
    let mut runs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for line in log.lines() {
        let Some((time, message)) = line.split_at_checked(23) else { continue };
        let Some(at) = time_of_day(time) else { continue };
        let message = message.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        if let Some((name, pid)) =
            message.strip_prefix("spawned: '").and_then(|rest| rest.split_once("' with pid "))
        {
            runs.entry(name.to_owned())
                .or_default()
                .push(Run { pid: pid.parse().unwrap(), ..Run::default() });
            continue;
        }
        let Some((verb, rest)) = message.split_once(": ") else { continue };
        let name = rest.split(' ').next().unwrap();
        let Some(run) = runs.get_mut(name).and_then(|runs| runs.last_mut()) else { continue };
        match verb {
            "success" => run.running = Some(at),
            // Where startsecs is 0, an end can be all that is logged.
            "exited" => (run.running, run.ended) = (run.running.or(Some(at)), Some((at, "EXITED"))),
            "stopped" => run.ended = Some((at, "STOPPED")),
            _ => {}
        }
    }
    runs.values_mut().for_each(|runs| runs.retain(|run| run.running.is_some()));
    runs
}

const SECTIONS: &str = "\
    [program:looping]\ncommand=false\nstartsecs=0\nautorestart=true\n\
    [program:flapping]\ncommand=sleep 1.4\nstartsecs=1\nautorestart=true\n\
    [program:healthy]\ncommand=sleep 1000\n\
    [program:manual]\ncommand=sleep 1000\nstartsecs=0\n\
    [eventlistener:tracker]\ncommand=supd-listen -c 'supd-parse --track --flap 4/60s >>tracked'\n\
    events=PROCESS_STATE\nbuffer_size=10000\nautorestart=true\nstderr_logfile=%(here)s/tracker.err\n";

/// Restarts as the log has them, against those that were told: pid, how it had ended, and when.
fn compare(process: &str, runs: &[Run], restarts: &[&Value], off: &mut Vec<f64>) {
    let expected: Vec<_> = runs.windows(2).map(|pair| (pair[1].pid, pair[0].ended.unwrap().1)).collect();
    let got: Vec<_> = restarts
        .iter()
        .map(|record| (record["pid"].as_u64().unwrap(), record["from_state"].as_str().unwrap()))
        .collect();
    assert_eq!(got, expected, "{process}");
    for (pair, record) in runs.windows(2).zip(restarts) {
        let span = |from: i64, to: i64| (to - from).rem_euclid(86_400_000) as f64 / 1000.0;
        let downtime = span(pair[0].ended.unwrap().0, pair[1].running.unwrap());
        let uptime = span(pair[0].running.unwrap(), pair[0].ended.unwrap().0);
        let expected = pair[0].ended.unwrap().1 == "EXITED";
        assert_eq!(record["expected"].as_bool(), expected.then_some(process == "flapping"), "{record}");
        off.push((record["downtime"].as_f64().unwrap() - downtime).abs());
        off.push((record["uptime"].as_f64().unwrap() - uptime).abs());
    }
}

#[test]
fn restarts_are_those_of_supervisords_log_and_flapping_is_told_once() {
    let sandbox = Sandbox::new();
    let seconds = test_seconds(12);
    let supervisord = Supervisord::start(&sandbox, "4.3.0", SECTIONS, &[]);
    for process in ["healthy", "manual", "tracker"] {
        supervisord.wait_for(process, "RUNNING");
    }
    supervisord.ctl(&["restart", "manual"]);
    let began = std::time::Instant::now();
    eventually_within(seconds * 5, "both flap", || {
        let records = sandbox.records("tracked");
        let both =
            ["looping", "flapping"].map(|process| !told(&records, "SUPD_FLAPPING", process).is_empty());
        (both == [true, true] && began.elapsed() >= seconds).then_some(())
    });
    for process in ["looping", "flapping", "manual"] {
        // What is not running at the moment cannot be stopped.
        until("it is stopped", || {
            supervisord.ctl(&["stop", process]);
            supervisord.ctl(&["status", process]).contains("STOPPED")
        });
        until("that is told", || {
            !told(&sandbox.records("tracked"), "PROCESS_STATE_STOPPED", process).is_empty()
        });
    }
    let (log, records) = (supervisord.log(), sandbox.records("tracked"));
    supervisord.shut_down();
    let runs = runs(&log);
    let mut off = Vec::new();
    for process in ["looping", "flapping", "healthy", "manual"] {
        let restarts = told(&records, "SUPD_RESTARTED", process);
        compare(process, &runs[process], &restarts, &mut off);
        let flaps = usize::from(["looping", "flapping"].contains(&process));
        for name in ["SUPD_FLAPPING", "SUPD_STABLE"] {
            assert_eq!(told(&records, name, process).len(), flaps, "{process} {name}");
        }
        println!("{process}: {} runs in the log, {} restarts told", runs[process].len(), restarts.len());
    }
    assert_eq!((runs["healthy"].len(), runs["manual"].len()), (1, 2));
    off.sort_by(f64::total_cmp);
    println!(
        "spans differ by {:.3} s in the median, {:.3} s at most",
        off[off.len() / 2],
        off[off.len() - 1]
    );
    // supervisord logs the change, we read a clock when the event has come: on a busy machine that is later.
    assert!(off[off.len() - 1] < 30.0, "{off:?}");
    assert_eq!(sandbox.read("tracker.err"), "");
}

#[test]
fn only_for_standard_input_is_the_spool_of_its_listener_looked_into() {
    let sandbox = Sandbox::new();
    let line = state(1, "web", "RUNNING", r#","seq":0"#);
    sandbox.write("named", &line);
    let parse = |spool: &str, file: &str| {
        let mut command = sandbox.tool("supd-parse");
        command.env("SUPD_SPOOL", spool).args(["--track", file]).write_stdin(line.clone()).assert().success()
    };
    parse("missing", "named").stderr("");
    let said = parse("missing", "-").get_output().stderr.clone();
    assert!(String::from_utf8(said).unwrap().contains("knows nothing of the time before seq 0"));
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    parse("empty", "-").stderr("");
}

#[test]
fn what_time_alone_tells_comes_in_time_while_the_input_is_silent() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.spawnable("supd-parse");
    command.args(["--track", "--flap", "2/300ms", "--problems"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut running = Running(child);
    let mut lines = BufReader::new(stdout).lines();
    for serial in [1, 3, 5] {
        let crash = state(serial, "web", "EXITED", r#","expected":false"#);
        stdin.write_all((crash + &state(serial + 1, "web", "RUNNING", "")).as_bytes()).unwrap();
    }
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != "SUPD_STABLE") {
        let record: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        names.push(record["eventname"].as_str().unwrap().to_owned());
        if names.last().unwrap() == "SUPD_STABLE" {
            assert_eq!((&record["ts"], &record["resolves"]), (&"2026-01-05T08:00:00.300Z".into(), &4.into()));
        }
    }
    assert_eq!(names.iter().filter(|name| name.starts_with("SUPD")).count(), 2, "{names:?}");
    drop(stdin);
    assert_eq!(running.status(), 0);
}

/// An event as supervisord sends it, about the process `web`.
fn event(serial: u64, state: &str, from: &str) -> Vec<u8> {
    let more = if state == "EXITED" { " expected:0" } else { "" };
    let pid = if state == "STARTING" { " tries:0".to_owned() } else { format!(" pid:{serial}") };
    let payload = format!("processname:web groupname:web from_state:{from}{more}{pid}");
    format!(
        "ver:3.0 server:s serial:{serial} pool:p poolserial:{serial} eventname:PROCESS_STATE_{state} len:{}\n{payload}",
        payload.len()
    )
    .into_bytes()
}

const PIPELINE: &str = "supd-parse --track --flap 4/10m | supd-notify file told";

impl Sandbox {
    /// supd-listen with a spool and a tracker, ready for an event.
    fn tracking(&self) -> Listener {
        let mut listener = Listener::start(self, &["supd-listen", "--spool", "spool", "-c", PIPELINE]);
        listener.expect("READY\n");
        listener
    }

    fn confirmed_up_to(&self, seq: u64) -> bool {
        self.read("spool/cursors/notify").trim() == seq.to_string()
    }
}

#[test]
fn a_pipeline_that_is_restarted_misses_no_restart_and_tells_none_twice() {
    let sandbox = Sandbox::new();
    let mut listener = sandbox.tracking();
    let life = [("STARTING", "STOPPED"), ("RUNNING", "STARTING"), ("EXITED", "RUNNING")];
    let again = [("STARTING", "EXITED"), ("RUNNING", "STARTING"), ("EXITED", "RUNNING")];
    let events: Vec<_> = life.into_iter().chain(again.into_iter().cycle().take(15)).collect();
    for (serial, (state, from)) in (1..).zip(&events) {
        listener.send(&event(serial, state, from));
        listener.expect(OK_READY);
        // Sometimes with everything confirmed, sometimes with all of it on its way.
        if serial % 2 == 0 {
            until("it is confirmed", || sandbox.confirmed_up_to(serial));
        }
        if serial % 3 != 1 {
            listener.running.0.kill().unwrap();
            listener.running.status();
            listener = sandbox.tracking();
        }
    }
    drop(listener.stdin.take());
    assert_eq!(listener.running.status(), 0);
    let records = sandbox.records("told");
    let restarts = told(&records, "SUPD_RESTARTED", "web");
    let pids: Vec<u64> = restarts.iter().map(|record| record["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids, [5, 8, 11, 14, 17], "{records:#?}");
    for record in restarts {
        assert!(record["downtime"].is_number() && record["uptime"].is_number(), "{record}");
    }
    assert_eq!(told(&records, "SUPD_FLAPPING", "web").len(), 1);
    let running = told(&records, "PROCESS_STATE_RUNNING", "web");
    assert_eq!(running.len(), 6, "{records:#?}");
    assert!(sandbox.confirmed_up_to(18), "{}", sandbox.read("spool/cursors/notify"));
}

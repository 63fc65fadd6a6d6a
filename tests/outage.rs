//! Slack is out of reach for a while, and then back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{
    PATIENCE, Receiver, Recorder, Sandbox, Sent, Supervisord, eventually, eventually_within, kill,
    test_seconds, until,
};

const CRASHES: usize = 2_000;

/// So many at a time, because supervisord keeps 10 events for a listener that is not quick enough.
const AT_A_TIME: usize = 8;

/// What a program says wakes supervisord, which otherwise sleeps for up to a second on the end of another.
const TICKING: &str = "\
import time
while True:
    print(flush=True)
    time.sleep(0.01)
";

#[test]
fn what_happens_while_slack_is_down_arrives_when_it_is_back() {
    // SUPD_TEST_SECONDS=300 for the long run; else Slack is back as soon as everything has happened.
    let outage = test_seconds(0);
    let sandbox = Sandbox::new();
    sandbox.write("ticking.py", TICKING);
    let (recorder, section) = Recorder::new(&sandbox, "PROCESS_STATE_EXITED,REMOTE_COMMUNICATION");
    let sections = format!(
        "[program:crash]\ncommand=sleep 1000\nprocess_name=crash_%(process_num)d\nnumprocs={AT_A_TIME}\n\
         startsecs=0\nautorestart=true\n\
         [program:ticking]\ncommand=python3 ticking.py\ndirectory=%(here)s\nstdout_logfile=NONE\n\
         {section}\
         [eventlistener:alerts]\ncommand=supd-listen -c 'supd-parse -e exited | supd-notify slack --group-interval 0s --rate none'\n\
         events=PROCESS_STATE_EXITED,REMOTE_COMMUNICATION\nbuffer_size=10\nautorestart=true\nstartsecs=0\n\
         priority=2\nenvironment=SUPD_SPOOL=\"%(here)s/spool\"\n\
         stdout_logfile=NONE\nstderr_logfile=%(here)s/alerts.err\n"
    );
    let address = Receiver::address();
    let url = format!("http://{address}/services/T0/hook");
    let supervisord = Supervisord::start(&sandbox, "4.3.0", &sections, &[("SUPD_SLACK_URL", &url)]);
    let down = Instant::now();
    let notify = || match supervisord.processes_running("supd-notify")[..] {
        [pid] => Some(pid),
        _ => None,
    };
    for crashes in (0..CRASHES).step_by(AT_A_TIME) {
        if crashes == CRASHES / 2 {
            // What waits in memory dies with it.
            let before = eventually("one supd-notify runs", notify);
            kill(before.try_into().unwrap());
            until("another supd-notify runs", || notify().is_some_and(|pid| pid != before));
        }
        let running = || spawned(&supervisord.log()).split_off(crashes);
        for pid in eventually("all run", || Some(running()).filter(|pids| pids.len() == AT_A_TIME)) {
            kill(pid);
        }
        until("their ends are recorded", || recorder.count("groupname:crash ") == crashes + AT_A_TIME);
        until("the listener has accepted everything", || {
            supervisord.log().matches("alerts: event was processed").count() >= recorder.count("")
        });
    }
    let mut driver = supervisord.driver();
    driver.command("remote end now");
    until("the end is recorded", || recorder.has_remote("end", "now"));
    std::thread::sleep(outage.saturating_sub(down.elapsed()));

    let crashes: Vec<String> = recorder.up_to_remote("end", "now").iter().filter_map(crash).collect();
    assert_eq!(crashes.len(), CRASHES);
    let (down, back) = (down.elapsed(), Instant::now());
    let receiver = Receiver::start_at(address, &[]);
    let messages = || -> Vec<String> { receiver.received().iter().map(|r| message(&r.body)).collect() };
    // The pause between two attempts has grown with the outage, to twice its length at most, and to five minutes.
    let patience = PATIENCE + (2 * down).min(Duration::from_secs(300));
    eventually_within(patience, "every message arrives", || {
        let all = receiver.count() >= CRASHES && {
            let arrived: BTreeSet<String> = messages().into_iter().collect();
            crashes.iter().all(|crash| arrived.contains(crash))
        };
        all.then_some(())
    });
    eprintln!(
        "{CRASHES} crashes while Slack was down for {down:.1?}; {:.1?} after its return all had arrived, as {} messages",
        back.elapsed(),
        receiver.count()
    );
    let log = supervisord.log();
    supervisord.shut_down();
    assert!(!log.contains("pool alerts event buffer overflowed"), "{log}");
    let mut seen = BTreeSet::new();
    let mut first: Vec<String> = messages().into_iter().filter(|crash| seen.insert(crash.clone())).collect();
    first.retain(|crash| crash.starts_with("crash:"));
    assert_eq!(first, crashes, "in order, and nothing else");
}

/// The pids of the processes that crash, as supervisord started them.
fn spawned(log: &str) -> Vec<i32> {
    let pid = |line: &str| line.split_once("spawned: 'crash_")?.1.split(' ').next_back()?.parse().ok();
    log.lines().filter_map(pid).collect()
}

/// Which process crashed: its name and pid, which no other crash of these has.
fn crash(event: &Sent) -> Option<String> {
    let field =
        |key: &str| event.payload.split(' ').find_map(|token| token.strip_prefix(key)?.strip_prefix(':'));
    (field("groupname")? == "crash").then_some(())?;
    Some(format!("crash:{} {}", field("processname")?, field("pid")?))
}

/// The same from a message: `🔴 crash:crash_0 on db1 exited unexpectedly`, and the field Pid.
fn message(body: &str) -> String {
    let payload: Value = serde_json::from_str(body).unwrap();
    let process = payload["text"].as_str().unwrap().split(' ').nth(1).unwrap().to_owned();
    let fields = payload["attachments"][0]["fields"].as_array().unwrap();
    let pid = fields.iter().find(|field| field["title"] == "Pid").unwrap();
    format!("{process} {}", pid["value"].as_str().unwrap())
}

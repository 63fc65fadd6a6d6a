//! Under real supervisord: a crash reaches people, in every way of chaining, and nothing is poisoned or left behind.

use serde_json::Value;

use crate::harness::{
    PATIENCE, Receiver, Sandbox, Supervisord, VERSIONS, eventually, eventually_within, kill, test_seconds,
    until,
};

/// Most of a test's time goes into waiting for supervisord's own pace, so the versions are tried side by side.
fn for_each_version(test: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        for version in VERSIONS {
            let test = &test;
            scope.spawn(move || test(version));
        }
    });
}

/// Serials that were kept twice, or out of order.
fn disorder(records: &[Value], may_repeat: bool) -> Vec<u64> {
    let serials: Vec<u64> = records.iter().map(|record| record["serial"].as_u64().unwrap()).collect();
    serials
        .windows(2)
        .filter(|pair| pair[0] > pair[1] || (!may_repeat && pair[0] == pair[1]))
        .map(|pair| pair[1])
        .collect()
}

fn has(records: &[Value], eventname: &str, process: &str) -> bool {
    records.iter().any(|record| record["eventname"] == eventname && record["processname"] == process)
}

#[test]
fn a_crash_reaches_slack_once_and_the_healthy_are_not_mentioned() {
    for_each_version(|version| {
        let sandbox = Sandbox::new();
        let receiver = Receiver::start(&[]);
        let sections = "\
            [program:fragile]\ncommand=sleep 1000\n\
            [program:healthy]\ncommand=sleep 1000\n\
            [eventlistener:alerts]\ncommand=supd-listen -c 'supd-parse --problems | supd-notify slack'\n\
            events=PROCESS_STATE\nautorestart=true\nstderr_logfile=%(here)s/alerts.err\n";
        let url = receiver.url("/services/T0/hook");
        let supervisord = Supervisord::start(&sandbox, version, sections, &[("SUPD_SLACK_URL", &url)]);
        for process in ["fragile", "healthy", "alerts"] {
            supervisord.wait_for(process, "RUNNING");
        }
        supervisord.kill("fragile");
        until("the message arrives", || !receiver.received().is_empty());
        // Its return is let through for later, and sent to nobody.
        until("it is running again", || {
            supervisord.log().matches("success: fragile entered RUNNING").count() == 2
        });
        supervisord.ctl(&["stop", "healthy"]);
        supervisord.wait_for("alerts", "RUNNING");
        supervisord.shut_down();
        let texts = receiver.slack_texts();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].starts_with("🔴 fragile on ") && texts[0].ends_with(" exited unexpectedly"),
            "{texts:?}"
        );
        assert_eq!(receiver.received()[0].path, "/services/T0/hook");
        assert!(!sandbox.read("supervisord.log").contains("UNKNOWN"));
        assert_eq!(sandbox.read("alerts.err"), "");
    });
}

#[test]
fn every_way_of_chaining_delivers_and_drains_and_leaves_nothing_behind() {
    let ways = [
        ("shell", "supd-listen -c 'supd-parse | cat >> shell.ndjson'", ""),
        ("program", "supd-listen -- supd-notify file program.ndjson", ""),
        ("file", "supd-listen -o file.ndjson", ""),
        ("dash", "dash -c 'supd-listen | supd-parse | supd-notify file dash.ndjson'", ""),
        ("bash", "bash -c 'supd-listen | supd-parse | cat >> bash.ndjson'", ""),
        ("fd", "sh -c '{ supd-listen --protocol-fd 3 | supd-parse | cat >> fd.ndjson; } 3>&1'", ""),
        ("nested", "sh -c \"nice sh -c 'supd-listen | supd-parse | cat >> nested.ndjson'; true\"", ""),
        ("groupshell", "supd-listen -c 'supd-parse | cat >> groupshell.ndjson'", "stopasgroup=true"),
        (
            "groupdash",
            "dash -c 'supd-listen | supd-parse | supd-notify file groupdash.ndjson'",
            "stopasgroup=true",
        ),
        ("nobodyshell", "supd-listen -c 'supd-parse | supd-notify file nobodyshell.ndjson'", "user=nobody"),
        (
            "nobodydash",
            "dash -c 'supd-listen | supd-parse | supd-notify file nobodydash.ndjson'",
            "user=nobody",
        ),
        (
            "nobodybash",
            "bash -c 'supd-listen | supd-parse | supd-notify file nobodybash.ndjson'",
            "user=nobody",
        ),
        ("nobodyfd", "sh -c '{ supd-listen --protocol-fd 3 | cat >> nobodyfd.ndjson; } 3>&1'", "user=nobody"),
    ];
    for_each_version(|version| {
        let sandbox = Sandbox::for_everyone();
        let mut sections = "[program:fragile]\ncommand=sleep 1000\n".to_owned();
        // With priorities of their own, since an event that one has not answered would go to all that share its own.
        for (number, (name, command, more)) in ways.into_iter().enumerate() {
            let escaped = command.replace('%', "%%");
            sections += &format!(
                "[eventlistener:{name}]\ncommand={escaped}\ndirectory=%(here)s\nevents=PROCESS_STATE,REMOTE_COMMUNICATION\n\
                 buffer_size=1024\nautorestart=true\npriority={number}\nstderr_logfile=%(here)s/{name}.err\n{more}\n"
            );
        }
        let supervisord = Supervisord::start(&sandbox, version, &sections, &[]);
        for (name, ..) in ways {
            supervisord.wait_for(name, "RUNNING");
        }
        supervisord.kill("fragile");
        let records = |name: &str| sandbox.records(&format!("{name}.ndjson"));
        for (name, ..) in ways {
            until(&format!("the crash reaches {name}"), || {
                has(&records(name), "PROCESS_STATE_EXITED", "fragile")
            });
        }
        supervisord.wait_for("fragile", "RUNNING");
        // A listener that is stopped and started again goes on where it was.
        for (name, ..) in ways {
            supervisord.ctl(&["restart", name]);
            supervisord.wait_for(name, "RUNNING");
        }
        supervisord.kill("fragile");
        for (name, ..) in ways {
            let crashes =
                || records(name).iter().filter(|r| r["eventname"] == "PROCESS_STATE_EXITED").count();
            until(&format!("the second crash reaches {name}"), || crashes() == 2);
        }
        supervisord.wait_for("fragile", "RUNNING");
        let log = supervisord.log();
        supervisord.shut_down();
        for (name, command, _) in ways {
            assert_eq!(sandbox.read(&format!("{name}.err")), "", "{name}");
            let records = records(name);
            // When a shell is stopped, the answer to an event that was handed on may find nobody; then it comes again.
            let in_a_shell = !command.starts_with("supd-listen");
            assert_eq!(disorder(&records, in_a_shell), Vec::<u64>::new(), "{command}: {records:?}");
            // The STOPPED that follows finds some of the listeners stopping already, and supervisord sends them nothing.
            assert!(has(&records, "PROCESS_STATE_STOPPING", "fragile"), "{name} saw the shutdown");
        }
        assert!(!log.contains("UNKNOWN") && !log.contains("bad result"), "{log}");
    });
}

#[test]
fn names_and_log_lines_beyond_ascii_arrive_exactly_and_keep_the_listener_in_step() {
    // SUPD_TEST_SECONDS=60 for the long run.
    let time = test_seconds(5);
    let lines = time.as_secs() * 20;
    for_each_version(|version| {
        let sandbox = Sandbox::new();
        let script = format!(
            "import sys, time\nfor n in range({lines}):\n    print(n, 'é漢字😀', flush=True)\n    time.sleep(0.05)\ntime.sleep(1000)\n"
        );
        sandbox.write("talk.py", script);
        let sections = "\
            [program:café-漢字😀]\ncommand=python3 talk.py\ndirectory=%(here)s\nstdout_events_enabled=true\n\
            stdout_logfile=NONE\nenvironment=PYTHONIOENCODING=utf-8\n\
            [eventlistener:logs]\ncommand=supd-listen -c 'supd-parse -e log | supd-notify file logs.ndjson'\n\
            directory=%(here)s\nevents=PROCESS_LOG,PROCESS_STATE\nbuffer_size=1024\nautorestart=true\n\
            stderr_logfile=%(here)s/logs.err\n";
        let supervisord = Supervisord::start(&sandbox, version, sections, &[("LC_ALL", "C.UTF-8")]);
        supervisord.wait_for("logs", "RUNNING");
        let said = || -> String {
            sandbox
                .records("logs.ndjson")
                .iter()
                .map(|record| record["data"].as_str().unwrap().to_owned())
                .collect()
        };
        let all: String = (0..lines).map(|n| format!("{n} é漢字😀\n")).collect();
        eventually_within(PATIENCE + time, "every line arrives", || (said() == all).then_some(()));
        assert!(sandbox.records("logs.ndjson").iter().all(|record| record["processname"] == "café-漢字😀"));
        supervisord.wait_for("logs", "RUNNING");
        assert!(!supervisord.log().contains("UNKNOWN"));
        supervisord.shut_down();
        assert_eq!(sandbox.read("logs.err"), "");
    });
}

#[test]
fn a_pipeline_that_would_write_into_supervisords_pipe_is_refused_and_says_so() {
    for_each_version(|version| {
        let sandbox = Sandbox::new();
        let sections = "\
            [eventlistener:poisoned]\ncommand=sh -c 'supd-listen | supd-parse'\nevents=PROCESS_STATE\n\
            stderr_logfile=%(here)s/poisoned.err\nstartretries=1\n\
            [eventlistener:alone]\ncommand=supd-listen\nevents=PROCESS_STATE\nstartretries=1\n\
            stderr_logfile=%(here)s/alone.err\n";
        let supervisord = Supervisord::start(&sandbox, version, sections, &[]);
        supervisord.wait_for("poisoned", "FATAL");
        supervisord.wait_for("alone", "FATAL");
        let log = supervisord.log();
        supervisord.shut_down();
        assert!(sandbox.read("poisoned.err").contains("add '>&2'"), "{}", sandbox.read("poisoned.err"));
        assert!(sandbox.read("alone.err").contains("use supd-listen -c"), "{}", sandbox.read("alone.err"));
        assert!(!log.contains("UNKNOWN"), "{log}");
    });
}

#[test]
fn the_death_of_any_stage_restarts_the_listener_and_loses_no_event() {
    let sandbox = Sandbox::new();
    let sections = "\
        [program:fragile]\ncommand=sleep 1000\nstartsecs=0\n\
        [eventlistener:chain]\ncommand=supd-listen -c 'supd-parse | supd-notify file chain.ndjson'\n\
        directory=%(here)s\nevents=PROCESS_STATE\nbuffer_size=1024\nautorestart=true\n\
        stderr_logfile=%(here)s/chain.err\n";
    let supervisord = Supervisord::start(&sandbox, "4.3.0", sections, &[]);
    supervisord.wait_for("chain", "RUNNING");
    for (round, stage) in ["supd-notify", "supd-parse", "sh", "supd-listen"].into_iter().enumerate() {
        let before = supervisord.pid_of("chain");
        // An older one may still be draining, and a shell's child is a shell until it has become another program.
        let victim =
            eventually(&format!("one {stage} runs"), || match supervisord.processes_running(stage)[..] {
                [pid] => Some(pid),
                _ => None,
            });
        kill(victim.try_into().unwrap());
        until(&format!("the listener is another one after {stage} was killed"), || {
            let pid: i32 = supervisord.ctl(&["pid", "chain"]).trim().parse().unwrap_or(0);
            pid != 0 && pid != before
        });
        supervisord.kill("fragile");
        supervisord.wait_for("chain", "RUNNING");
        let crashes = || {
            let records = sandbox.records("chain.ndjson");
            let crash =
                |r: &&Value| r["eventname"] == "PROCESS_STATE_EXITED" && r["processname"] == "fragile";
            records.iter().filter(crash).count()
        };
        until(&format!("the crash after {stage} was killed arrives"), || crashes() == round + 1);
        until("one pipeline is left", || supervisord.processes_running("supd-parse").len() == 1);
    }
    assert!(!supervisord.log().contains("UNKNOWN"));
    supervisord.shut_down();
}

#[test]
fn the_death_of_supervisord_ends_every_listener() {
    let sandbox = Sandbox::new();
    let sections = "\
        [eventlistener:chain]\ncommand=supd-listen -c 'supd-parse | supd-notify file chain.ndjson'\n\
        directory=%(here)s\nevents=PROCESS_STATE\n\
        [eventlistener:pipe]\ncommand=sh -c 'supd-listen | supd-parse | supd-notify file pipe.ndjson'\n\
        directory=%(here)s\nevents=PROCESS_STATE\n";
    let supervisord = Supervisord::start(&sandbox, "4.3.0", sections, &[]);
    supervisord.wait_for("chain", "RUNNING");
    supervisord.wait_for("pipe", "RUNNING");
    let tools = ["supd-listen", "supd-parse", "supd-notify", "sh"];
    let running = || tools.iter().map(|tool| supervisord.processes_running(tool).len()).sum::<usize>();
    assert_eq!(running(), 2 * tools.len());
    let [pid] = supervisord.processes_running("python3")[..] else { panic!("supervisord runs") };
    kill(pid.try_into().unwrap());
    until("nothing of the listeners is left", || running() == 0);
}

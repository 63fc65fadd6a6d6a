//! supd-mock play: what is typed happens, what is said is shown.

use predicates::prelude::*;

use crate::harness::Sandbox;

#[test]
fn what_is_typed_reaches_the_listener() {
    let sandbox = Sandbox::new();
    let commands = r"exit web:web_00 expected=1
exit worker
log café 'two\nlines'
remote deploy 'version 7'
comm worker hello
group added batch
tick 60
wait
stop worker
wait
fatal mailer
";
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["play", "--no-ticks", "--", "supd-listen", "-o", "out"]).write_stdin(commands);
    mock.assert().success();
    let names: Vec<String> = sandbox
        .records("out")
        .iter()
        .map(|record| record["eventname"].as_str().unwrap().replace("PROCESS_STATE_", ""))
        .collect();
    let expected = ["EXITED", "EXITED", "STARTING", "PROCESS_LOG_STDERR", "REMOTE_COMMUNICATION"];
    let others: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !["RUNNING", "PROCESS_GROUP_ADDED", "SUPERVISOR_STATE_CHANGE_RUNNING"].contains(name))
        .skip(1)
        .collect();
    assert_eq!(others[..5], expected, "{names:?}");
    assert!(
        names.contains(&"TICK_60".to_owned()) && names.contains(&"PROCESS_COMMUNICATION_STDOUT".to_owned())
    );
    let records = sandbox.records("out");
    let log = records.iter().find(|record| record["eventname"] == "PROCESS_LOG_STDERR").unwrap();
    assert_eq!((&log["data"], &log["processname"]), (&"two\nlines".into(), &"café".into()));
    assert_eq!(names.iter().filter(|name| *name == "BACKOFF").count(), 4);
    assert!(names.contains(&"FATAL".to_owned()));
}

#[test]
fn state_tells_of_listeners_and_programs_and_what_is_not_understood_is_said() {
    let sandbox = Sandbox::new();
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["play", "--no-ticks", "--name", "alerts", "--", "supd-listen", "-o", "out"]);
    mock.write_stdin("stop web\nwait\nstate\ndance\nkill nobody\nexit web\nexit alerts\nhelp\n");
    mock.assert()
        .code(1)
        .stdout(
            predicate::str::is_match(
                "alerts +RUNNING +pid [0-9]+, (READY|ACKNOWLEDGED)\nweb +STOPPED\n0 events wait",
            )
            .unwrap()
            .and(predicate::str::contains("exit NAME [expected=0|1]"))
            .and(predicate::str::ends_with("alerts = STOPPING -> STOPPED\n")),
        )
        .stderr(
            predicate::str::contains("understand 'dance': no such command; 'help' lists them")
                .and(predicate::str::contains("understand 'kill nobody': no listener has this name"))
                .and(predicate::str::contains("understand 'exit web': it is STOPPED; start it first"))
                .and(predicate::str::contains("understand 'exit alerts': it is a listener")),
        );
}

#[test]
fn a_listener_that_breaks_the_protocol_is_shown_doing_so() {
    let sandbox = Sandbox::new();
    let mut mock = sandbox.tool("supd-mock");
    mock.args([
        "play",
        "--no-ticks",
        "--",
        "sh",
        "-c",
        "echo READY; read -r header; echo oops; cat >/dev/null",
    ]);
    mock.write_stdin("tick\n").assert().code(1).stdout(
        predicate::str::contains("listener ! oops\\n\n")
            .and(predicate::str::contains("listener = UNKNOWN\n")),
    );
}

#[test]
fn a_pool_is_stopped_and_restarted_by_its_name_and_programs_come_back_whatever_they_say() {
    let sandbox = Sandbox::new();
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["play", "--no-ticks", "--numprocs", "2", "--name", "pool", "--startsecs", "0s", "--"]);
    mock.args(["sh", "-c", "exec supd-listen -o $SUPERVISOR_PROCESS_NAME"]);
    mock.write_stdin("exit web\nlog web hi\nwait\nstate\nrestart pool\nexit web\nwait\nstate\n");
    mock.assert().success().stdout(
        predicate::str::contains("pool:pool_00 = SIGTERM\n")
            .and(predicate::str::contains("pool:pool_01 = SIGTERM\n"))
            .and(predicate::str::contains("from_state:EXITED tries:0").count(2))
            .and(predicate::str::contains("processname:web groupname:web from_state:STARTING pid:")),
    );
}

#[test]
fn a_listener_that_does_not_stay_up_is_given_up_and_fails() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "supervisord.conf",
        "[supervisord]\n[eventlistener:brief]\ncommand=sh -c 'exit 0'\nevents=TICK\nstartretries=1\n",
    );
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["play", "-C", "supervisord.conf", "--no-ticks"])
        .write_stdin("tick\n")
        .assert()
        .code(1)
        .stdout(predicate::str::ends_with("brief = STARTING -> BACKOFF\nbrief = BACKOFF -> FATAL\n"));
}

#[test]
fn quitting_in_the_middle_of_a_restart_ends_all_the_same() {
    let sandbox = Sandbox::new();
    // Its pipeline takes its time to drain: it is still stopping when the end comes.
    let mut mock = sandbox.tool("supd-mock");
    mock.args(["play", "--no-ticks", "--startsecs", "0s", "--", "supd-listen", "-c", "cat >out; sleep 1"]);
    mock.write_stdin("wait\nrestart listener\nquit\n");
    mock.assert().success().stdout(predicate::str::ends_with("listener = STOPPING -> STOPPED\n"));
}

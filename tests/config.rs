//! A supervisord.conf as supd-mock reads it, against real supervisord.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::Sandbox;

const VERSION: &str = "4.3.0";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/config").join(name)
}

/// The same environment for both.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("HOME", "/home/somebody"),
    ("EVENTS", "tick,REMOTE_COMMUNICATION"),
    ("PATH", "/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
];

/// What supervisor makes of each file; null where it refuses.
fn supervisors(files: &[PathBuf]) -> Vec<Value> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let python = peers.join(format!("supervisor-{VERSION}/bin/python"));
    assert!(python.exists(), "supervisord {VERSION} is not in {}: run scripts/test", peers.display());
    let mut command = Command::new(python);
    command.arg(data("dump.py")).args(files).env_clear().envs(ENVIRONMENT);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What we make of it, in the same words; null where we refuse.
fn ours(sandbox: &Sandbox, file: &Path) -> Value {
    let mut mock = sandbox.spawnable("supd-mock");
    mock.args(["lint", "--dump"]).arg(file).env_clear().envs(ENVIRONMENT);
    let output = mock.output().unwrap();
    if !output.status.success() {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("supd-mock: ") && said.lines().count() == 1, "{said}");
        return Value::Null;
    }
    let mut dump: Value = serde_json::from_slice(&output.stdout).unwrap();
    for kind in ["pools", "programs"] {
        for group in dump[kind].as_array_mut().unwrap() {
            if let Some(events) = group.get_mut("events") {
                let mut names: Vec<Value> = events.as_array().unwrap().clone();
                names.sort_by_key(ToString::to_string);
                *events = names.into();
            }
            for process in group["processes"].as_array_mut().unwrap() {
                let environment: BTreeMap<String, String> =
                    serde_json::from_value::<Vec<(String, String)>>(process["environment"].clone())
                        .unwrap()
                        .into_iter()
                        .collect();
                process["environment"] =
                    serde_json::to_value(environment.into_iter().collect::<Vec<_>>()).unwrap();
                // The one user in these files is root.
                let user = process.as_object_mut().unwrap().remove("user").unwrap();
                process["uid"] = user.as_str().map_or(Value::Null, |_| 0.into());
            }
        }
    }
    dump
}

#[test]
fn a_configuration_means_what_supervisord_says_it_means() {
    let sandbox = Sandbox::new();
    let files = ["form.conf", "expand.conf", "include.conf"].map(data);
    for (file, expected) in files.iter().zip(supervisors(&files)) {
        assert!(!expected.is_null(), "supervisord refuses {}", file.display());
        let ours = ours(&sandbox, file);
        for kind in ["pools", "programs"] {
            for (ours, expected) in
                ours[kind].as_array().unwrap().iter().zip(expected[kind].as_array().unwrap())
            {
                assert_eq!(ours, expected, "{}", file.display());
            }
        }
        assert_eq!(ours, expected, "{}", file.display());
    }
}

/// Sections that are refused or accepted for one thing; each after a `[supervisord]` unless it has its own.
const JUDGED: &[(&str, bool)] = &[
    ("[eventlistener:x]\ncommand=a\nevents=EXITED", false),
    ("[eventlistener:x]\ncommand=a\nevents=SUPD_GAP", false),
    ("[eventlistener:x]\ncommand=a\nevents=PROCESS_STATE,", false),
    ("[eventlistener:x]\ncommand=a\nevents=", false),
    ("[eventlistener:x]\ncommand=a", false),
    ("[eventlistener:x]\nevents=TICK", false),
    ("[eventlistener:x]\ncommand=\nevents=TICK", true),
    ("[eventlistener:x]\ncommand=a\nevents=TICK\nbuffer_size=0", false),
    ("[eventlistener:x]\ncommand=a\nevents=TICK\nbuffer_size=+1", true),
    ("[eventlistener:x]\ncommand=a\nevents=TICK\nredirect_stderr=on", false),
    ("[eventlistener:x]\ncommand=a\nevents=TICK\nredirect_stderr=no", true),
    ("[eventlistener:x]\ncommand=a\nevents=TICK\npriority=%(process_num)d", false),
    ("[eventlistener:x:y]\ncommand=a\nevents=TICK", false),
    ("[eventlistener:x y]\ncommand=a\nevents=TICK", false),
    ("[program:x/y]\ncommand=a", false),
    ("[program:x]\ncommand=date +%Y", false),
    ("[program:x]\ncommand=a 50%", false),
    ("[program:x]\ncommand=a %d", false),
    ("[program:x]\ncommand=a %(nobody)s", false),
    ("[program:x]\ncommand=a %(ENV_NOT_SET)s", false),
    ("[program:x]\ncommand=a %(program_name)d", false),
    ("[program:x]\ncommand=a %(process_num)q", false),
    ("[program:x]\ncommand=a %(program_name)r %(process_num)r %(program_name)a", true),
    ("[program:x]\ncommand=a\nunknown=%(nobody)s", true),
    ("[program:x]\ncommand=a\nprocess_name=a b", false),
    ("[program:x]\ncommand=a\nprocess_name=%(nobody)s", false),
    ("[program:x]\ncommand=a\nnumprocs=2", false),
    ("[program:x]\ncommand=a\nnumprocs=two", false),
    ("[program:x]\ncommand=a\nstopasgroup=true\nkillasgroup=false", false),
    ("[program:x]\ncommand=a\nstopasgroup=true", true),
    ("[program:x]\ncommand=a\nautostart=maybe", false),
    ("[program:x]\ncommand=a\nautorestart=always", false),
    ("[program:x]\ncommand=a\nstartsecs=1.5", false),
    ("[program:x]\ncommand=a\nexitcodes=0,256", false),
    ("[program:x]\ncommand=a\nexitcodes=", true),
    ("[program:x]\ncommand=a\nstopsignal=SIGNAL", false),
    ("[program:x]\ncommand=a\nstopsignal=33", false),
    ("[program:x]\ncommand=a\nstopsignal=RTMIN", true),
    ("[program:x]\ncommand=a\numask=9", false),
    ("[program:x]\ncommand=a\nuser=no-such-user", false),
    ("[program:x]\ncommand=a\nenvironment=A", false),
    ("[program:x]\ncommand=a\nenvironment=A=\"b", false),
    ("[program:x]\ncommand=a\nenvironment=A=1,", true),
    ("[program:x]\ncommand=a\nenvironment=A=b c", true),
    ("[program:x]\ncommand=a\nenvironment=A=\u{e9}t", true),
    ("[program:x]\ncommand=a\nstdout_logfile=/tmp/%%(x)s", false),
    ("[program:x]\ncommand=a\nstderr_logfile_maxbytes=1M", false),
    ("[program:x]\ncommand=a\nstdout_syslog=2", false),
    ("[program:x]\ncommand=a 'b", true),
    ("[group:g]\nprograms=nobody", false),
    ("[group:g]", true),
    ("[group:g h]", false),
    ("[program:x]\ncommand=a\n[fcgi-program:x]\ncommand=a\nsocket=unix:///x\n[group:g]\nprograms=x", false),
    ("[program:x]\ncommand=a\n[group:g]\nprograms=x,", false),
    ("[fcgi-program:x]\ncommand=a", false),
    ("[fcgi-program:x]\ncommand=a\nsocket=/x", false),
    ("[fcgi-program:x]\ncommand=a\nsocket=tcp://localhost:99", true),
    ("[fcgi-program:x]\ncommand=a\nsocket=tcp://localhost:99\nsocket_mode=0700", false),
    ("[fcgi-program:x]\ncommand=a\nsocket=unix:///x\nsocket_backlog=0", false),
    ("[include]", false),
    ("[include]\nfiles=no/such.conf", true),
    ("[include]\nfiles=%(nobody)s", false),
    ("[inet_http_server]", false),
    ("[inet_http_server]\nport=0", false),
    ("[inet_http_server]\nport=host", false),
    ("[inet_http_server]\nport=80\nusername=x", false),
    ("[inet_http_server]\nport=%(here)s:80", false),
    ("[unix_http_server]", false),
    ("[unix_http_server]\nfile=/x\nchmod=rw", false),
    ("[unix_http_server]\nfile=/x\nchown=root:no-such-group", false),
    ("[rpcinterface:x]", false),
    ("[supervisord]\nloglevel=loud", false),
    ("[supervisord]\nminfds=many", false),
    ("[supervisord]\nnodaemon=x", false),
    ("[supervisord]\nlogfile_maxbytes=x", false),
    ("[supervisord]\nuser=no-such-user", false),
    ("[supervisord]\nenvironment=A=\"%%\"", false),
    ("[supervisord]\nenvironment=A=\"%(host_node_name)s\"", false),
    ("[supervisord]\nidentifier=%(nobody)s", false),
    ("[x]\nnonsense", false),
    ("[x]\n=y", false),
    ("[x", false),
    ("[]", false),
];

#[test]
fn what_supervisord_refuses_is_refused() {
    let sandbox = Sandbox::new();
    let mut texts: Vec<(String, bool)> = JUDGED
        .iter()
        .map(|(text, accepted)| {
            let own = text.contains("[supervisord]") || text.starts_with("[]");
            (if own { (*text).to_owned() } else { format!("[supervisord]\n{text}\n") }, *accepted)
        })
        .collect();
    texts.push((String::new(), false));
    texts.push(("\u{feff}[supervisord]\n".to_owned(), false));
    texts.push(("[program:x]\ncommand=a".to_owned(), false));
    texts.push(("stray\n[supervisord]".to_owned(), false));
    let write = |(n, (text, _)): (usize, &(String, bool))| sandbox.write(&format!("{n}.conf"), text);
    let files: Vec<PathBuf> = texts.iter().enumerate().map(write).collect();
    for ((file, (text, accepted)), theirs) in files.iter().zip(&texts).zip(supervisors(&files)) {
        assert_eq!(!theirs.is_null(), *accepted, "supervisord and {text}");
        assert_eq!(ours(&sandbox, file), theirs, "{text}");
    }
}

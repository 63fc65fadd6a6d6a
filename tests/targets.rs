//! supd-notify with a configuration: several targets, and rules that say which of them gets what.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{ChildStdin, Stdio};

use predicates::prelude::*;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Running, Sandbox, state, until};

fn fatal(seq: u64, process: &str) -> String {
    state(seq + 1000, process, "FATAL", &format!(r#","seq":{seq}"#))
}

fn crash(seq: u64, process: &str) -> String {
    state(seq + 1000, process, "EXITED", &format!(r#","expected":false,"seq":{seq}"#))
}

/// An address that accepts connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

impl Sandbox {
    /// The numbers of the records in a file, or of the lines that a program wrote.
    fn seqs(&self, name: &str) -> Vec<u64> {
        let seq = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap();
            value.get("seq").unwrap_or(&value).as_u64().unwrap()
        };
        self.read(name).lines().map(seq).collect()
    }

    /// Waits until so many are whole: the last one may still be written when another target has long got the record.
    fn wait_for_dead_letters(&self, count: usize) {
        until("the dead letters are written", || self.read("dead").matches('\n').count() == count);
    }

    fn position(&self, consumer: &str) -> Option<u64> {
        self.read(&format!("spool/cursors/{consumer}")).trim().parse().ok()
    }

    /// A configuration of a target that works and of one that is held up: at `gate`, until `open` is there.
    fn slow_beside_working(&self) -> String {
        self.sh("mkfifo gate").assert().success();
        let script = "echo $SUPD_SEQ >>slow; test -e open || read -r go <gate";
        format!(
            "dead_letter = 'dead'\n[targets.working]\nfile = {{ path = 'working' }}\n\
             [targets.slow]\nexec = {{ program = ['sh', '-c', '{script}'] }}\npolicy = {{ timeout = '5m' }}\n"
        )
    }

    /// `supd-notify` with this configuration, to run to its end.
    fn notify(&self, config: &str, words: &[&str], input: &str) -> assert_cmd::assert::Assert {
        self.write("notify.toml", config);
        self.tool("supd-notify").args(["--config", "notify.toml"]).args(words).write_stdin(input).assert()
    }

    /// The same with its input open; its messages go to the file `err`.
    fn configured(&self, config: &str, words: &[&str]) -> (Running, ChildStdin) {
        self.write("notify.toml", config);
        let mut command = self.spawnable("supd-notify");
        command.args(["--config", "notify.toml"]).args(words).stdin(Stdio::piped());
        let mut child = command.stderr(File::create(self.path("err")).unwrap()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (Running(child), stdin)
    }
}

/// Three targets: what is fatal pages, and is kept with what is of the web; the rest goes to all.
const RULES: &str = r#"
default = ["all"]
[targets.pager]
exec = { program = ["sh", "-c", "echo $SUPD_SEQ >>paged"] }
[targets.web]
file = { path = "web" }
[targets.all]
file = { path = "all" }
[[rules]]
event = ["fatal"]
targets = ["pager"]
continue = true
[[rules]]
process = ["web*"]
targets = ["web"]
[[rules]]
host = ["elsewhere*"]
targets = ["pager", "web", "all"]
"#;

#[test]
fn rules_say_which_target_gets_what() {
    let sandbox = Sandbox::new();
    let input = [fatal(1, "web1"), crash(2, "web1"), crash(3, "db"), fatal(4, "db")].concat();
    sandbox.notify(RULES, &[], &input).success().stdout("").stderr("");
    assert_eq!((sandbox.seqs("paged"), sandbox.seqs("web")), (vec![1, 4], vec![1, 2]));
    assert_eq!(sandbox.read("all"), crash(3, "db"));
    // Without rules there is nothing to say.
    let config = "[targets.a]\nfile = { path = 'a' }\n[targets.b]\nfile = { path = 'b' }\n";
    sandbox.notify(config, &[], &input).success();
    assert_eq!((sandbox.read("a"), sandbox.read("b")), (input.clone(), input));
}

#[test]
fn each_target_confirms_under_a_name_of_its_own_what_it_got_and_what_was_not_for_it() {
    let sandbox = Sandbox::new();
    let spool = ["--spool", "spool"];
    let mark = "{\"seq\":9,\"eventname\":\"SUPD_MARK\"}\n";
    let (mut running, mut stdin) = sandbox.configured(RULES, &spool);
    let positions = || ["pager", "web", "all"].map(|target| sandbox.position(&format!("notify.{target}")));
    until("all are known", || positions() == [Some(0); 3]);
    stdin.write_all(crash(1, "web1").as_bytes()).unwrap();
    until("it is confirmed by all", || positions() == [Some(1); 3]);
    stdin.write_all((fatal(2, "db") + &crash(4, "db") + mark).as_bytes()).unwrap();
    until("the mark is confirmed by all", || positions() == [Some(9); 3]);
    let mut status = sandbox.tool("supd-listen");
    let status = status.args(["spool", "status", "spool"]).assert().success();
    status.stdout(predicate::str::contains("notify.pager").and(predicate::str::contains("notify.web")));
    drop(stdin);
    assert_eq!((running.status(), sandbox.read("err")), (0, String::new()));
    assert_eq!(sandbox.position("notify"), None);
    // One target is called by its name too, and goes on where it was.
    let one = "[targets.web]\nfile = { path = 'one' }\n";
    sandbox.notify(one, &spool, &(crash(9, "a") + &crash(10, "a"))).success();
    assert_eq!((sandbox.seqs("one"), sandbox.position("notify.web")), (vec![10], Some(10)));
    let mut confirm = sandbox.tool("supd-listen");
    confirm.args(["spool", "remove-consumer", "spool", "--consumer", "notify.all"]).assert().success();
    assert_eq!(sandbox.position("notify.all"), None);
}

#[test]
fn after_kill_9_no_target_has_lost_anything_and_each_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkfifo gate").assert().success();
    let config = |script: &str| {
        format!(
            "[targets.slow]\nexec = {{ program = ['sh', '-c', '{script}'] }}\npolicy = {{ timeout = '1m' }}\n\
             [targets.quick]\nfile = {{ path = 'quick' }}\n"
        )
    };
    let script = "echo $SUPD_SEQ >>slow; test $SUPD_SEQ != 20 || read -r go <gate";
    let (mut running, mut stdin) = sandbox.configured(&config(script), &["--spool", "spool"]);
    let all: String = (1..=100).map(|seq| crash(seq, "web")).collect();
    stdin.write_all(all.as_bytes()).unwrap();
    until("one is in the middle and the other at the end", || {
        sandbox.seqs("slow").len() == 20 && sandbox.position("notify.quick") == Some(100)
    });
    running.signal(Signal::KILL);
    assert_eq!(running.status(), 128 + 9);
    // For the program that it ran.
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    let confirmed = sandbox.position("notify.slow").unwrap();
    assert!(confirmed < 20, "{confirmed}");
    sandbox.notify(&config("echo $SUPD_SEQ >>slow"), &["--spool", "spool"], &all).success();
    let expected: Vec<u64> = (1..=20).chain(confirmed + 1..=100).collect();
    assert_eq!((sandbox.seqs("slow"), sandbox.seqs("quick")), (expected, (1..=100).collect()));
    assert_eq!(sandbox.position("notify.slow"), Some(100));
}

#[test]
fn new_targets_begin_together_beside_the_furthest_of_the_others() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("spool/cursors")).unwrap();
    sandbox.write("spool/cursors/notify", "4\n");
    let all: String = (1..=6).map(|seq| crash(seq, "web")).collect();
    let config = "[targets.a]\nfile = { path = 'a' }\n[targets.b]\nfile = { path = 'b' }\n";
    sandbox.notify(config, &["--spool", "spool"], &all).success();
    assert_eq!((sandbox.seqs("a"), sandbox.seqs("b")), (vec![5, 6], vec![5, 6]));
    let words = ["--spool", "spool", "--consumer", "other", "--from-start"];
    sandbox.notify(config, &words, &all).success();
    assert_eq!(sandbox.position("other.b"), Some(6));
    assert_eq!((sandbox.seqs("a").len(), sandbox.seqs("b").len()), (8, 8));
}

/// One target that never gets an answer, and one that works.
fn hanging(url: &str, more: &str) -> String {
    format!(
        "{more}\n[targets.hanging]\nwebhook = {{ url = '{url}' }}\n[targets.working]\nfile = {{ path = 'working' }}\n"
    )
}

/// A record of which a queue holds 32.
fn big(seq: u64) -> String {
    state(seq + 1000, "web", "EXITED", &format!(r#","seq":{seq},"note":"{}""#, "x".repeat(1 << 20)))
}

#[test]
fn a_target_that_hangs_keeps_nothing_from_one_that_works() {
    let sandbox = Sandbox::new();
    let (silent, url) = silent();
    let config = hanging(&url, "dead_letter = 'dead'");
    let words = ["--timeout", "500ms", "--drain-timeout", "500ms"];
    let (mut running, mut stdin) = sandbox.configured(&config, &words);
    stdin.write_all(big(1).as_bytes()).unwrap();
    let _connection = silent.accept().unwrap();
    for seq in 2..=40 {
        stdin.write_all(big(seq).as_bytes()).unwrap();
    }
    until("the working one has got all", || sandbox.read("working").lines().count() == 40);
    sandbox.wait_for_dead_letters(7);
    let said = "supd-notify: deliver to hanging: the queue is full; what comes now is given up\n";
    assert_eq!(sandbox.read("err").matches(said).count(), 1, "{}", sandbox.read("err"));
    assert_eq!(sandbox.seqs("dead"), (34..=40).collect::<Vec<_>>());
    // What it holds is given up after the end of input.
    drop(stdin);
    assert_eq!(running.status(), 1);
    assert_eq!(sandbox.seqs("dead"), (34..=40).chain(1..=33).collect::<Vec<_>>());
    assert_eq!(sandbox.seqs("working"), (1..=40).collect::<Vec<_>>());
}

#[test]
fn what_a_target_had_no_room_for_is_confirmed_after_what_it_had_room_for() {
    let sandbox = Sandbox::new();
    let config = sandbox.slow_beside_working();
    let (mut running, mut stdin) = sandbox.configured(&config, &["--spool", "spool"]);
    stdin.write_all(big(1).as_bytes()).unwrap();
    until("the slow one is at work", || sandbox.seqs("slow") == [1]);
    for seq in 2..=40 {
        stdin.write_all(big(seq).as_bytes()).unwrap();
    }
    until("the working one has confirmed all", || sandbox.position("notify.working") == Some(40));
    sandbox.wait_for_dead_letters(7);
    assert_eq!(sandbox.seqs("dead"), (34..=40).collect::<Vec<_>>());
    assert_eq!(sandbox.position("notify.slow"), Some(0));
    sandbox.write("open", "");
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    until("it has confirmed all too", || sandbox.position("notify.slow") == Some(40));
    stdin.write_all(crash(41, "web").as_bytes()).unwrap();
    until("it works as before", || sandbox.position("notify.slow") == Some(41));
    let said = "supd-notify: deliver to slow: the queue has room again; gave up 7 records\n";
    assert!(sandbox.read("err").ends_with(said), "{}", sandbox.read("err"));
    drop(stdin);
    assert_eq!(running.status(), 1);
    assert_eq!(sandbox.seqs("slow"), (1..=33).chain([41]).collect::<Vec<_>>());
}

#[test]
fn what_a_target_had_no_room_for_does_not_come_again_after_sigterm() {
    let sandbox = Sandbox::new();
    let config = sandbox.slow_beside_working();
    let words = ["-v", "--spool", "spool", "--drain-timeout", "10ms"];
    let (mut running, mut stdin) = sandbox.configured(&config, &words);
    let all: String = (1..=40).map(big).collect();
    stdin.write_all(big(1).as_bytes()).unwrap();
    until("the slow one is at work", || sandbox.seqs("slow") == [1]);
    stdin.write_all(&all.as_bytes()[big(1).len()..]).unwrap();
    until("the working one has confirmed all", || sandbox.position("notify.working") == Some(40));
    running.signal(Signal::TERM);
    until("it has heard", || sandbox.read("err").contains("SIGTERM: "));
    drop(stdin);
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    assert_eq!((running.status(), sandbox.position("notify.slow")), (1, Some(1)));
    sandbox.write("open", "");
    sandbox.notify(&config, &["--spool", "spool"], &all).success();
    assert_eq!((sandbox.seqs("slow"), sandbox.position("notify.slow")), ((1..=33).collect(), Some(40)));
    assert_eq!(sandbox.seqs("dead"), (34..=40).collect::<Vec<_>>());
}

#[test]
fn without_a_dead_letter_file_the_others_wait_and_are_told_why_and_sigterm_ends_all() {
    for spool in [&[][..], &["--spool", "spool"]] {
        let sandbox = Sandbox::new();
        let (silent, url) = silent();
        let words = ["--timeout", "200ms", "--drain-timeout", "500ms"];
        let (mut running, mut stdin) = sandbox.configured(&hanging(&url, ""), &[&words, spool].concat());
        stdin.write_all(big(1).as_bytes()).unwrap();
        let _connection = silent.accept().unwrap();
        let writer = std::thread::spawn(move || {
            // It is cut short when the reader ends.
            let _ = (2..=40).try_for_each(|seq| stdin.write_all(big(seq).as_bytes()));
            stdin
        });
        let said = "deliver to hanging: its queue is full, and the other targets wait for it; with --dead-letter FILE";
        until("it is said", || sandbox.read("err").contains(said));
        let got = sandbox.seqs("working");
        assert!(got.len() < 40, "they wait");
        running.signal(Signal::TERM);
        assert_eq!(running.status(), i32::from(spool.is_empty()), "what stays in the spool is not lost");
        drop(writer.join().unwrap());
        assert_eq!(sandbox.read("err").matches(said).count(), 1);
    }
}

#[test]
fn a_dry_run_says_whom_it_would_send_to_and_needs_no_secret() {
    let sandbox = Sandbox::new();
    let config = "dead_letter = 'dead'\n[targets.ops]\nslack = { url = { env = 'SUPD_TEST_UNSET' } }\n";
    let assert = sandbox.notify(config, &["--dry-run"], &fatal(1, "web")).success();
    assert.stdout(predicate::str::starts_with("ops: {\"text\":\"🔥 web on web1 could not be started"));
    assert!(!sandbox.path("dead").exists());
}

#[test]
fn a_wrong_configuration_is_said_in_one_line_before_anything_is_read() {
    let sandbox = Sandbox::new();
    let log = "[targets.ops]\nlog = {}\n";
    for (config, said) in [
        (
            "[targets.ops]\nslak = {}\n",
            "line 2, column 1: unknown key 'slak', expected one of 'slack', 'email',",
        ),
        ("[targets.ops]\nslak = {}\n", "; did you mean 'slack'?\n"),
        ("[targets.ops\n", "line 1, column 13: "),
        (
            &format!("{log}policy = {{ rate = 'x' }}\n"),
            "line 3, column 19: 'rate': neither a rate such as 20/1m nor",
        ),
        (
            &format!("{log}policy = {{ quiet = 'x' }}\n"),
            "line 3, column 20: 'quiet': not a span of the day such as",
        ),
        (
            &format!("default = []\n{log}[[rules]]\nevent = ['fatel']\ntargets = ['ops']\n"),
            "line 5, column 9: 'event': no event has this name; there are starting, running,",
        ),
        (&format!("default = ['op']\n{log}"), "line 1, column 12: there is no target 'op', only 'ops'"),
        (
            "[targets.ops]\nslack = { url = { env = 'SUPD_TEST_UNSET' } }\n",
            "line 1, column 10: target 'ops': read URL: the variable SUPD_TEST_UNSET is not set\n",
        ),
        (
            &format!("dead_letter = 'no/such/dir/file'\n{log}"),
            "line 1, column 15: open dead letter file 'no/such/dir/file': No such file or directory",
        ),
        (
            &format!("{log}file = {{ path = 'x' }}\nx = 1\n"),
            " (and 1 more, which 'supd-notify check-config' shows)\n",
        ),
        ("", "there is no target; it takes a table such as [targets.ops]\n"),
    ] {
        let assert = sandbox.notify(config, &[], &fatal(1, "web")).code(2).stdout("");
        let begins = predicate::str::starts_with("supd-notify: read configuration 'notify.toml': ");
        let one_line = predicate::str::contains("\n").count(1).and(predicate::str::ends_with("\n"));
        assert.stderr(begins.and(predicate::str::contains(said)).and(one_line));
    }
    let mut notify = sandbox.tool("supd-notify");
    let missing = "supd-notify: read configuration 'missing.toml': No such file or directory (os error 2)\n";
    notify.args(["--config", "missing.toml"]).assert().code(2).stderr(missing);
}

#[test]
fn what_is_odd_is_said_and_does_not_keep_it_from_working() {
    let sandbox = Sandbox::new();
    let config = "[targets.a]\nfile = { path = 'a' }\n[targets.b]\nlog = {}\n[[rules]]\ntargets = ['a']\n\
                  [[rules]]\nevent = ['fatal']\ntargets = ['b']\n";
    let assert = sandbox.notify(config, &[], &fatal(1, "web")).success();
    assert.stderr(
        "supd-notify: read configuration 'notify.toml': line 3, column 10: no record comes to target 'b'\n\
         supd-notify: read configuration 'notify.toml': line 7, column 1: no record comes to this rule: one before it \
         takes all\n",
    );
    assert_eq!(sandbox.seqs("a"), [1]);
}

#[test]
fn check_config_says_all_that_is_wrong_or_what_would_be_done() {
    let sandbox = Sandbox::new();
    sandbox.write("notify.toml", RULES.replace("[targets.pager]", "dead_letter = 'dead'\n[targets.pager]"));
    let mut check = sandbox.tool("supd-notify");
    check.args(["check-config", "notify.toml"]).assert().success().stderr("").stdout(
        "target pager (exec): each record by itself, an attempt takes up to 5s, tried for 24h\n\
         target web (file): each record by itself, an attempt takes up to 5s, tried for 24h\n\
         target all (file): each record by itself, an attempt takes up to 5s, tried for 24h\n\
         rule 1: event PROCESS_STATE_FATAL → pager; then the next rule\n\
         rule 2: process web* → web\n\
         rule 3: host elsewhere* → pager, web, all\n\
         what no rule fits → all\n\
         what cannot be delivered → dead\n",
    );
    assert!(!sandbox.path("dead").exists(), "it changes nothing");
    sandbox
        .write("notify.toml", "a = 1\n[targets.ops]\nslack = { url = 'https://hooks.slack.com/s3cret' }\n");
    let mut check = sandbox.tool("supd-notify");
    check.args(["check-config", "notify.toml"]).assert().code(2).stdout("").stderr(
        "supd-notify: read configuration 'notify.toml': line 1, column 1: unknown key 'a', expected one of \
         'dead_letter', 'default', 'policy', 'rules', 'targets'\n\
         supd-notify: read configuration 'notify.toml': line 3, column 17: 'slack': a secret stands in a variable or in \
         a file: { env = \"VARIABLE\" } or { file = \"PATH\" }\n",
    );
}

#[test]
fn it_takes_a_channel_or_a_configuration() {
    let sandbox = Sandbox::new();
    let says = |words: &[&str], said: &str| {
        let assert = sandbox.tool("supd-notify").args(words).write_stdin("").assert().code(2);
        assert.stderr(predicate::str::starts_with(said).and(predicate::str::contains("\n").count(1)));
    };
    says(&[], "supd-notify: say where to deliver to: a channel, as in 'supd-notify slack', or --config FILE");
    says(
        &["--config", "x", "log"],
        "supd-notify: --config FILE says where to deliver to, so a channel beside it",
    );
    says(&["test"], "supd-notify: say where to send the test: a channel, as in 'supd-notify test slack'");
}

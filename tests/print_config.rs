//! supd-listen --print-config: real supervisord reads back what was asked for, and runs it.

use std::path::Path;
use std::process::Command;

use predicates::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Sandbox, Supervisord, VERSIONS, capture, eventually};

/// Words that supervisord's file, its expansions or its quoting could take for something of their own.
const NASTY: [&str; 18] = [
    "supd-parse --problems | supd-notify slack",
    "jq -c --unbuffered \"select(.processname != 'cron')\" | cat",
    "date +%s; date +%Y-%m-%d ; printf '%%s %(here)s %(ENV_HOME)s %(program_name)s%%' # not a comment",
    "%(here)s%%(here)s %%%(here)s% (here)s",
    "echo a ;b; c #d#e\t;f\u{a0};g\u{2003}#h\u{1f};i",
    "' ; # \\' \" ; \\\" # ''';''' ' #",
    "\\ \\\\ \\n \"\\$HOME\" $HOME `id` $(id) ~ * [a] {b,c} !d",
    "grep 'é' | sed 's/漢/😀/' # ü",
    "line 1\nline 2\n\n  indented \n; a comment?\n # another?\n[section]\nkey=value\n\ttab\t\nlast",
    "\n",
    "\n\n \n",
    "  blanks around  ",
    "\t",
    ";",
    "#",
    "=:=",
    "'",
    "control \u{1} \u{7f} \u{85} \u{2028} \u{b}; \u{c}# \u{feff}",
];

/// What this call prints.
fn printed(sandbox: &Sandbox, name: &str, words: &[&str]) -> String {
    let mut listen = sandbox.tool("supd-listen");
    let assert = listen.args(["--print-config", name]).args(words).assert().success().stderr("");
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// What supervisord of this version makes of a configuration's listeners, by the names of their sections.
fn pools(version: &str, sandbox: &Sandbox, sections: &str) -> Vec<Value> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let python = peers.join(format!("supervisor-{version}/bin/python"));
    assert!(python.exists(), "supervisord {version} is not in {}: run scripts/test", peers.display());
    let config = sandbox.write("supervisord.conf", Supervisord::config(sections));
    let output = Command::new(python).arg(capture("config/dump.py")).arg(config).output().unwrap();
    let dump: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut pools = dump["pools"].as_array().unwrap_or_else(|| panic!("refused:\n{sections}")).clone();
    pools.sort_by_key(|pool| pool["name"].as_str().unwrap().to_owned());
    pools
}

#[test]
fn supervisord_reads_back_every_word_and_lint_finds_nothing() {
    let sandbox = Sandbox::new();
    let mut sections = String::new();
    let mut expected = Vec::new();
    for (number, word) in NASTY.iter().enumerate() {
        // clap refuses a script of blanks.
        if !word.trim().is_empty() {
            let name = format!("a{number:02}");
            sections += &printed(&sandbox, &name, &["--host", word, "-c", word]);
            expected.push((name, vec![format!("--host={word}"), "-c".to_owned(), (*word).to_owned()]));
        }
        let name = format!("b{number:02}");
        sections += &printed(&sandbox, &name, &["--", "cat", word, ""]);
        expected.push((name, ["--", "cat", word, ""].map(str::to_owned).to_vec()));
    }
    expected.sort();
    for version in VERSIONS {
        let pools = pools(version, &sandbox, &sections);
        assert_eq!(pools.len(), expected.len());
        for (pool, (name, words)) in pools.iter().zip(&expected) {
            let process = &pool["processes"][0];
            assert_eq!(pool["name"], **name);
            let ours: Vec<&str> =
                process["words"].as_array().unwrap()[1..].iter().map(|word| word.as_str().unwrap()).collect();
            assert_eq!(ours, *words, "{version}");
            assert_eq!(pool["buffer_size"], 1024);
            assert_eq!(process["autorestart"], "always");
            let spool = format!("/var/spool/supd/{name}");
            assert_eq!(process["environment"], json!([["SUPD_SPOOL", spool]]));
        }
    }
    // One section at a time, because among so many two may share a priority.
    for section in sections.split_inclusive("[eventlistener:").skip(1) {
        let section = section.trim_end_matches("[eventlistener:");
        sandbox.write("one.conf", Supervisord::config(&format!("[eventlistener:{section}")));
        sandbox.tool("supd-mock").args(["lint", "one.conf"]).assert().success().stdout("");
    }
}

#[test]
fn options_and_events_stay_and_what_is_the_default_is_left_out() {
    let sandbox = Sandbox::new();
    let given = [
        "--len=bytes",
        "--max-payload=1KiB",
        "--drain-timeout=1500ms",
        "--wake=stderr",
        "--host=db 1",
        "-v",
        "--events=exited,FATAL,tick_60,process_state_fatal",
        "-o",
        "events.ndjson",
    ];
    let section = printed(&sandbox, "mine", &given);
    assert!(section.contains("\nstderr_logfile=NONE\n"), "{section}");
    let [pool] = &pools(VERSIONS[0], &sandbox, &section)[..] else { panic!("one pool") };
    let file = sandbox.path("events.ndjson");
    let words = json!([
        pool["processes"][0]["words"][0],
        "--len=bytes",
        "--max-payload=1024",
        "--drain-timeout=1.5s",
        "--wake=stderr",
        "--host=db 1",
        "--verbose",
        "-o",
        file.to_str().unwrap()
    ]);
    assert_eq!(pool["processes"][0]["words"], words);
    assert_eq!(pool["events"], json!(["PROCESS_STATE_EXITED", "PROCESS_STATE_FATAL", "TICK_60"]));

    let usual = ["--len", "auto", "--max-payload", "16MiB", "--drain-timeout", "8s", "--", "cat"];
    let assert = sandbox
        .sh("exec supd-listen --print-config \"$@\"")
        .args(["sh"])
        .args(usual)
        .env("SUPD_SPOOL", "my spool/50%")
        .assert()
        .success();
    let section = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(section.starts_with("[eventlistener:supd]\ncommand=supd-listen -- cat\nevents=PROCESS_STATE\n"));
    assert!(!section.contains("stderr_logfile"), "{section}");
    let [pool] = &pools(VERSIONS[1], &sandbox, &section)[..] else { panic!("one pool") };
    let spool = sandbox.path("my spool/50%");
    assert_eq!(pool["processes"][0]["environment"], json!([["SUPD_SPOOL", spool.to_str().unwrap()]]));
}

#[test]
fn what_was_printed_runs_as_it_was_written() {
    for version in VERSIONS {
        let sandbox = Sandbox::new();
        let texts: Vec<&str> = NASTY.into_iter().filter(|text| !text.contains('\0')).collect();
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let words: Vec<String> = texts.iter().map(|text| quote(text)).collect();
        // The texts are in the script itself, and arguments of a program beside it.
        let script = format!("printf '[%s]' {} >shell.tmp\nmv shell.tmp shell\ncat", words.join(" "));
        let write = r#"printf "[%s]" "$@" >program.tmp; mv program.tmp program; cat"#;
        let program = ["--", "sh", "-c", write, "sh"];
        let sections = printed(&sandbox, "shell", &["--spool", "spool 1", "-c", &script])
            + &printed(&sandbox, "program", &[&["--spool", "spool-2"], &program[..], &texts].concat());
        let supervisord = Supervisord::start(&sandbox, version, &sections, &[]);
        let expected: String = texts.iter().map(|text| format!("[{text}]")).collect();
        for name in ["shell", "program"] {
            let written = eventually(&format!("{name} has written"), || {
                std::fs::read_to_string(sandbox.path(name)).ok()
            });
            assert_eq!(written, expected, "{version} {name}");
            supervisord.wait_for(name, "RUNNING");
        }
        supervisord.shut_down();
    }
}

#[test]
fn what_no_section_can_say_is_refused_with_the_cure() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        ("--print-config", "supd-listen: print a section: say where records go, as in --print-config -c "),
        (
            "--print-config -c \"$(printf 'a\\rb')\"",
            "supd-listen: print the command: supervisord's configuration cannot hold the carriage return in it; ",
        ),
        (
            "--print-config -- \"$(printf 'a\\377')\"",
            "supd-listen: print 'a\u{fffd}': supervisord's configuration is UTF-8, and this is not; ",
        ),
    ] {
        let assert = sandbox.sh(&format!("supd-listen {words}")).assert().code(2).stdout("");
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(stderr.starts_with(said) && stderr.lines().count() == 1, "{stderr}");
    }
    for words in [
        "--print-config 'a b' -o x",
        "--print-config --events gap -o x",
        "--print-config --protocol-fd 3 -o x",
        "--events tick -o x",
    ] {
        sandbox
            .sh(&format!("supd-listen {words}"))
            .assert()
            .code(2)
            .stderr(predicate::str::starts_with("supd-listen: "));
    }
    let spool = sandbox.sh("SUPD_SPOOL='/a\"b' supd-listen --print-config -o x").assert().code(2);
    spool.stderr(predicate::str::contains("choose another directory"));
}

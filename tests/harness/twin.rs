//! One scenario under real supervisord and under supd-mock: the same configuration, the same listener, the same
//! commands; what the listeners read and what became of them, in the same words.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Stdio};

use super::{Running, Sandbox, Supervisord, capture, until};

/// Something to do, or to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A command of supd-mock play.
    Do(&'static str),
    /// Until this has been told so often.
    Until(&'static str, usize),
    /// Until a listener's notes hold this line so often.
    Logged(&'static str, &'static str, usize),
    /// Open a gate for which a listener waits.
    Open(&'static str),
}

/// What a scenario left: of each process and listener, what was told of it and what it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) told: BTreeMap<String, Vec<String>>,
    /// By file: what came in, and what the listener noticed.
    pub(crate) read: BTreeMap<String, String>,
}

/// Listeners of `tests/data/differential/listener.py`, and what happens to them.
pub(crate) struct Scenario {
    pub(crate) sections: String,
    pub(crate) steps: Vec<Step>,
    /// Whether the shutdown at the end counts; not where what a listener hears of it is chance.
    pub(crate) with_shutdown: bool,
    /// Processes of which supervisord's log does not tell enough.
    pub(crate) unlogged: &'static [&'static str],
}

/// Either supervisord.
trait Twin {
    fn command(&mut self, line: &str);
    /// What has been told so far, as `NAME what`.
    fn told(&self) -> Vec<String>;
}

impl Scenario {
    /// Plays it under real supervisord of this version.
    pub(crate) fn under_supervisord(&self, version: &str) -> Outcome {
        let sandbox = self.sandbox();
        let supervisord = Supervisord::start(&sandbox, version, &self.sections, &[("LC_ALL", "C.UTF-8")]);
        let mut driver = supervisord.python(&capture("differential/play.py"));
        let mut child = driver.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = child.stdin.take();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let mut real = Real { sandbox: &sandbox, commands, driver: Running(child) };
        self.play(&sandbox, &mut real);
        let before = outcome(&sandbox, &real);
        real.command("quit");
        drop(real.commands.take());
        assert_eq!(real.driver.status(), 0);
        supervisord.wait();
        if self.with_shutdown { outcome(&sandbox, &real) } else { before }
    }

    /// Plays it under supd-mock.
    pub(crate) fn under_supd_mock(&self) -> Outcome {
        let sandbox = self.sandbox();
        sandbox.write("supervisord.conf", Supervisord::config(&self.sections));
        let mut command = sandbox.spawnable("supd-mock");
        command.args(["play", "-C", "supervisord.conf", "--no-ticks"]).stdin(Stdio::piped());
        command.stdout(File::create(sandbox.path("play.out")).unwrap());
        command.stderr(File::create(sandbox.path("play.err")).unwrap());
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take();
        let mut mock = Mock { sandbox: &sandbox, commands };
        let mut running = Running(child);
        self.play(&sandbox, &mut mock);
        let before = outcome(&sandbox, &mock);
        mock.command("quit");
        drop(mock.commands.take());
        running.status();
        if self.with_shutdown { outcome(&sandbox, &mock) } else { before }
    }

    /// The exit status of a supervisord that does not survive these commands.
    pub(crate) fn crash_supervisord(&self, version: &str, lines: &[&str]) -> i32 {
        let sandbox = self.sandbox();
        let supervisord = Supervisord::start(&sandbox, version, &self.sections, &[]);
        supervisord.wait_for("a", "RUNNING");
        until("it is ready", || sandbox.read("supervisord.log").contains("a: ACKNOWLEDGED -> READY"));
        let mut driver = supervisord.python(&capture("differential/play.py"));
        driver.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = driver.spawn().unwrap();
        let mut commands = child.stdin.take().unwrap();
        let _driver = Running(child);
        for line in lines {
            // It does not outlive supervisord.
            let _ = commands.write_all(format!("{line}\n").as_bytes());
        }
        supervisord.status()
    }

    /// What supd-mock says of listeners that would have brought supervisord down.
    pub(crate) fn crash_supd_mock(&self, lines: &[&str]) -> String {
        let sandbox = self.sandbox();
        sandbox.write("supervisord.conf", Supervisord::config(&self.sections));
        let mut mock = sandbox.tool("supd-mock");
        let script = lines.iter().map(|line| format!("{line}\n")).collect::<String>() + "quit\n";
        mock.args(["play", "-C", "supervisord.conf", "--no-ticks"]).write_stdin(script);
        String::from_utf8(mock.assert().code(1).get_output().stderr.clone()).unwrap()
    }

    fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::new();
        fs::copy(capture("differential/listener.py"), sandbox.path("listener.py")).unwrap();
        sandbox
    }

    fn play(&self, sandbox: &Sandbox, twin: &mut dyn Twin) {
        for step in &self.steps {
            match *step {
                Step::Do(line) => twin.command(line),
                Step::Until(what, times) => until(&format!("{what} {times} times"), || {
                    twin.told().iter().filter(|told| *told == what).count() >= times
                }),
                Step::Logged(process, line, times) => {
                    until(&format!("{process} logs {line} {times} times"), || {
                        let log = sandbox.read(&format!("{process}.notes"));
                        log.lines().filter(|logged| *logged == line).count() >= times
                    })
                }
                Step::Open(gate) => drop(sandbox.write(gate, "")),
            }
        }
    }
}

fn outcome(sandbox: &Sandbox, twin: &dyn Twin) -> Outcome {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in twin.told() {
        let (process, what) = line.split_once(' ').unwrap();
        // Which comes first, RUNNING or READY, is chance: the one is supervisord's doing, the other the listener's.
        let verb = what.split(' ').next().unwrap_or_default();
        let of_process = ["starting", "running", "ended", "stopped", "fatal", "gets"].contains(&verb);
        let key = format!("{process}, {}", if of_process { "the process" } else { "the listener" });
        told.entry(key).or_default().push(what.to_owned());
    }
    let files = fs::read_dir(sandbox.path("")).unwrap().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let listeners_own = |name: &String| name.ends_with(".in") || name.ends_with(".notes");
    let read = names.filter(listeners_own).map(|name| (name.clone(), without_pids(&sandbox.read(&name))));
    Outcome { read: read.collect(), told }
}

/// Process ids differ from run to run; that there is one does not, nor, nearly always, how long it is.
fn without_pids(text: &str) -> String {
    let mut parts = text.split("pid:");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| format!("pid:N{}", part.trim_start_matches(|c: char| c.is_ascii_digit())));
    let text = first + &rest.collect::<String>();
    let mut lines = Vec::new();
    for line in text.split('\n') {
        // The length of a payload with a pid depends on it.
        match line.rsplit_once(" len:") {
            Some((head, len)) if head.contains("PROCESS_STATE") => {
                lines.push(format!("{head} len:N{}", len.trim_start_matches(|c: char| c.is_ascii_digit())));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

struct Real<'a> {
    sandbox: &'a Sandbox,
    commands: Option<ChildStdin>,
    driver: Running,
}

struct Mock<'a> {
    sandbox: &'a Sandbox,
    commands: Option<ChildStdin>,
}

fn send(commands: &mut Option<ChildStdin>, line: &str) {
    let commands = commands.as_mut().unwrap();
    commands.write_all(format!("{line}\n").as_bytes()).and_then(|()| commands.flush()).unwrap();
}

impl Twin for Real<'_> {
    fn command(&mut self, line: &str) {
        send(&mut self.commands, line);
    }

    fn told(&self) -> Vec<String> {
        self.sandbox.read("supervisord.log").lines().filter_map(from_supervisords_log).collect()
    }
}

impl Twin for Mock<'_> {
    fn command(&mut self, line: &str) {
        send(&mut self.commands, line);
    }

    fn told(&self) -> Vec<String> {
        self.sandbox.read("play.out").lines().filter_map(from_transcript).collect()
    }
}

/// `2026-11-22 18:00:00,000 DEBG alerts: ACKNOWLEDGED -> READY` and all the other forms.
fn from_supervisords_log(line: &str) -> Option<String> {
    let message = line.splitn(4, ' ').nth(3)?;
    let quoted = |text: &str| text.split('\'').nth(1).map(str::to_owned);
    let after = |prefix: &str| message.strip_prefix(prefix);
    let first = |text: &str| text.split([' ', ':']).next().map(str::to_owned);
    if let Some((process, change)) = message.split_once(": ") {
        match change {
            "ACKNOWLEDGED -> READY" => return Some(format!("{process} ready")),
            "event was processed" => return Some(format!("{process} accepted")),
            "event was rejected" => return Some(format!("{process} rejected")),
            _ if change.ends_with("-> UNKNOWN") => return Some(format!("{process} unknown")),
            _ => {}
        }
    }
    if message.starts_with("spawned: ") {
        return Some(format!("{} starting", quoted(message)?));
    }
    if let Some(rest) = after("success: ") {
        return Some(format!("{} running", first(rest)?));
    }
    if let Some(rest) = after("exited: ") {
        let how = if rest.ends_with("; expected)") { "expectedly" } else { "unexpectedly" };
        return Some(format!("{} ended {how}", first(rest)?));
    }
    if let Some(rest) = after("stopped: ") {
        return Some(format!("{} stopped", first(rest)?));
    }
    if let Some(rest) = after("gave up: ") {
        return Some(format!("{} fatal", first(rest)?));
    }
    let words: Vec<&str> = message.split(' ').collect();
    match words[..] {
        ["event", serial, "sent", "to", "listener", process] => Some(format!("{process} sent {serial}")),
        ["killing", process, _, _, .., "signal", signal] => Some(format!("{process} gets {signal}")),
        ["pool", pool, "event", "buffer", "overflowed,", "discarding", "event", serial] => {
            Some(format!("{pool} dropped {serial}"))
        }
        _ => None,
    }
}

/// `alerts < READY\n` and all the other forms.
fn from_transcript(line: &str) -> Option<String> {
    let (process, rest) = line.split_once(' ')?;
    // supervisord's log leaves out the group.
    let process = process.rsplit_once(':').map_or(process, |(_, name)| name);
    let what = match rest.split_once(' ')? {
        ("<", "READY\\n") => "ready".to_owned(),
        ("<", "RESULT 2\\nOK") => "accepted".to_owned(),
        ("<", _) => "rejected".to_owned(),
        (">", wire) => format!("sent {}", wire.split(" serial:").nth(1)?.split(' ').next()?),
        ("=", "UNKNOWN") => "unknown".to_owned(),
        ("=", change) => match change.split_once(" -> ") {
            Some((_, "STARTING")) => "starting".to_owned(),
            Some((_, "RUNNING")) => "running".to_owned(),
            Some((_, "STOPPED")) => "stopped".to_owned(),
            Some((_, "FATAL")) => "fatal".to_owned(),
            Some((_, "EXITED (expected)")) => "ended expectedly".to_owned(),
            Some((_, "EXITED (unexpected)" | "BACKOFF")) => "ended unexpectedly".to_owned(),
            Some(_) => return None,
            None if change.starts_with("SIG") => format!("gets {change}"),
            None => format!("dropped {}", change.strip_prefix("event ")?.strip_suffix(" dropped")?),
        },
        _ => return None,
    };
    Some(format!("{process} {what}"))
}

//! supd-listen hears first: it watches supervisord's processes and wakes supervisord when one ends.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::{
    Listener, OK_READY, Running, Sandbox, Supervisord, VERSIONS, eventually, kill, tick, until,
};

/// One schedule of wakings.
const ONCE: usize = 5;

/// A listener below a process that has many other children, in supervisord's place.
struct Family<'a> {
    sandbox: &'a Sandbox,
    listener: Listener,
    serial: u32,
}

impl<'a> Family<'a> {
    fn start(sandbox: &'a Sandbox, url: &str, children: usize, script: &str) -> Self {
        fs::copy(crate::harness::capture("wake/parent.py"), sandbox.path("parent.py")).unwrap();
        // The limits are the parent's too.
        let (limits, command) = script.split_once(';').unwrap_or(("", script));
        let parent = format!("{limits}\nexec python3 parent.py {url} {children} sh -c \"exec {command}\"");
        let mut listener = Listener::start(sandbox, &["sh", "-c", &parent]);
        listener.expect("READY\n");
        let family = Self { sandbox, listener, serial: 0 };
        until("every process is started", || family.pids().len() == children);
        family
    }

    fn numbers(&self) -> Vec<i32> {
        self.sandbox.read("pids").split_terminator('\n').map(|pid| pid.parse().unwrap()).collect()
    }

    /// The idle processes, in the order of their start.
    fn pids(&self) -> Vec<i32> {
        self.numbers().into_iter().skip(1).collect()
    }

    /// Where the descriptors of supd-listen lead.
    fn descriptors(&self) -> Vec<String> {
        let directory = format!("/proc/{}/fd", self.numbers()[0]);
        let links = fs::read_dir(directory).unwrap().flatten().flat_map(|fd| fs::read_link(fd.path()));
        links.map(|link| link.display().to_string()).collect()
    }

    /// How many processes are watched.
    fn watched(&self) -> usize {
        self.descriptors().iter().filter(|link| link.contains("pidfd")).count()
    }

    fn wait_for_watched(&self, number: usize) {
        until(&format!("{number} processes are watched"), || self.watched() == number);
    }

    /// An event, and its answer. That there are other processes than before is not known without one.
    fn event(&mut self) {
        self.serial += 1;
        self.listener.send(&tick(self.serial));
        self.listener.expect(OK_READY);
    }

    /// One more process, which the listener does not know of.
    fn one_more(&self) {
        let before = self.numbers().len();
        self.listener.running.signal(Signal::USR2);
        until("one more is started", || self.numbers().len() == before + 1);
    }

    fn reap(&self) {
        self.listener.running.signal(Signal::USR1);
    }

    /// Lets it end, as supervisord does.
    fn end(mut self) {
        drop(self.listener.stdin.take());
        assert_eq!(self.listener.running.status(), 0);
    }
}

/// A socket at which nothing but knocks is heard.
trait Door {
    /// Whether another connection was made, and closed without a word.
    fn knock(&self) -> bool;
}

impl Door for UnixListener {
    fn knock(&self) -> bool {
        self.set_nonblocking(true).unwrap();
        self.accept().is_ok_and(|(connection, _)| hangs_up(connection))
    }
}

impl Door for TcpListener {
    fn knock(&self) -> bool {
        self.set_nonblocking(true).unwrap();
        self.accept().is_ok_and(|(connection, _)| hangs_up(connection))
    }
}

fn hangs_up(mut connection: impl std::io::Read) -> bool {
    connection.read(&mut [0; 1]).unwrap() == 0
}

fn knocks(door: &impl Door) -> usize {
    std::iter::repeat_with(|| door.knock()).take_while(|knocked| *knocked).count()
}

/// Waits for one schedule, and no more than that.
fn expect_knocks(door: &impl Door) {
    let mut heard = 0;
    until("five knocks", || {
        heard += knocks(door);
        heard >= ONCE
    });
    assert_eq!(heard, ONCE);
}

fn unix_door(sandbox: &Sandbox) -> (UnixListener, String) {
    let path = sandbox.path("supervisor.sock");
    (UnixListener::bind(&path).unwrap(), format!("unix://{}", path.display()))
}

#[test]
fn a_death_leads_to_five_connections_and_nothing_else_to_any() {
    let sandbox = Sandbox::new();
    let (door, url) = unix_door(&sandbox);
    let mut family = Family::start(&sandbox, &url, 10, "supd-listen -o out");
    family.event();
    family.wait_for_watched(10);
    assert_eq!(knocks(&door), 0);
    kill(family.pids()[3]);
    expect_knocks(&door);
    family.wait_for_watched(9);
    // It has not been reaped, and is looked at again with a new one.
    family.one_more();
    family.event();
    family.wait_for_watched(10);
    assert_eq!(knocks(&door), 0);
    kill(family.pids()[10]);
    expect_knocks(&door);
    family.reap();
    assert_eq!(sandbox.read("stderr"), "");
    family.end();
}

#[test]
fn a_process_that_has_ended_before_it_was_seen_wakes_once() {
    let sandbox = Sandbox::new();
    let (door, url) = unix_door(&sandbox);
    let mut family = Family::start(&sandbox, &url, 1, "supd-listen -o out");
    family.event();
    family.wait_for_watched(1);
    // Let nothing be seen until it is over.
    let listener = rustix::process::Pid::from_raw(family.numbers()[0]).unwrap();
    rustix::process::kill_process(listener, Signal::STOP).unwrap();
    family.one_more();
    let victim = family.pids()[1];
    kill(victim);
    until("it has ended", || fs::read_to_string(format!("/proc/{victim}/stat")).unwrap().contains(") Z "));
    rustix::process::kill_process(listener, Signal::CONT).unwrap();
    family.event();
    expect_knocks(&door);
    family.one_more();
    family.event();
    family.wait_for_watched(2);
    assert_eq!(knocks(&door), 0);
    family.end();
}

#[test]
fn a_supervisord_with_a_port_is_woken_there() {
    let sandbox = Sandbox::new();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", door.local_addr().unwrap().port());
    let mut family = Family::start(&sandbox, &url, 3, "supd-listen --wake -o out");
    family.event();
    family.wait_for_watched(3);
    assert_eq!(knocks(&door), 0);
    kill(family.pids()[0]);
    expect_knocks(&door);
    family.end();
}

#[test]
fn newlines_on_standard_error_do_it_too() {
    let sandbox = Sandbox::new();
    let (door, url) = unix_door(&sandbox);
    sandbox.sh("mkfifo err").assert().success();
    // For writing too, so that opening it does not wait.
    let mut err = File::options().read(true).write(true).open(sandbox.path("err")).unwrap();
    let mut family = Family::start(&sandbox, &url, 3, "supd-listen --wake=stderr -o out 2>err");
    family.event();
    family.wait_for_watched(3);
    assert_eq!(rustix::io::ioctl_fionread(&err).unwrap(), 0);
    kill(family.pids()[0]);
    let mut newlines = [0; ONCE];
    err.read_exact(&mut newlines).unwrap();
    assert_eq!((newlines, knocks(&door)), ([b'\n'; ONCE], 0));
    family.end();
}

#[test]
fn where_it_is_not_wanted_or_not_possible_there_is_no_thread_for_it() {
    for (command, reason) in [
        ("supd-listen -v -o out --no-wake", ""),
        ("env SUPERVISOR_SERVER_URL=unix:///nonexistent supd-listen -v -o out", "'/nonexistent'"),
        ("env -u SUPERVISOR_SERVER_URL supd-listen -v -o out", "read SUPERVISOR_SERVER_URL: "),
        ("env -u SUPERVISOR_ENABLED supd-listen -v -o out", "not started by supervisord"),
        // Standard error is a file.
        ("supd-listen -v -o out --wake=stderr", "standard error is not supervisord's pipe"),
        ("supd-listen -v -o out --wake=stderr 2>&1", ""),
    ] {
        let sandbox = Sandbox::new();
        let (door, url) = unix_door(&sandbox);
        let mut family = Family::start(&sandbox, &url, 2, command);
        if command.ends_with("2>&1") {
            let line = "supd-listen: not waking supervisord when a process ends: \
                        standard error is where supervisord waits for replies\n";
            family.listener.expect(line);
        }
        family.event();
        let threads = fs::read_dir(format!("/proc/{}/task", family.numbers()[0])).unwrap().count();
        assert_eq!((threads, family.watched()), (1, 0), "{command}");
        let said = sandbox.read("stderr");
        assert_eq!(said.lines().count(), usize::from(!reason.is_empty()), "{command}: {said}");
        assert!(said.contains(reason), "{command}: {said}");
        assert_eq!(knocks(&door), 0, "{command}");
        family.end();
    }
}

#[test]
fn a_thousand_processes_are_watched_and_let_go() {
    let sandbox = Sandbox::new();
    let (door, url) = unix_door(&sandbox);
    let script = "ulimit -Sn 1024; supd-listen -c 'ulimit -n >limit; cat >out'";
    let mut family = Family::start(&sandbox, &url, 1000, script);
    family.event();
    family.wait_for_watched(1000);
    let others = || family.descriptors().len() - family.watched();
    let before = others();
    assert!(before < 24, "{:?}", family.descriptors());
    // The pipeline has the limit that supd-listen was given.
    until("the pipeline runs", || sandbox.read("limit") == "1024\n");
    assert_eq!(knocks(&door), 0);
    kill(family.pids()[617]);
    expect_knocks(&door);
    family.wait_for_watched(999);
    for pid in &family.pids()[10..] {
        kill(*pid);
    }
    family.wait_for_watched(10);
    family.reap();
    until("everything else is let go", || others() <= before);
    family.event();
    family.end();
}

#[test]
fn as_many_are_watched_as_there_are_descriptors_for() {
    let sandbox = Sandbox::new();
    let (door, url) = unix_door(&sandbox);
    let mut family = Family::start(&sandbox, &url, 200, "ulimit -n 164; supd-listen -v -o out");
    family.event();
    family.wait_for_watched(100);
    until("it is said", || sandbox.read("stderr").contains("there are no descriptors left"));
    for pid in family.pids() {
        kill(pid);
    }
    until("some are heard", || knocks(&door) > 0);
    family.reap();
    family.event();
    family.wait_for_watched(0);
    assert_eq!(sandbox.read("stderr").matches("no descriptors left").count(), 1);
    family.end();
}

#[test]
fn a_listener_that_can_wake_is_as_quiet_as_another_while_idle() {
    let sandbox = Sandbox::new();
    let (_door, url) = unix_door(&sandbox);
    let check = format!(
        "supd-mock check --strict --only idle,memory -- \
         env SUPERVISOR_SERVER_URL={url} supd-listen -v -c 'cat >out' 2>listener.err"
    );
    sandbox.sh(&check).assert().success();
}

/// What real supervisord does while a process ends, as strace(1) sees it.
struct Traced<'a> {
    supervisord: Supervisord<'a>,
    sandbox: &'a Sandbox,
    _strace: Running,
}

impl<'a> Traced<'a> {
    fn start(sandbox: &'a Sandbox, version: &str, options: &str, more: &str) -> Self {
        let sections = format!(
            "[program:victim]\ncommand=sleep 1000\nstartsecs=0\nautorestart=true\n\
             [eventlistener:listener]\ncommand=supd-listen {options} -o %(here)s/records\nevents=PROCESS_STATE\n\
             autorestart=true\n{more}\n"
        );
        let supervisord = Supervisord::start(sandbox, version, &sections, &[]);
        supervisord.wait_for("victim", "RUNNING");
        supervisord.wait_for("listener", "RUNNING");
        let pid = sandbox.read("supervisord.pid").trim().to_owned();
        let mut strace = sandbox.spawnable("strace");
        strace.args(["-o", "trace", "-s", "200", "-e", "trace=poll,wait4,write,accept4", "-p", &pid]);
        let strace = Running(strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        Self { supervisord, sandbox, _strace: strace }
    }

    /// Kills the victim while supervisord sleeps, with so many connections to its socket that follow. How often
    /// supervisord slept out its second between the moment in which it reaped it and that in which it told the listener.
    fn kill(&self, connections: usize) -> usize {
        let victim = self.supervisord.pid_of("victim");
        let since = |start: usize| self.sandbox.read("trace").split_off(start);
        let now = || since(0).len();
        let start = now();
        until("supervisord has answered, and nothing else has happened since", || {
            let trace = since(start);
            let mut polls = trace.lines().filter(|line| line.starts_with("poll(") && line.contains(") = "));
            polls.next_back().is_some_and(sleeps)
        });
        let start = now();
        kill(victim);
        let slept = eventually("the listener is told", || {
            let trace = since(start);
            let told = trace.lines().position(|line| line.contains("eventname:PROCESS_STATE_EXITED"))?;
            let reaped = trace.lines().position(|line| line.ends_with(&format!("= {victim}")))?;
            Some(trace.lines().take(told).skip(reaped).filter(|line| sleeps(line)).count())
        });
        let accepted = || {
            let trace = since(start);
            trace.lines().filter(|line| line.starts_with("accept4(") && !line.contains("= -1")).count()
        };
        until("it was knocked at its door", || accepted() >= connections);
        assert_eq!(accepted(), connections);
        slept
    }

    fn descriptors(&self) -> usize {
        let pid = self.sandbox.read("supervisord.pid");
        fs::read_dir(format!("/proc/{}/fd", pid.trim())).unwrap().count()
    }
}

/// A poll(2) to which nothing came.
fn sleeps(line: &str) -> bool {
    line.starts_with("poll(") && line.ends_with(" = 0 (Timeout)")
}

/// So often a process is killed: on a busy machine any knock may come late, and the pipes that the process leaves behind
/// may happen to do what knocks do.
const TRIES: usize = 3;

#[test]
fn supervisord_tells_of_an_end_without_sleeping_first() {
    std::thread::scope(|scope| {
        for version in VERSIONS {
            scope.spawn(move || {
                let sandbox = Sandbox::new();
                let traced = Traced::start(&sandbox, version, "", "");
                let before = traced.descriptors();
                let slept: Vec<usize> = (0..TRIES).map(|_| traced.kill(ONCE)).collect();
                assert!(slept.contains(&0), "{version}: {slept:?}");
                until("supervisord has closed what it accepted", || traced.descriptors() == before);
                let log = traced.supervisord.log();
                let mut loud = log.lines().filter(|line| !line.contains(" DEBG ") && line.contains("http"));
                assert!(loud.all(|line| line.contains("'unix_http_server' running")), "{version}: {log}");
                traced.supervisord.shut_down();
            });
            scope.spawn(move || {
                let sandbox = Sandbox::new();
                let traced = Traced::start(&sandbox, version, "--no-wake", "");
                let slept: Vec<usize> = (0..TRIES).map(|_| traced.kill(0)).collect();
                assert_ne!(slept, [0; TRIES], "{version}");
                traced.supervisord.shut_down();
            });
        }
    });
}

#[test]
fn a_listener_of_another_user_wakes_by_standard_error() {
    let sandbox = Sandbox::for_everyone();
    let more = "user=nobody\nstderr_logfile=NONE";
    let traced = Traced::start(&sandbox, "4.3.0", "--wake=stderr", more);
    let slept: Vec<usize> = (0..TRIES).map(|_| traced.kill(0)).collect();
    assert!(slept.contains(&0), "{slept:?}");
    traced.supervisord.shut_down();
}

#[test]
fn a_listener_of_another_user_that_may_not_use_the_socket_says_what_would_do() {
    let sandbox = Sandbox::for_everyone();
    let sections = "[eventlistener:listener]\ncommand=supd-listen -v -o %(here)s/records\nevents=PROCESS_STATE\n\
                    user=nobody\nstderr_logfile=%(here)s/listener.err\n";
    let supervisord = Supervisord::start(&sandbox, "4.3.0", sections, &[]);
    supervisord.wait_for("listener", "RUNNING");
    until("it is said", || sandbox.read("listener.err").contains("Permission denied"));
    assert!(sandbox.read("listener.err").contains("try --wake=stderr"));
    supervisord.shut_down();
}

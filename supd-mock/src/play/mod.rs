//! `supd-mock play`: a supervisord to poke a listener with, one command a line.

mod clock;
mod command;
mod programs;

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use supd_core::input::{Lines, Source, Watch};
use supd_core::supervisor::{Autorestart, Id, ListenerState, Report};
use supd_core::{Payload, State, cli, stdio};

use crate::daemon::{self, Daemon, Happening};
use crate::fault::Faults;
use crate::listeners::Listeners;
use crate::transcript::Transcript;
use clock::Clock;
use command::{Command, HELP, row};
use programs::Programs;

/// What dead listeners left behind may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

const COMMANDS: &str = "\
Commands, one a line; words are split as a shell splits them:
";
const EXAMPLES: &str = "
Examples:
  supd-mock play -- supd-listen -c 'supd-parse --to text >&2'
  printf 'fatal mailer\\nlog web oops\\n' | supd-mock play -- ./my_listener

Exit status: 0; 1 when a listener broke the protocol or a command was not
understood; 2 for wrong usage.";

/// Start a listener, and let happen what is typed on standard input
///
/// What is said goes to standard output, a line at a time: 'NAME > …' what a listener reads, 'NAME < …' what it
/// answers ('!' where that is not understood), 'NAME = …' what becomes of it. Programs that are named need not exist: each is RUNNING when it is first
/// named. The listener's own changes of state are events, as under supervisord, and the clock ticks.
#[derive(Debug, clap::Args)]
#[command(override_usage = "supd-mock play [OPTIONS] -- LISTENER [ARG]...
       supd-mock play [OPTIONS] --config FILE [--listener NAME]...")]
#[command(after_help = format!("{COMMANDS}{}{EXAMPLES}", indented(HELP)))]
pub(crate) struct Play {
    /// No ticks but those that are typed
    #[arg(long)]
    no_ticks: bool,

    #[command(flatten)]
    listeners: Listeners,
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

pub(crate) fn run(args: &Play) -> anyhow::Result<u8> {
    let cast = args.listeners.cast(Autorestart::default(), true)?;
    let programs = Programs::new(&cast.programs);
    let transcript = Some(Transcript::to_stdout());
    let say = Box::new(daemon::to_stderr);
    let daemon = Daemon::new(cast, Faults::default(), transcript, say)?;
    let mut play = Playing {
        daemon,
        programs,
        clock: (!args.no_ticks).then(|| Clock::new(Timestamp::now())),
        restarting: Vec::new(),
        at_fault: false,
        misunderstood: false,
        quitting: false,
    };
    play.daemon.supervisor.begin();
    play.obey()?;
    play.stop()?;
    Ok(if play.at_fault || play.misunderstood { cli::FAILED } else { cli::DONE })
}

struct Playing {
    daemon: Daemon,
    programs: Programs,
    clock: Option<Clock>,
    /// Listeners that are to be started when they have stopped.
    restarting: Vec<Id>,
    /// Whether a listener broke the protocol.
    at_fault: bool,
    misunderstood: bool,
    quitting: bool,
}

impl Playing {
    /// Does what standard input says, until it ends.
    fn obey(&mut self) -> anyhow::Result<()> {
        let mut source = Source::open(Some(Path::new("-")))?;
        let mut lines = Lines::default();
        while !self.quitting {
            let happenings = self.daemon.settle()?;
            self.take_in(happenings);
            if source.has_input()? {
                let bytes = source.read(&mut Watch::default(), &mut || Ok(()))?;
                let ended = bytes.is_empty();
                if ended {
                    lines.finish();
                } else {
                    lines.feed(bytes);
                }
                while !self.quitting
                    && let Some(line) = lines.next()
                {
                    let text = line.text.map(String::from_utf8_lossy);
                    self.understand(text.as_deref().unwrap_or_default())?;
                }
                if ended && !self.quitting {
                    self.wait()?;
                    self.quitting = true;
                }
                continue;
            }
            let happenings = self.daemon.turn(self.until(), Some(source.as_fd()))?;
            self.take_in(happenings);
            self.let_happen();
        }
        Ok(())
    }

    fn until(&self) -> Option<Instant> {
        let tick = self.clock.as_ref().map(|_| Instant::now() + Clock::pause(Timestamp::now()));
        [tick, self.programs.due()].into_iter().flatten().min()
    }

    /// What the programs and the clock bring about.
    fn let_happen(&mut self) {
        let ticks = self.clock.as_mut().map(|clock| clock.strike(Timestamp::now())).unwrap_or_default();
        for (eventname, payload) in self.programs.events(Instant::now()).chain(ticks) {
            self.daemon.supervisor.notify(&eventname, payload);
        }
    }

    fn understand(&mut self, line: &str) -> anyhow::Result<()> {
        match Command::parse(line) {
            Ok(None) => {}
            Ok(Some(command)) => self.perform(command)?,
            Err(reason) => self.refuse(line, &reason),
        }
        self.let_happen();
        // One command after another, as if somebody typed them.
        let happenings = self.daemon.settle()?;
        self.take_in(happenings);
        Ok(())
    }

    /// Lets something happen to a program, which a listener is not, and which may be in no state for it.
    fn on_program(&mut self, verb: &str, name: &str, act: impl FnOnce(&mut Programs) -> Result<(), String>) {
        let result = match self.daemon.supervisor.find(name).is_empty() {
            true => act(&mut self.programs),
            false => Err("it is a listener; 'stop' and 'kill' are for those".to_owned()),
        };
        if let Err(reason) = result {
            self.refuse(&format!("{verb} {name}"), &reason);
        }
    }

    fn refuse(&mut self, line: &str, reason: &str) {
        log::error!("understand '{line}': {reason}");
        self.misunderstood = true;
    }

    fn perform(&mut self, command: Command) -> anyhow::Result<()> {
        let now = Instant::now();
        let supervisor = &mut self.daemon.supervisor;
        match command {
            Command::Exit { name, expected } => {
                self.on_program("exit", &name, |programs| programs.exit(&name, expected, now))
            }
            Command::Fatal(name) => self.on_program("fatal", &name, |programs| programs.fatal(&name)),
            Command::Start(name) => match &supervisor.find(&name)[..] {
                [] => self.programs.start(&name, now),
                ids => ids.iter().for_each(|&id| supervisor.start(id, now)),
            },
            Command::Stop(name) => match &supervisor.find(&name)[..] {
                [] => self.programs.stop(&name),
                ids => ids.iter().for_each(|&id| supervisor.stop(id, now)),
            },
            Command::Restart(name) => match &supervisor.find(&name)[..] {
                [] => {
                    self.programs.stop(&name);
                    self.programs.start(&name, now);
                }
                ids => {
                    ids.iter().for_each(|&id| supervisor.stop(id, now));
                    self.restarting.extend(ids);
                }
            },
            Command::Kill { name, signal } => match &supervisor.find(&name)[..] {
                [] => self.refuse(&format!("kill {name}"), "no listener has this name"),
                ids => ids.iter().try_for_each(|&id| self.daemon.kill(id, signal, false))?,
            },
            Command::Log { name, channel, text } => self.programs.log(&name, channel, &text),
            Command::Comm { name, text } => self.programs.communicate(&name, &text),
            Command::Remote { kind, text } => {
                let payload = Payload { r#type: Some(kind), body: Some(text.into()), ..Payload::default() };
                supervisor.notify("REMOTE_COMMUNICATION", payload);
            }
            Command::Group { eventname, name } => {
                supervisor.notify(eventname, Payload { groupname: Some(name), ..Payload::default() });
            }
            Command::Tick(period) => {
                let (eventname, payload) = clock::tick(Timestamp::now(), period.cast_signed());
                supervisor.notify(&eventname, payload);
            }
            Command::State => self.print_state()?,
            Command::Wait => self.wait()?,
            Command::Help => stdio::print(HELP.as_bytes())?,
            Command::Quit => self.quitting = true,
        }
        Ok(())
    }

    /// Goes on until every event has been answered, or no listener is left to answer.
    fn wait(&mut self) -> anyhow::Result<()> {
        loop {
            let happenings = self.daemon.settle()?;
            self.take_in(happenings);
            let supervisor = &self.daemon.supervisor;
            let is_answered = supervisor.waiting() + supervisor.in_hand() == 0;
            if self.quitting
                || is_answered
                || supervisor.ids().all(|id| supervisor.is_lost(id) || supervisor.is_deaf(id))
            {
                return Ok(());
            }
            let happenings = self.daemon.turn(self.until(), None)?;
            self.take_in(happenings);
            self.let_happen();
        }
    }

    fn print_state(&self) -> anyhow::Result<()> {
        let supervisor = &self.daemon.supervisor;
        let listener = |id| {
            let pid = match supervisor.pid(id) {
                0 => String::new(),
                pid => format!("pid {pid}, {}", supervisor.listener_state(id)),
            };
            row(supervisor.name(id), supervisor.state(id), &pid)
        };
        let listeners: String = supervisor.ids().map(listener).collect();
        let waiting = format!("{} events wait for a listener\n", supervisor.waiting());
        stdio::print((listeners + &self.programs.table() + &waiting).as_bytes())
    }

    fn take_in(&mut self, happenings: Vec<Happening>) {
        for happening in happenings {
            match happening {
                Happening::Report(Report::Listener { process, to: ListenerState::Unknown, .. }) => {
                    self.fault(
                        &process,
                        "broke the protocol: supervisord would never send it an event again",
                    );
                }
                Happening::Early(process) => {
                    let fault = "answered before it had read the whole event: supervisord itself would crash";
                    self.fault(&process, fault);
                    self.quitting = true;
                }
                Happening::Deaf(process) => {
                    self.fault(
                        &process,
                        "closed its standard input: supervisord would go on without telling anybody",
                    );
                }
                Happening::Ended(process, end) => log::info!("{process} {end}"),
                Happening::Report(Report::Process { process, change }) if change.to == State::Fatal => {
                    self.fault(
                        &process,
                        "did not stay up in any of its tries: supervisord would start it no more",
                    );
                }
                Happening::Report(_) => {}
            }
        }
        let now = Instant::now();
        let supervisor = &mut self.daemon.supervisor;
        self.restarting.retain(|&id| {
            let is_down = supervisor.state(id) != State::Stopping;
            if is_down {
                supervisor.start(id, now);
            }
            !is_down
        });
    }

    fn fault(&mut self, process: &str, fault: &str) {
        log::error!("{process} {fault}");
        self.at_fault = true;
    }

    /// Stops everything as supervisord does when it shuts down.
    fn stop(&mut self) -> anyhow::Result<()> {
        // What was to be started again stays stopped now.
        self.restarting.clear();
        self.daemon.supervisor.shut_down(Instant::now());
        let happenings = self.daemon.settle()?;
        self.take_in(happenings);
        while !self.daemon.supervisor.is_down() {
            let happenings = self.daemon.turn(None, None)?;
            self.take_in(happenings);
        }
        self.daemon.wait_for_all(PATIENCE, |_| Ok(()))
    }
}

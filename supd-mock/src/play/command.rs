//! What can be typed: one command a line, words as in a shell.

use rustix::process::Signal;
use supd_core::kind::State;

use crate::config::words;

/// The commands, for people.
pub(super) const HELP: &str = "\
exit NAME [expected=0|1]  a program ends; unless expected, it comes back
fatal NAME                a program does not come up any more
start|stop|restart NAME   a program, or a listener
kill NAME [SIGNAL]        signal a listener, KILL unless another is given
log NAME TEXT [stdout]    a program writes to stderr, or stdout; \\n works
comm NAME TEXT            a program writes between communication tokens
remote TYPE TEXT          a client calls sendRemoteCommEvent
group added|removed NAME  a group of programs comes or goes
tick [5|60|3600]          supervisord's clock strikes, out of turn
state                     what supervisord knows of listeners and programs
wait                      go on when every event has been answered
quit                      stop as supervisord does; end of input: wait, quit
";

/// One line's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Exit { name: String, expected: bool },
    Fatal(String),
    Start(String),
    Stop(String),
    Restart(String),
    Kill { name: String, signal: i32 },
    Log { name: String, channel: &'static str, text: String },
    Comm { name: String, text: String },
    Remote { kind: String, text: String },
    Group { eventname: &'static str, name: String },
    Tick(u64),
    State,
    Wait,
    Help,
    Quit,
}

impl Command {
    /// Reads a line; nothing for an empty one or a comment.
    ///
    /// # Errors
    /// A one-line message.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let words = words::split(line).map_err(|error| error.problem)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let own = |text: &str| text.to_owned();
        Ok(Some(match words[..] {
            [] => return Ok(None),
            [comment, ..] if comment.starts_with('#') => return Ok(None),
            ["exit", name] | ["exit", name, "expected=0"] => Self::Exit { name: own(name), expected: false },
            ["exit", name, "expected=1"] => Self::Exit { name: own(name), expected: true },
            ["fatal", name] => Self::Fatal(own(name)),
            ["start", name] => Self::Start(own(name)),
            ["stop", name] => Self::Stop(own(name)),
            ["restart", name] => Self::Restart(own(name)),
            ["kill", name] => Self::Kill { name: own(name), signal: 9 },
            ["kill", name, signal] => Self::Kill { name: own(name), signal: signal_number(signal)? },
            ["log", name, text] | ["log", name, text, "stderr"] => {
                Self::Log { name: own(name), channel: "stderr", text: unescaped(text) }
            }
            ["log", name, text, "stdout"] => {
                Self::Log { name: own(name), channel: "stdout", text: unescaped(text) }
            }
            ["comm", name, text] => Self::Comm { name: own(name), text: unescaped(text) },
            ["remote", kind, text] => Self::Remote { kind: own(kind), text: unescaped(text) },
            ["group", "added", name] => Self::Group { eventname: "PROCESS_GROUP_ADDED", name: own(name) },
            ["group", "removed", name] => Self::Group { eventname: "PROCESS_GROUP_REMOVED", name: own(name) },
            ["tick"] => Self::Tick(5),
            ["tick", period @ ("5" | "60" | "3600")] => {
                Self::Tick(period.parse().expect("it is one of three"))
            }
            ["state" | "status"] => Self::State,
            ["wait"] => Self::Wait,
            ["help" | "?"] => Self::Help,
            ["quit" | "shutdown"] => Self::Quit,
            [verb, ..] => {
                let usage = HELP
                    .lines()
                    .find(|line| line.split([' ', '|']).any(|word| word == verb) && !line.starts_with("  "));
                return Err(match usage.and_then(|line| line.split("  ").next()) {
                    Some(usage) => format!("it is used so: {usage}"),
                    None => "no such command; 'help' lists them".to_owned(),
                });
            }
        }))
    }
}

fn signal_number(text: &str) -> Result<i32, String> {
    const NAMES: [(&str, i32); 8] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("KILL", 9),
        ("USR1", 10),
        ("TERM", 15),
        ("CONT", 18),
        ("STOP", 19),
    ];
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = || text.parse().ok().filter(|&number| Signal::from_named_raw(number).is_some());
    known.or_else(number).ok_or_else(|| format!("'{text}' is no signal such as TERM or 15"))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let next = if char == '\\' { chars.next() } else { None };
        match next {
            None => plain.push(char),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some(other) => plain.push(other),
        }
    }
    plain
}

/// A state and what goes with it, for the table that `state` prints.
pub(super) fn row(name: &str, state: State, more: &str) -> String {
    format!("{name:<24} {:<9} {more}", state.name()).trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        let log = Command::Log { name: "a b".into(), channel: "stderr", text: "it's\nme \\".into() };
        assert_eq!(Command::parse(r#"log 'a b' "it's\nme \\\\""#), Ok(Some(log)));
        assert_eq!(Command::parse("  # nothing"), Ok(None));
        assert_eq!(Command::parse(""), Ok(None));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for wrong in [
            "exit",
            "exit web expected=2",
            "tick 7",
            "log web 'x",
            "kill web SIGNOTHING",
            "kill web 99",
            "dance",
        ] {
            Command::parse(wrong).unwrap_err();
        }
        assert_eq!(
            Command::parse("kill l SIGTERM"),
            Ok(Some(Command::Kill { name: "l".into(), signal: 15 }))
        );
    }
}

//! The tree of event names: supervisor's own, and ours under `SUPD`.
//!
//! A name covers every name that continues it after an underscore, as subclasses do in supervisor's events.py:
//! `PROCESS_STATE` covers `PROCESS_STATE_EXITED`, and `EVENT` covers all.

use std::fmt;

use serde::Deserialize;

/// The inner nodes that supervisor has, and ours.
const FAMILIES: [&str; 7] = [
    "PROCESS_STATE",
    "PROCESS_LOG",
    "PROCESS_COMMUNICATION",
    "PROCESS_GROUP",
    "SUPERVISOR_STATE_CHANGE",
    "TICK",
    "SUPD",
];

/// The leaves of the tree, and its root.
const NAMES: [&str; 30] = [
    "PROCESS_STATE_STARTING",
    "PROCESS_STATE_RUNNING",
    "PROCESS_STATE_BACKOFF",
    "PROCESS_STATE_STOPPING",
    "PROCESS_STATE_STOPPED",
    "PROCESS_STATE_EXITED",
    "PROCESS_STATE_FATAL",
    "PROCESS_STATE_UNKNOWN",
    "PROCESS_LOG_STDOUT",
    "PROCESS_LOG_STDERR",
    "PROCESS_COMMUNICATION_STDOUT",
    "PROCESS_COMMUNICATION_STDERR",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE_RUNNING",
    "SUPERVISOR_STATE_CHANGE_STOPPING",
    "TICK_5",
    "TICK_60",
    "TICK_3600",
    "PROCESS_GROUP_ADDED",
    "PROCESS_GROUP_REMOVED",
    "SUPD_GAP",
    "SUPD_MARK",
    "SUPD_DIGEST",
    "SUPD_RECOVERED",
    "SUPD_REMINDER",
    "SUPD_RESTARTED",
    "SUPD_FLAPPING",
    "SUPD_STABLE",
    "SUPD_TEST",
    "EVENT",
];

/// What an event tells, by its name; the states are told apart because most of what people want depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `PROCESS_STATE_…`: a process entered this state.
    ProcessState(State),
    /// `PROCESS_LOG_…`: a process wrote to its stdout or stderr.
    ProcessLog,
    /// `PROCESS_COMMUNICATION_…`: a process wrote between supervisor's communication tokens.
    ProcessCommunication,
    /// `REMOTE_COMMUNICATION`: a client called `sendRemoteCommEvent`.
    RemoteCommunication,
    /// `SUPERVISOR_STATE_CHANGE_…`: supervisord itself is running or stopping.
    SupervisorStateChange,
    /// `TICK_…`: supervisord's clock.
    Tick,
    /// `PROCESS_GROUP_…`: a group was added or removed.
    ProcessGroup,
    /// `SUPD_GAP`: events that supervisord dropped.
    Gap,
    /// `SUPD_MARK`: a sign of life for the spool's consumers, not for people.
    Mark,
    /// `SUPD_DIGEST`: several events at once, as [`Digest`](crate::digest::Digest) has them.
    Digest,
    /// `SUPD_RECOVERED`: a process that was reported is well again, or was stopped.
    Recovered,
    /// `SUPD_REMINDER`: a process that was reported is still not well.
    Reminder,
    /// `SUPD_RESTARTED`: a process that had ended is running again.
    Restarted,
    /// `SUPD_FLAPPING`: a process has been restarted again and again.
    Flapping,
    /// `SUPD_STABLE`: it has not for a while, or was stopped.
    Stable,
    /// `SUPD_TEST`: nothing but a message to see that messages arrive.
    Test,
    /// A name that we do not know: a later supervisord's, or another `SUPD_…`.
    Other,
}

/// A process's state, as supervisor's states.py names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum State {
    /// Spawned, and not yet up for startsecs.
    Starting,
    /// Up for startsecs.
    Running,
    /// Exited before startsecs; supervisord will try again.
    Backoff,
    /// Told to stop.
    Stopping,
    /// Stopped on request.
    Stopped,
    /// Ended by itself after RUNNING.
    Exited,
    /// supervisord gave up starting it.
    Fatal,
    /// supervisord lost track of it: a bug or a signal that could not be sent.
    Unknown,
}

impl State {
    /// supervisor's name for it, such as `BACKOFF`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Backoff => "BACKOFF",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Exited => "EXITED",
            Self::Fatal => "FATAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The state of this name, as supervisor writes it (upper case).
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "STARTING" => Self::Starting,
            "RUNNING" => Self::Running,
            "BACKOFF" => Self::Backoff,
            "STOPPING" => Self::Stopping,
            "STOPPED" => Self::Stopped,
            "EXITED" => Self::Exited,
            "FATAL" => Self::Fatal,
            "UNKNOWN" => Self::Unknown,
            _ => return None,
        })
    }
}

impl Kind {
    /// The kind of an event name as supervisord writes it (upper case).
    pub fn of(eventname: &str) -> Self {
        // Most events are of this kind, and are asked for theirs several times.
        if let Some(state) = eventname.strip_prefix("PROCESS_STATE_").and_then(State::of) {
            return Self::ProcessState(state);
        }
        let family = |name: &str| covers(name, eventname);
        match eventname {
            "REMOTE_COMMUNICATION" => Self::RemoteCommunication,
            "SUPD_GAP" => Self::Gap,
            "SUPD_MARK" => Self::Mark,
            "SUPD_DIGEST" => Self::Digest,
            "SUPD_RECOVERED" => Self::Recovered,
            "SUPD_REMINDER" => Self::Reminder,
            "SUPD_RESTARTED" => Self::Restarted,
            "SUPD_FLAPPING" => Self::Flapping,
            "SUPD_STABLE" => Self::Stable,
            "SUPD_TEST" => Self::Test,
            _ if family("PROCESS_LOG") => Self::ProcessLog,
            _ if family("PROCESS_COMMUNICATION") => Self::ProcessCommunication,
            _ if family("SUPERVISOR_STATE_CHANGE") => Self::SupervisorStateChange,
            _ if family("TICK") => Self::Tick,
            _ if family("PROCESS_GROUP") => Self::ProcessGroup,
            _ => Self::Other,
        }
    }

    /// Whether our own programs add it, so that it never was on supervisord's wire.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Gap
                | Self::Mark
                | Self::Digest
                | Self::Recovered
                | Self::Reminder
                | Self::Restarted
                | Self::Flapping
                | Self::Stable
                | Self::Test
        )
    }
}

/// A node of the tree, as a person names it: `PROCESS_STATE`, `exited`, `Process_Log_Stderr`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EventPattern(String);

impl EventPattern {
    /// Takes a full name or the end of one, in any case. An end that several names share means a family before one of
    /// its members (`communication`), and the process's state before its log before the rest (`running`, `stdout`).
    ///
    /// # Errors
    /// A one-line message that lists the names, when nothing ends so.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = text.trim().to_ascii_uppercase();
        // Ours may be newer than this program, so every SUPD_ name is taken at its word.
        if wanted.starts_with("SUPD_") {
            return Ok(Self(wanted));
        }
        let nodes = || FAMILIES.into_iter().chain(NAMES);
        let ends_so = |node: &str| node.strip_suffix(&wanted).is_some_and(|head| head.ends_with('_'));
        nodes()
            .find(|node| *node == wanted)
            .or_else(|| nodes().find(|node| ends_so(node)))
            // People say so, though the name does not end so.
            .or(match wanted.as_str() {
                "REMOTE" => Some("REMOTE_COMMUNICATION"),
                "SUPERVISOR" => Some("SUPERVISOR_STATE_CHANGE"),
                _ => None,
            })
            .map(|node| Self(node.to_owned()))
            .ok_or_else(|| format!("no event has this name; there are {}", known_names()))
    }

    /// Takes a full name of supervisor's own in any case, as supervisord does in `events=`; from EventTypes in its
    /// events.py.
    pub fn exact(name: &str) -> Option<Self> {
        let wanted = name.to_uppercase();
        Self::supervisors().find(|node| *node == wanted).map(|_| Self(wanted))
    }

    /// The names that supervisor knows, families first.
    pub fn supervisors() -> impl Iterator<Item = &'static str> {
        FAMILIES.into_iter().chain(NAMES).filter(|name| !covers("SUPD", name))
    }

    /// Whether an event of this name is meant.
    pub fn covers(&self, eventname: &str) -> bool {
        covers(&self.0, eventname)
    }
}

impl TryFrom<String> for EventPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn covers(node: &str, eventname: &str) -> bool {
    node == "EVENT"
        || eventname.strip_prefix(node).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn known_names() -> String {
    let short = NAMES.iter().map(|name| name.strip_prefix("PROCESS_STATE_").unwrap_or(name));
    short.map(str::to_ascii_lowercase).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn pattern(text: &str) -> String {
        EventPattern::parse(text).unwrap().to_string()
    }

    #[test]
    fn a_state_has_one_name() {
        for state in State::value_variants() {
            let eventname = format!("PROCESS_STATE_{}", state.name());
            assert_eq!(Kind::of(&eventname), Kind::ProcessState(*state));
        }
        assert_eq!((State::of("running"), Kind::of("PROCESS_STATE_")), (None, Kind::Other));
    }

    #[test]
    fn short_names_mean_the_process_state_first() {
        assert_eq!(pattern("exited"), "PROCESS_STATE_EXITED");
        assert_eq!(pattern("Fatal"), "PROCESS_STATE_FATAL");
        assert_eq!(pattern("running"), "PROCESS_STATE_RUNNING");
        assert_eq!(pattern("stdout"), "PROCESS_LOG_STDOUT");
        assert_eq!(pattern("log"), "PROCESS_LOG");
        assert_eq!(pattern("state_change_stopping"), "SUPERVISOR_STATE_CHANGE_STOPPING");
        assert_eq!(pattern("communication"), "PROCESS_COMMUNICATION");
        assert_eq!(pattern("remote"), "REMOTE_COMMUNICATION");
        assert_eq!(pattern("tick"), "TICK");
        assert_eq!(pattern("gap"), "SUPD_GAP");
        assert_eq!(pattern("digest"), "SUPD_DIGEST");
        assert_eq!(pattern("restarted"), "SUPD_RESTARTED");
        assert_eq!(pattern("Flapping"), "SUPD_FLAPPING");
        assert_eq!(pattern("stable"), "SUPD_STABLE");
    }

    #[test]
    fn a_family_covers_its_members_and_nothing_that_only_begins_alike() {
        let family = EventPattern::parse("process_state").unwrap();
        assert!(family.covers("PROCESS_STATE"));
        assert!(family.covers("PROCESS_STATE_EXITED"));
        assert!(!family.covers("PROCESS_STATEMENT"));
        assert!(!EventPattern::parse("tick_5").unwrap().covers("TICK_5000"));
        assert!(EventPattern::parse("EVENT").unwrap().covers("ANYTHING"));
    }

    #[test]
    fn supervisord_takes_full_names_only() {
        for name in ["process_state_EXITED", "TICK", "event", "PROCESS_GROUP"] {
            assert_eq!(EventPattern::exact(name).unwrap().to_string(), name.to_ascii_uppercase());
        }
        for name in ["exited", "SUPD_GAP", "SUPD", "", " TICK"] {
            assert_eq!(EventPattern::exact(name), None);
        }
    }

    #[test]
    fn a_name_that_nothing_ends_in_is_refused_with_the_list() {
        let error = EventPattern::parse("exitd").unwrap_err();
        assert!(error.contains("exited") && error.contains("fatal"), "{error}");
        EventPattern::parse("").unwrap_err();
    }
}

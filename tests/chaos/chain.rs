//! The listeners under test.

use super::account::{Account, discarded};
use crate::harness::{Sandbox, Sent};

/// What all pools get. Were it not the same for all, an event of one would have no counterpart in another.
pub(super) const EVENTS: &str = "PROCESS_STATE,PROCESS_LOG,REMOTE_COMMUNICATION";

/// A listener under test; its name is also that of its pool, its output and its spool.
pub(super) struct Chain {
    pub(super) name: &'static str,
    command: &'static str,
    pub(super) buffer_size: u32,
    /// Events that its filter lets through: all, or those whose names begin so.
    passes: &'static [&'static str],
}

/// Both ways of chaining, with a buffer that holds everything and with one that overflows at every kill. The former
/// have a filter that takes records out of the middle of the stream; the latter have none, or it could not be told from
/// their output what was declared missing and what was filtered.
pub(super) static CHAINS: [Chain; 4] = [
    Chain {
        name: "chain",
        command: "supd-listen -c 'supd-parse -e exited,log,remote | supd-notify file chain.ndjson'",
        buffer_size: 100_000,
        passes: &["PROCESS_STATE_EXITED", "PROCESS_LOG", "REMOTE_COMMUNICATION"],
    },
    Chain {
        name: "pipe",
        command: "sh -c 'supd-listen | supd-parse -e exited,log,remote | supd-notify file pipe.ndjson'",
        buffer_size: 100_000,
        passes: &["PROCESS_STATE_EXITED", "PROCESS_LOG", "REMOTE_COMMUNICATION"],
    },
    Chain {
        name: "tightchain",
        command: "supd-listen -c 'supd-parse | supd-notify file tightchain.ndjson'",
        buffer_size: 10,
        passes: &[""],
    },
    Chain {
        name: "tightpipe",
        command: "sh -c 'supd-listen | supd-parse | supd-notify file tightpipe.ndjson'",
        buffer_size: 10,
        passes: &[""],
    },
];

impl Chain {
    /// Its section. With `startsecs=0` a listener that is killed never "exited too quickly": else supervisord would
    /// wait a second longer before each further start, and then give up. With a priority of its own it gets nothing
    /// that another listener left unanswered.
    pub(super) fn section(&self, priority: usize) -> String {
        let Self { name, command, buffer_size, .. } = self;
        format!(
            "[eventlistener:{name}]\ncommand={command}\ndirectory=%(here)s\nevents={EVENTS}\nbuffer_size={buffer_size}\n\
             priority={priority}\nstartsecs=0\nautorestart=true\nenvironment=SUPD_SPOOL=\"%(here)s/{name}.spool\"\n\
             stdout_logfile=NONE\nstderr_logfile=%(here)s/{name}.err\n"
        )
    }

    fn lets_through(&self, event: &Sent) -> bool {
        self.passes.iter().any(|name| event.eventname.starts_with(name))
    }

    pub(super) fn output(&self, sandbox: &Sandbox) -> String {
        sandbox.read(&format!("{}.ndjson", self.name))
    }

    pub(super) fn account(&self, sandbox: &Sandbox, sent: &[Sent], log: &str) -> Account {
        let wanted = |event: &Sent| self.lets_through(event);
        Account::of(sent, wanted, &discarded(log, self.name), &self.output(sandbox))
    }
}

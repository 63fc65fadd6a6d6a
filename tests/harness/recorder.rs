//! A witness: a listener in a pool of its own that writes down what supervisord sends, and shares no code with ours.

use serde_json::Value;

use super::{Sandbox, capture};

const FILE: &str = "recorder.ndjson";

/// An event as supervisord sent it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) serial: u64,
    pub(crate) poolserial: u64,
    pub(crate) eventname: String,
    pub(crate) payload: String,
}

/// The listener `recorder`.
pub(crate) struct Recorder<'a>(&'a Sandbox);

impl<'a> Recorder<'a> {
    /// The recorder, and its section for these events. Its buffer drops nothing. Its priority must be nobody else's, or
    /// what another listener leaves unanswered would come to it too; and as the smallest it is started first and stopped
    /// last.
    pub(crate) fn new(sandbox: &'a Sandbox, events: &str) -> (Self, String) {
        let section = format!(
            "[eventlistener:recorder]\ncommand=python3 {} {FILE}\ndirectory=%(here)s\nevents={events}\nstartsecs=0\n\
             buffer_size=10000000\npriority=1\nautorestart=false\nstdout_logfile=NONE\nstderr_logfile=%(here)s/recorder.err\n",
            capture("recorder.py").display()
        );
        (Self(sandbox), section)
    }

    /// How many events it has so far that hold this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.read(FILE).lines().filter(|line| line.contains(text)).count()
    }

    /// Whether it has a REMOTE_COMMUNICATION of this type with this text.
    pub(crate) fn has_remote(&self, kind: &str, text: &str) -> bool {
        self.0.read(FILE).contains(&format!("\"payload\": \"type:{kind}\\n{text}\"}}\n"))
    }

    /// Everything that was sent up to this REMOTE_COMMUNICATION, and it.
    pub(crate) fn up_to_remote(&self, kind: &str, text: &str) -> Vec<Sent> {
        let end = format!("type:{kind}\n{text}");
        let text = self.0.read(FILE);
        let mut sent: Vec<Sent> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok().as_ref().map(event)).collect();
        let last = sent.iter().position(|event| event.payload == end).expect("it was recorded");
        sent.truncate(last + 1);
        sent
    }
}

fn event(line: &Value) -> Sent {
    let number = |key: &str| line[key].as_u64().unwrap();
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    Sent {
        serial: number("serial"),
        poolserial: number("poolserial"),
        eventname: text("eventname"),
        payload: text("payload"),
    }
}

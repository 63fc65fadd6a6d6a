//! What happens to a few processes, as supd-parse --problems lets it through.

use fastrand::Rng;

pub(super) const PROCESSES: [&str; 3] = ["web", "mail", "queue"];
const PROBLEMS: [&str; 3] = ["EXITED", "BACKOFF", "FATAL"];

/// A record: its number in the spool, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) process: &'static str,
    pub(super) state: &'static str,
}

impl Event {
    pub(super) fn is_problem(&self) -> bool {
        self.state != "RUNNING"
    }

    fn line(&self) -> String {
        let Self { seq, process, state } = self;
        let more = match *state {
            "RUNNING" => r#","resolves":1"#,
            "EXITED" => r#","from_state":"RUNNING","expected":false"#,
            _ => "",
        };
        format!(
            r#"{{"ts":"{}","host":"web1","seq":{seq},"serial":{seq},"eventname":"PROCESS_STATE_{state}","processname":"{process}","groupname":"{process}"{more}}}"#,
            time(*seq)
        ) + "\n"
    }
}

/// The time of a record, which says its number.
fn time(seq: u64) -> String {
    let (seconds, minutes, hours) = (seq % 60, seq / 60 % 60, seq / 3600);
    format!("2026-01-05T{hours:02}:{minutes:02}:{seconds:02}.000Z")
}

/// The number of the record that has this time.
pub(super) fn number(time: &str) -> u64 {
    let part = |from: usize| time[from..from + 2].parse::<u64>().unwrap();
    part(11) * 3600 + part(14) * 60 + part(17)
}

/// What is in the spool.
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    last: u64,
    rng: Rng,
}

impl Story {
    pub(super) fn new(seed: u64) -> Self {
        Self { events: Vec::new(), last: 0, rng: Rng::with_seed(seed) }
    }

    /// The largest number.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// What supd-listen sends when it starts, through a filter that takes some away.
    pub(super) fn after(&self, seq: u64) -> String {
        let lines: String = self.events.iter().filter(|event| event.seq > seq).map(Event::line).collect();
        lines + &self.mark()
    }

    /// So many more things happen.
    pub(super) fn go_on(&mut self, events: usize) -> String {
        let lines: String = (0..events).map(|_| self.something().line()).collect();
        if self.rng.u8(..3) == 0 { lines + &self.mark() } else { lines }
    }

    /// Whatever was wrong is over.
    pub(super) fn happy_end(&mut self) -> String {
        let lines: String = PROCESSES.iter().map(|process| self.event(process, "RUNNING").line()).collect();
        lines + &self.mark()
    }

    fn something(&mut self) -> Event {
        // What a filter took away has a number too.
        self.last += self.rng.u64(..3) / 2;
        let process = PROCESSES[self.rng.usize(..PROCESSES.len())];
        let was_well =
            self.events.iter().rfind(|event| event.process == process).is_none_or(|last| !last.is_problem());
        let recovers = !was_well && self.rng.u8(..3) == 0;
        let state = if recovers { "RUNNING" } else { PROBLEMS[self.rng.usize(..PROBLEMS.len())] };
        self.event(process, state)
    }

    fn event(&mut self, process: &'static str, state: &'static str) -> Event {
        self.last += 1;
        let event = Event { seq: self.last, process, state };
        self.events.push(event.clone());
        event
    }

    fn mark(&self) -> String {
        format!("{{\"seq\":{},\"eventname\":\"SUPD_MARK\"}}\n", self.last)
    }
}

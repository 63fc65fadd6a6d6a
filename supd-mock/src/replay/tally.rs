//! What became of the events, and what is said of it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use supd_core::children::End;
use supd_core::stdio;

/// An event that a listener has been sent and has not answered.
#[derive(Debug)]
pub(super) struct InHand {
    pub(super) serial: u64,
    pub(super) eventname: String,
    pub(super) sent: Instant,
}

/// Counts, and one line of JSON for each answer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// Events that were never accepted.
    pub(super) lost: u64,
    /// Those of them that a full buffer dropped.
    dropped: u64,
    /// Events that no listener subscribes to.
    pub(super) unheard: u64,
    answers: u32,
    latency: Duration,
    max_latency: Duration,
    pub(super) in_hand: HashMap<String, InHand>,
    /// How each process ended last.
    ends: BTreeMap<String, End>,
    starts: u32,
    /// Whether the reader of our standard output has left; the listener is judged all the same.
    unread: bool,
}

impl Tally {
    /// How many events were answered.
    pub(super) fn answers(&self) -> u32 {
        self.answers
    }

    pub(super) fn started(&mut self) {
        self.starts += 1;
    }

    pub(super) fn ended(&mut self, process: &str, end: End) {
        self.ends.insert(process.to_owned(), end);
    }

    /// Writes what became of the event that a process has in hand.
    pub(super) fn answered(&mut self, process: &str, result: &str) -> anyhow::Result<()> {
        let Some(InHand { serial, eventname, sent }) = self.in_hand.remove(process) else {
            return Ok(());
        };
        let latency = sent.elapsed();
        // Who did not answer took no time to.
        if result != "none" && result != "UNKNOWN" {
            self.answers += 1;
            self.latency += latency;
            self.max_latency = self.max_latency.max(latency);
        }
        let seconds = (latency.as_secs_f64() * 1e6).round() / 1e6;
        let (groupname, processname) = process.rsplit_once(':').unwrap_or((process, process));
        self.print(&json!({
            "processname": processname, "groupname": groupname, "serial": serial, "eventname": eventname, "result": result, "latency": seconds,
        }))
    }

    /// Writes that a full buffer dropped an event.
    pub(super) fn dropped(&mut self, pool: &str, serial: u64, eventname: &str) -> anyhow::Result<()> {
        self.lost += 1;
        self.dropped += 1;
        self.print(&json!({"groupname": pool, "serial": serial, "eventname": eventname, "result": "dropped"}))
    }

    fn print(&mut self, line: &Value) -> anyhow::Result<()> {
        if self.unread {
            return Ok(());
        }
        match stdio::print(format!("{line}\n").as_bytes()) {
            Err(error) if error.is::<stdio::ClosedStdout>() => self.unread = true,
            result => return result,
        }
        Ok(())
    }

    /// All of it in one line.
    pub(super) fn summary(&self, ready_after: Option<Duration>) -> String {
        let Self { accepted, rejected, lost, latency, max_latency, .. } = self;
        let ready = ready_after.map_or("never ready".into(), |after| format!("ready after {after:.2?}"));
        let again =
            match self.starts.saturating_sub(u32::try_from(self.ends.len()).unwrap_or_default().max(1)) {
                0 => String::new(),
                1 => "; started again once".to_owned(),
                times => format!("; started again {times} times"),
            };
        let dropped = match self.dropped {
            0 => String::new(),
            dropped => format!(" ({dropped} dropped by a full buffer)"),
        };
        let unheard = match self.unheard {
            0 => String::new(),
            unheard => format!(", {unheard} that nobody subscribes to"),
        };
        format!(
            "{accepted} events accepted, {rejected} rejections, {lost} events lost{dropped}{unheard}; {ready}; latency mean {:.1?}, max \
             {max_latency:.1?}{again}; the listener {}",
            *latency / self.answers.max(1),
            self.end()
        )
    }

    fn end(&self) -> String {
        let ends: Vec<String> = self.ends.iter().map(|(process, end)| format!("{process} {end}")).collect();
        match (self.ends.values().next(), &ends[..]) {
            (None, _) => "is still running".to_owned(),
            (Some(end), [_]) => end.to_string(),
            _ => format!("processes: {}", ends.join(", ")),
        }
    }
}

//! What one target was told of, and what became of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::Left;
use super::story::{Event, PROCESSES, Story, number};

/// The books of a target.
#[derive(Debug, Default)]
pub(super) struct Books {
    target: &'static str,
    /// How many bytes of what it was told, and of the dead letters, have been read.
    read: (usize, usize),
    /// How often each problem was told of.
    told: BTreeMap<u64, usize>,
    /// The recoveries that were told of.
    recoveries: BTreeSet<u64>,
    /// Problems that no message tells of by itself, because the one about the recovery counts them.
    counted: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// What had been told of at a crash that the files did not know of, and may come again, and how often.
    again: BTreeMap<u64, usize>,
    messages: usize,
    /// The last that was told of each process for the first time.
    latest: BTreeMap<String, u64>,
    faults: Vec<String>,
}

impl Books {
    pub(super) fn new(target: &'static str) -> Self {
        Self { target, ..Self::default() }
    }

    /// Enters what was told since the last time, and holds it against what the program left; gives what is wrong.
    pub(super) fn close(
        &mut self,
        story: &Story,
        told: &str,
        dead: &str,
        left: &Left,
        is_crash: bool,
    ) -> Vec<String> {
        self.bury(&dead[self.read.1..], dead.len());
        for line in told[self.read.0..].lines() {
            match serde_json::from_str(line) {
                Ok(message) => self.enter(story, &message),
                // A kill cut it, and it comes again.
                Err(_) if is_crash => {}
                Err(error) => self.faults.push(format!("{error} in {line}")),
            }
        }
        self.read.0 = told.len();
        // Of a recovery that is a dead letter there is no message that could come too late.
        for event in story.events.iter().filter(|event| !event.is_problem() && self.dead.contains(&event.seq))
        {
            let latest = self.latest.entry(event.process.to_owned()).or_default();
            *latest = event.seq.max(*latest);
        }
        for Event { seq, .. } in story.events.iter().filter(|event| event.is_problem()) {
            let times = self.times(*seq);
            // Since the last crash after which it was to come again.
            let since = times - self.again.get(seq).unwrap_or(&0);
            if since > 1 {
                self.faults.push(format!("{seq} was told of {since} times"));
            }
            match (left.was_dealt_with(*seq), times) {
                (true, 0) => self.faults.push(format!("{seq} is lost")),
                (false, 1..) if is_crash => drop(self.again.insert(*seq, times)),
                (false, _) if since > 0 => self.faults.push(format!("{seq} was told of and will come again")),
                _ => {}
            }
        }
        std::mem::take(&mut self.faults)
    }

    /// What is wrong at the end: problems and recoveries that nothing tells of.
    pub(super) fn open(&self) -> Vec<&'static str> {
        let recovered = |process: &&str| {
            let last = self.latest.get(*process);
            last.is_some_and(|last| !self.recoveries.contains(last) && !self.dead.contains(last))
        };
        // The one that gets each record by itself is not told of recoveries.
        PROCESSES.iter().copied().filter(|process| self.target != "each" && recovered(process)).collect()
    }

    /// How often something became of a problem.
    fn times(&self, seq: u64) -> usize {
        let told = self.told.get(&seq).unwrap_or(&0);
        told + usize::from(self.dead.contains(&seq)) + usize::from(self.counted.contains(&seq))
    }

    fn bury(&mut self, dead: &str, end: usize) {
        for line in dead.lines() {
            let letter: Value = serde_json::from_str(line).unwrap_or_default();
            if letter["undelivered"]["target"] == self.target {
                let seq = letter["seq"].as_u64().unwrap_or(0);
                if !self.dead.insert(seq) && !self.again.contains_key(&seq) {
                    self.faults.push(format!("{seq} is a dead letter twice"));
                }
            }
        }
        self.read.1 = end;
    }

    /// Takes down a message.
    fn enter(&mut self, story: &Story, message: &Value) {
        self.messages += 1;
        match message["eventname"].as_str().unwrap_or_default() {
            "SUPD_RECOVERED" => self.recovery(story, message),
            "SUPD_DIGEST" => {
                let mut entries = message["events"].as_array().cloned().unwrap_or_default();
                // A recovery comes after the problems that it ends, and before those that it does not.
                entries.sort_by_key(|entry| entry["last_ts"].as_str().map(number));
                let sum: u64 = entries.iter().filter_map(|entry| entry["count"].as_u64()).sum();
                if message["count"].as_u64() != Some(sum) || message.get("more").is_some() {
                    self.faults.push(format!("the entries do not make the count: {message}"));
                }
                let mut seqs = Vec::new();
                for entry in &entries {
                    seqs.extend(self.problems_of(story, entry));
                }
                seqs.sort_unstable();
                seqs.into_iter().for_each(|seq| self.problem(story, seq));
                for entry in entries.iter().filter(|entry| entry["eventname"] == "SUPD_RECOVERED") {
                    let seq = entry["last_ts"].as_str().map_or(0, number);
                    self.recovered(entry, seq);
                }
            }
            _ => self.problem(story, message["seq"].as_u64().unwrap_or(0)),
        }
    }

    /// The problems that an entry of a digest counts.
    fn problems_of(&mut self, story: &Story, entry: &Value) -> Vec<u64> {
        let Some(state) = entry["eventname"].as_str().and_then(|name| name.strip_prefix("PROCESS_STATE_"))
        else {
            return Vec::new();
        };
        let [first, last] = ["first_ts", "last_ts"].map(|key| entry[key].as_str().map_or(0, number));
        let is_meant = |event: &&Event| {
            event.state == state
                && entry["processname"] == event.process
                && (first..=last).contains(&event.seq)
        };
        let seqs: Vec<u64> = story.events.iter().filter(is_meant).map(|event| event.seq).collect();
        if entry["count"].as_u64() != Some(seqs.len() as u64) {
            self.faults.push(format!("these are {seqs:?}: {entry}"));
        }
        seqs
    }

    /// A problem was told of.
    fn problem(&mut self, story: &Story, seq: u64) {
        let Some(event) = story.events.iter().find(|event| event.seq == seq) else {
            return self.faults.push(format!("{seq} never was"));
        };
        let times = self.told.entry(seq).or_default();
        *times += 1;
        // What is a dead letter was no message, and comes after a crash perhaps.
        if *times > 1 || self.counted.contains(&seq) || self.dead.contains(&seq) {
            return;
        }
        let latest = self.latest.entry(event.process.to_owned()).or_default();
        if *latest > seq {
            self.faults.push(format!("{seq} was told of after {latest}"));
        }
        *latest = seq.max(*latest);
    }

    /// A recovery was told of, by itself: it counts all problems since the first.
    fn recovery(&mut self, story: &Story, message: &Value) {
        let seq = message["seq"].as_u64().unwrap_or(0);
        let since = message["since"].as_str().map_or(0, number);
        let is_of_it = |event: &&Event| {
            event.is_problem() && message["processname"] == event.process && (since..seq).contains(&event.seq)
        };
        let problems: Vec<u64> = story.events.iter().filter(is_of_it).map(|event| event.seq).collect();
        if message["count"].as_u64() != Some(problems.len() as u64) {
            self.faults.push(format!("these are {problems:?}: {message}"));
        }
        let untold = problems.into_iter().filter(|seq| self.times(*seq) == 0);
        let untold: Vec<u64> = untold.collect();
        self.counted.extend(untold);
        self.recovered(message, seq);
    }

    fn recovered(&mut self, message: &Value, seq: u64) {
        self.recoveries.insert(seq);
        let latest =
            self.latest.entry(message["processname"].as_str().unwrap_or_default().to_owned()).or_default();
        *latest = seq.max(*latest);
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again: usize = self.told.values().map(|times| times - 1).sum();
        write!(
            f,
            "{} messages tell of {} problems ({again} again after a crash) and {} recoveries, which count {} more; \
             {} dead letters",
            self.messages,
            self.told.len(),
            self.recoveries.len(),
            self.counted.len(),
            self.dead.len()
        )
    }
}

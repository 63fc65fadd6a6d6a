//! A process in trouble: since when, how often lately, and whether it is over. It never reads a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use supd_core::describe::{self, Severity};
use supd_core::{Kind, Record, State};

use crate::clock::Now;
use crate::parcel::{Letter, Parcel};

/// What "lately" means.
pub(super) const LATELY: Duration = Duration::from_secs(3600);

/// For how long a process that flaps has to be RUNNING where nothing else is said.
pub(super) const FLAPPING: Duration = Duration::from_secs(600);

/// Whatever is said; moments have an end.
pub(super) const MAX_FLAPPING: Duration = Duration::from_secs(86_400);

/// More than that in an hour are told as so many.
const MAX_RECENT: usize = 1000;

/// What tells processes apart: host, server, group, name.
pub(super) type Key = [String; 4];

/// What is known of a process.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// When the problems that came in the last hour did, and when they had happened: after an outage that is not the same.
    recent: VecDeque<(Instant, Timestamp)>,
    /// What has not been resolved.
    pub(super) trouble: Option<Trouble>,
    /// What has been, but not all of it has been dealt with: for a successor it is still open.
    pub(super) over: VecDeque<Over>,
}

/// A trouble that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) trouble: Trouble,
    pub(super) end: Arc<Letter>,
    /// Whether the end is to be told; else it is dropped when the problems have been dealt with.
    pub(super) is_told: bool,
}

/// A problem that is not over, and those after it.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// When it began.
    pub(super) since: Timestamp,
    /// How many problems there have been.
    pub(super) count: u64,
    /// How many of them have been dealt with. The others come again after a restart.
    pub(super) dealt: u64,
    /// What was last.
    pub(super) what: String,
    pub(super) severity: Severity,
    /// Where the process flaps: for how long it has to be RUNNING, unless it is said to be stable, or was stopped.
    pub(super) flapping: Option<Duration>,
    /// Whether anybody was told, or will be.
    pub(super) announced: bool,
    /// When to remind of it.
    pub(super) remind: Option<Instant>,
    /// The end of it, if it lasts until then.
    pub(super) end: Option<End>,
    /// When it is over without a word, if no problem comes before.
    pub(super) calm: Option<Instant>,
}

/// What ends a trouble.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) letter: Arc<Letter>,
    pub(super) due: Instant,
}

impl Process {
    /// Counts a problem; whether it is new depends on the caller, who may have seen it before a restart.
    pub(super) fn problem(&mut self, record: &Record, is_new: bool, now: Now) -> &mut Trouble {
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        let happened = moment(record).unwrap_or(now.wall);
        self.recent.push_back((now.instant, happened));
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            since: happened,
            count: 0,
            dealt: 0,
            what: String::new(),
            severity: Severity::Info,
            flapping: None,
            announced: false,
            remind: None,
            end: None,
            calm: None,
        });
        trouble.count += u64::from(is_new || trouble.count == 0);
        trouble.what = describe::what(record).into_owned();
        trouble.severity = describe::severity(record);
        trouble.flapping = flapping_window(record).or(trouble.flapping);
        trouble
    }

    /// How many problems there were in the hour before the last one, by when they happened.
    pub(super) fn lately(&mut self, now: Instant) -> usize {
        self.forget(now);
        let Some((_, last)) = self.recent.back() else { return 0 };
        self.recent
            .iter()
            .filter(|(_, happened)| last.duration_since(*happened).unsigned_abs() < LATELY)
            .count()
    }

    /// Forgets what is too old to count; whether that was all.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|(came, _)| *came + LATELY <= now) {
            self.recent.pop_front();
        }
        self.recent.is_empty()
    }

    /// The trouble is over.
    pub(super) fn end(&mut self, end: Arc<Letter>, is_told: bool) {
        self.over.extend(self.trouble.take().map(|trouble| Over { trouble, end, is_told }));
    }

    /// A letter about it has been dealt with; gives one that is to be dropped because of that.
    pub(super) fn deal(&mut self, letter: &Arc<Letter>) -> Option<Arc<Letter>> {
        if self.over.front().is_some_and(|over| Arc::ptr_eq(&over.end, letter)) {
            self.over.pop_front();
        } else if describe::is_problem(&letter.record) {
            // They are dealt with in their order.
            let trouble = self.over.front_mut().map(|over| &mut over.trouble).or(self.trouble.as_mut())?;
            trouble.dealt = trouble.count.min(trouble.dealt + 1);
        }
        let over = self.over.front()?;
        if over.is_told || over.trouble.dealt < over.trouble.count {
            return None;
        }
        self.over.pop_front().map(|over| over.end)
    }

    /// Ends that wait for the problems before them.
    pub(super) fn silent_ends(&self) -> impl Iterator<Item = &Arc<Letter>> {
        self.over.iter().filter(|over| !over.is_told).map(|over| &over.end)
    }

    /// What a successor has to know of, before the rest comes again.
    pub(super) fn known(&self) -> Option<&Trouble> {
        let earliest = self.over.front().map(|over| &over.trouble).or(self.trouble.as_ref());
        earliest.filter(|trouble| trouble.dealt > 0)
    }

    /// When to look at it next: for the end or a reminder of what is wrong, or because it may be forgotten.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let trouble = self.trouble.as_ref();
        let end = trouble.and_then(|trouble| trouble.end.as_ref()).map(|end| end.due);
        let remind = trouble.and_then(|trouble| trouble.remind);
        let calm = trouble.and_then(|trouble| trouble.calm);
        let since = self.recent.back().map(|(came, _)| *came).or((!self.over.is_empty()).then_some(now));
        let forget = since.map(|at| at + LATELY);
        // A reminder that is overdue waits for what is taken for the end to turn out to be none.
        [end, calm, remind, forget].into_iter().flatten().filter(|at| *at > now).min()
    }
}

impl Trouble {
    /// Whether nothing has come that may be the end of it.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none() && self.calm.is_none()
    }

    /// That it is over; the record that ended it is dealt with once this is told.
    pub(super) fn over(&self, end: &End, now: Now) -> Parcel {
        let ended = &end.letter.record;
        let until = moment(ended).unwrap_or(now.wall);
        let mut record = about(ended, "SUPD_RECOVERED", until);
        record.seq = ended.seq;
        record.serial = ended.serial;
        let extra = &mut record.extra;
        extra.insert("since".into(), self.since.to_string().into());
        let downtime = until.duration_since(self.since).as_secs().max(0);
        extra.insert("downtime".into(), downtime.into());
        extra.insert("count".into(), self.count.into());
        if let Some(resolves) = ended.extra.get("resolves") {
            extra.insert("resolves".into(), resolves.clone());
        }
        if is_stop(ended) {
            extra.insert("stopped".into(), true.into());
        }
        Parcel::about(record, vec![Arc::clone(&end.letter)])
    }

    /// That it still is not over.
    pub(super) fn reminder(&self, key: &Key, now: Now) -> Parcel {
        let [host, server, groupname, processname] =
            key.clone().map(|text| Some(text).filter(|text| !text.is_empty()));
        let mut process = Record { host, server, ..Record::default() };
        process.payload.groupname = groupname;
        process.payload.processname = processname;
        let mut record = about(&process, "SUPD_REMINDER", now.wall);
        let extra = &mut record.extra;
        extra.insert("since".into(), self.since.to_string().into());
        extra.insert("what".into(), Value::from(self.what.as_str()));
        extra.insert("severity".into(), self.severity.name().into());
        extra.insert("count".into(), self.count.into());
        Parcel::about(record, Vec::new())
    }
}

/// For how long a process that flaps has to be RUNNING, where this says that it does.
fn flapping_window(record: &Record) -> Option<Duration> {
    let window = record.extra.get("window").and_then(Value::as_f64);
    let window = window.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    (record.kind() == Kind::Flapping).then(|| window.map_or(FLAPPING, |window| window.min(MAX_FLAPPING)))
}

/// Whether this says that somebody has stopped the process.
pub(super) fn is_stop(record: &Record) -> bool {
    let is_stopped = || record.extra.get("stopped").and_then(Value::as_bool) == Some(true);
    record.kind() == Kind::ProcessState(State::Stopped) || (record.kind() == Kind::Stable && is_stopped())
}

/// An event of our own about the process of another.
fn about(record: &Record, eventname: &str, ts: Timestamp) -> Record {
    let mut own = Record {
        ts: Some(format!("{ts:.3}")),
        host: record.host.clone(),
        boot: record.boot.clone(),
        server: record.server.clone(),
        eventname: eventname.to_owned(),
        ..Record::default()
    };
    own.payload.groupname = record.payload.groupname.clone();
    own.payload.processname = record.payload.processname.clone();
    own
}

/// When a record's event was read.
pub(crate) fn moment(record: &Record) -> Option<Timestamp> {
    record.ts.as_deref()?.parse().ok()
}

//! Several events as one record of our own, `SUPD_DIGEST`, and how it reads.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::describe::{self, Sentence, Severity, printable, shorten};
use crate::kind::Kind;
use crate::record::Record;
use crate::words::{self, counted};

/// The most kinds of events that a title names; the text lists them all.
const IN_TITLE: usize = 4;

/// What a digest tells, beside the keys that all its events share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Digest {
    /// How many events it is about.
    pub count: u64,
    /// When the first of them was received: RFC 3339.
    pub first_ts: Option<String>,
    /// When the last of them was.
    pub last_ts: Option<String>,
    /// The worst of them.
    pub severity: Option<Severity>,
    /// How many processes they are of; counted in `events` where it is not said.
    pub processes: Option<u64>,
    /// How many hosts they are from; the same.
    pub hosts: Option<u64>,
    /// What happened, most severe first.
    pub events: Vec<Entry>,
    /// How many more kinds of events there were than are in `events`.
    pub more: u64,
}

/// Events of one process (or supervisord) that say the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The process's group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groupname: Option<String>,
    /// The process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processname: Option<String>,
    /// Whom they are about, where that is no process; from [`describe::subject`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Such as `PROCESS_STATE_EXITED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eventname: Option<String>,
    /// What happened; from [`describe::deed`].
    #[serde(default)]
    pub what: String,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How often it happened.
    #[serde(default = "once")]
    pub count: u64,
    /// When first: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ts: Option<String>,
    /// When last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ts: Option<String>,
    /// Whether this is the end of a problem.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
}

fn once() -> u64 {
    1
}

impl Digest {
    /// What a record tells, if it is a digest. What is not as we write it is left out.
    pub fn of(record: &Record) -> Option<Self> {
        if record.kind() != Kind::Digest {
            return None;
        }
        let value = |key| record.extra.get(key);
        let number = |key| value(key).and_then(Value::as_u64);
        let text = |key| value(key).and_then(Value::as_str).map(str::to_owned);
        let entries = value("events").and_then(Value::as_array);
        let events = entries.into_iter().flatten().filter_map(|entry| Entry::deserialize(entry).ok());
        let events: Vec<_> = events.collect();
        let counted = || events.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.count));
        let named = value("severity").and_then(|name| Severity::deserialize(name).ok());
        Some(Self {
            count: number("count").unwrap_or_else(counted),
            first_ts: text("first_ts"),
            last_ts: text("last_ts"),
            severity: named.or_else(|| events.iter().filter_map(|entry| entry.severity).max()),
            processes: number("processes"),
            hosts: number("hosts"),
            more: number("more").unwrap_or_default(),
            events,
        })
    }

    /// The same as keys of a record.
    pub fn into_extra(self) -> serde_json::Map<String, Value> {
        let optional = |key: &str, value: Option<Value>| value.map(|value| (key.to_owned(), value));
        let events = serde_json::to_value(&self.events).expect("strings, numbers and booleans make JSON");
        let more = Some(self.more).filter(|more| *more > 0);
        let keys = [
            optional("count", Some(self.count.into())),
            optional("first_ts", self.first_ts.map(Value::from)),
            optional("last_ts", self.last_ts.map(Value::from)),
            optional("severity", self.severity.map(|severity| severity.name().into())),
            optional("processes", self.processes.map(Value::from)),
            optional("hosts", self.hosts.map(Value::from)),
            optional("events", Some(events)),
            optional("more", more.map(Value::from)),
        ];
        keys.into_iter().flatten().collect()
    }

    /// The title: `web:web_00` `exited unexpectedly 499 times in 30s`, `5 processes`: `exited unexpectedly`, `37 events
    /// of 5 processes`.
    pub(crate) fn sentence(&self, record: &Record) -> Sentence {
        let whom: HashSet<_> = self.events.iter().map(|entry| (&entry.host, entry.subject())).collect();
        let is_about_one = record.payload.processname.is_some() || (whom.len() == 1 && self.more == 0);
        match &self.events[..] {
            [] => Sentence { subject: counted(self.count, "event"), joint: "", what: String::new() },
            [entry] if is_about_one && self.more == 0 => {
                Sentence { subject: entry.subject(), joint: " ", what: entry.what(span_of(entry)) }
            }
            [entry, ..] if is_about_one => {
                Sentence { subject: entry.subject(), joint: ": ", what: self.kinds() }
            }
            _ => self.about_several(record, whom.len() as u64),
        }
    }

    /// What happened to one process: `exited unexpectedly 3 times, exited too quickly 2 times`.
    fn kinds(&self) -> String {
        let named = self.events.iter().take(IN_TITLE);
        let mut kinds: Vec<_> = named.map(Entry::shortly).collect();
        let more = self.more + self.events.len().saturating_sub(IN_TITLE) as u64;
        if more > 0 {
            kinds.push(format!("and {more} more"));
        }
        kinds.join(", ")
    }

    fn about_several(&self, record: &Record, named: u64) -> Sentence {
        let complete = self.processes.is_some() || self.more == 0;
        let several = match self.processes.unwrap_or(named) {
            _ if self.events.iter().any(|entry| entry.processname.is_none()) => None,
            1 => Some("1 process".to_owned()),
            processes if complete => Some(format!("{processes} processes")),
            processes => Some(format!("at least {processes} processes")),
        };
        let hosts = self.events.iter().filter_map(|entry| entry.host.as_ref()).collect::<HashSet<_>>().len();
        let on = match self.hosts.unwrap_or(hosts as u64) {
            hosts if hosts > 1 && record.host.is_none() => format!(" on {hosts} hosts"),
            _ => String::new(),
        };
        let recovered = self.events.iter().filter(|entry| entry.recovered).count();
        let first = &self.events[0].what;
        let all_the_same = self.more == 0 && self.events.iter().all(|entry| entry.what == *first);
        match several {
            Some(several) if recovered == self.events.len() => {
                Sentence { subject: several + &on, joint: " ", what: "recovered".into() }
            }
            Some(several) if all_the_same && is_said_of_several(first) => {
                let what = match self.span().filter(|_| self.count > named) {
                    Some(span) => format!("{first}, {} times in {}", self.count, words::span(span)),
                    None => first.clone(),
                };
                Sentence { subject: several + &on, joint: " ", what }
            }
            several => {
                let of = several.map_or(String::new(), |several| format!(" of {several}"));
                let worst = self.events[0]
                    .is_bad()
                    .then(|| self.events[0].subject() + " " + &self.events[0].shortly());
                let recovered = Some(recovered).filter(|recovered| *recovered > 0);
                let recovered = recovered.map(|recovered| format!("{recovered} recovered"));
                let what = worst.into_iter().chain(recovered).collect::<Vec<_>>().join("; ");
                let joint = if what.is_empty() { "" } else { ": " };
                Sentence { subject: counted(self.count, "event") + &of + &on, joint, what }
            }
        }
    }

    /// From the first event to the last.
    pub fn span(&self) -> Option<Duration> {
        span(self.first_ts.as_deref(), self.last_ts.as_deref())
    }

    /// A line for each entry, where there is more to say than the title does.
    pub fn lines(&self) -> Vec<String> {
        if self.events.len() < 2 && self.more == 0 {
            return Vec::new();
        }
        let mut lines: Vec<_> = self.events.iter().map(Entry::line).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines
    }
}

impl Entry {
    fn subject(&self) -> String {
        describe::process(self.groupname.as_deref(), self.processname.as_deref())
            .or_else(|| self.subject.clone())
            .unwrap_or_else(|| "supervisor".to_owned())
    }

    /// Whether somebody should look at once.
    fn is_bad(&self) -> bool {
        !self.recovered && self.severity.is_some_and(|severity| severity >= Severity::Error)
    }

    /// What happened, and how often, without what follows from it: one of several things.
    fn shortly(&self) -> String {
        let what = self.what(None);
        what.split_once(';').map_or(what.clone(), |(deed, _)| deed.to_owned())
    }

    /// What happened, and how often.
    fn what(&self, span: Option<Duration>) -> String {
        match &*self.what {
            "" if self.recovered => "recovered".to_owned(),
            "" => {
                often(&format!("sent {}", self.eventname.as_deref().unwrap_or("an event")), self.count, span)
            }
            what => often(what, self.count, span),
        }
    }

    /// `web:web_00 on db1: exited unexpectedly 12 times, 08:00:01 to 08:00:31 UTC`. One line, whatever the names hold.
    fn line(&self) -> String {
        let on = self.host.as_deref().map_or(String::new(), |host| format!(" on {host}"));
        let when = match times(self.first_ts.as_deref(), self.last_ts.as_deref()) {
            Some(times) => format!(", {times}"),
            None => String::new(),
        };
        let who = shorten(self.subject() + &on);
        printable(&format!("{who}: {}{when}", shorten(self.what(None)))).into_owned()
    }
}

/// Whether the words fit more than one as well: `exited`, but not `is running`.
fn is_said_of_several(what: &str) -> bool {
    !what.is_empty() && !["is ", "has ", "was "].iter().any(|verb| what.starts_with(verb))
}

/// What happened, with a number behind the verb: `could not be started 3 times; supervisord gave up`.
fn often(what: &str, times: u64, span: Option<Duration>) -> String {
    if times < 2 {
        return what.to_owned();
    }
    let within = span.map_or(String::new(), |span| format!(" in {}", words::span(span)));
    let verb_ends = what.find([';', ',']).unwrap_or(what.len());
    let (verb, rest) = what.split_at(verb_ends);
    format!("{verb} {times} times{within}{rest}")
}

fn span_of(entry: &Entry) -> Option<Duration> {
    span(entry.first_ts.as_deref(), entry.last_ts.as_deref())
}

fn span(first: Option<&str>, last: Option<&str>) -> Option<Duration> {
    let (first, last): (Timestamp, Timestamp) = (first?.parse().ok()?, last?.parse().ok()?);
    last.duration_since(first).try_into().ok()
}

/// `08:00:01 to 08:00:31 UTC`; with dates where there is more than one.
fn times(first: Option<&str>, last: Option<&str>) -> Option<String> {
    let parse = |time: Option<&str>| time?.parse::<Timestamp>().ok();
    let last = parse(last).or_else(|| parse(first))?;
    let first = parse(first).unwrap_or(last);
    let show = |format, time| strtime::format(format, time).ok();
    let day = "%Y-%m-%d";
    let format = if show(day, first)? == show(day, last)? { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let (first, last) = (show(format, first)?, show(format, last)?);
    Some(if first == last { format!("{last} UTC") } else { format!("{first} to {last} UTC") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(keys: &str, count: u64, events: &[&str]) -> Record {
        let json = format!(
            r#"{{"eventname":"SUPD_DIGEST"{keys},"count":{count},"first_ts":"2026-01-05T08:00:01Z","last_ts":"2026-01-05T08:00:31.5Z","events":[{}]}}"#,
            events.join(",")
        );
        Record::from_line(json.as_bytes()).unwrap()
    }

    fn title(record: &Record) -> String {
        Sentence::of(record).on(record.host.as_deref())
    }

    fn entry(process: &str, host: &str, count: u64, what: &str) -> String {
        format!(
            r#"{{"host":"{host}","groupname":"web","processname":"{process}","what":"{what}","count":{count},"first_ts":"2026-01-05T08:00:01Z","last_ts":"2026-01-05T08:00:31Z"}}"#
        )
    }

    const ONE: &str = r#","host":"db1","groupname":"web","processname":"web_00""#;
    const EXITED: &str = "exited unexpectedly";
    const FATAL: &str = "could not be started; supervisord gave up";

    #[test]
    fn one_process_and_one_kind_are_a_sentence_with_a_number_in_it() {
        let told = |count, what| title(&digest(ONE, count, &[&entry("web_00", "db1", count, what)]));
        assert_eq!(told(499, EXITED), "web:web_00 on db1 exited unexpectedly 499 times in 30s");
        assert_eq!(told(1, EXITED), "web:web_00 on db1 exited unexpectedly");
        assert_eq!(
            told(2, FATAL),
            "web:web_00 on db1 could not be started 2 times in 30s; supervisord gave up"
        );
        let record = digest(ONE, 9, &[&entry("web_00", "db1", 9, EXITED)]);
        assert_eq!(Digest::of(&record).unwrap().lines(), [""; 0]);
    }

    #[test]
    fn one_process_and_several_kinds_are_a_list() {
        let events = [
            entry("web_00", "db1", 3, EXITED),
            entry("web_00", "db1", 2, "exited too quickly"),
            entry("web_00", "db1", 1, FATAL),
        ];
        let events = events.each_ref().map(|event| &**event);
        assert_eq!(
            title(&digest(ONE, 6, &events)),
            "web:web_00 on db1: exited unexpectedly 3 times, exited too quickly 2 times, could not be started"
        );
        let many = [events[0]; 7];
        assert!(title(&digest(ONE, 21, &many)).ends_with(", exited unexpectedly 3 times, and 3 more"));
    }

    #[test]
    fn several_processes_are_counted_and_listed() {
        let events = [
            entry("web_00", "db1", 12, EXITED),
            entry("web_01", "db2", 1, FATAL),
            r#"{"host":"db2","groupname":"a","processname":"a","what":"","recovered":true,"last_ts":"2026-01-06T00:00:00Z"}"#
                .to_owned(),
        ];
        let record = digest("", 14, &events.each_ref().map(|event| &**event));
        assert_eq!(title(&record), "14 events of 3 processes on 2 hosts: 1 recovered");
        assert_eq!(
            Digest::of(&record).unwrap().lines(),
            [
                "web:web_00 on db1: exited unexpectedly 12 times, 08:00:01 to 08:00:31 UTC",
                "web:web_01 on db2: could not be started; supervisord gave up, 08:00:01 to 08:00:31 UTC",
                "a on db2: recovered, 00:00:00 UTC",
            ]
        );
        let two = [entry("a", "db1", 4, EXITED), entry("b", "db1", 3, "exited too quickly")];
        let two = two.each_ref().map(|event| &**event);
        assert_eq!(title(&digest(r#","host":"db1""#, 7, &two)), "7 events of 2 processes on db1");
        let more = digest(r#","host":"db1","more":5"#, 90, &two);
        assert_eq!(title(&more), "90 events of at least 2 processes on db1");
        assert_eq!(Digest::of(&more).unwrap().lines()[2], "and 5 more");
        let counted = digest(r#","more":5,"processes":7,"hosts":3"#, 90, &two);
        assert_eq!(title(&counted), "90 events of 7 processes on 3 hosts");
    }

    #[test]
    fn several_processes_to_which_the_same_happened_are_named_by_it() {
        let told = |what, counts: [u64; 2]| {
            let events = [entry("a", "db1", counts[0], what), entry("b", "db1", counts[1], what)];
            let events = events.each_ref().map(|event| &**event);
            title(&digest(r#","host":"db1""#, counts.iter().sum(), &events))
        };
        assert_eq!(told(EXITED, [1, 1]), "2 processes on db1 exited unexpectedly");
        assert_eq!(told(EXITED, [3, 1]), "2 processes on db1 exited unexpectedly, 4 times in 30s");
        assert_eq!(told("is running", [1, 1]), "2 events of 2 processes on db1");
        let recovered = r#"{"processname":"a","recovered":true},{"processname":"b","recovered":true}"#;
        assert_eq!(title(&digest(r#","host":"db1""#, 2, &[recovered])), "2 processes on db1 recovered");
    }

    #[test]
    fn what_is_of_no_process_is_an_event_too() {
        let gap = r#"{"subject":"prod","what":"dropped 52 events before they could be sent","count":1}"#;
        assert_eq!(title(&digest("", 1, &[gap])), "prod dropped 52 events before they could be sent");
        let events = [gap, &entry("a", "db1", 1, EXITED)];
        assert_eq!(title(&digest(r#","host":"db1""#, 2, &events)), "2 events on db1");
    }

    #[test]
    fn a_digest_is_read_as_it_was_written_and_anything_else_costs_nothing() {
        let entry =
            Entry { processname: Some("a".into()), what: EXITED.into(), count: 2, ..Entry::default() };
        let digest = Digest { count: 2, events: vec![entry], more: 1, ..Digest::default() };
        let record = Record {
            eventname: "SUPD_DIGEST".into(),
            extra: digest.clone().into_extra(),
            ..Record::default()
        };
        assert_eq!(Digest::of(&record), Some(digest));
        let odd = Record::from_line(br#"{"eventname":"SUPD_DIGEST","events":[7,{"count":"x"}],"count":-1}"#)
            .unwrap();
        assert_eq!(title(&odd), "0 events");
        let hostile = Entry { what: "x\n\u{1b}[2J".into(), subject: Some("a\nb".into()), ..Entry::default() };
        assert_eq!(hostile.line(), "a\\nb: x\\n\\u001b[2J");
    }

    #[test]
    fn times_have_their_date_where_there_is_more_than_one() {
        assert_eq!(
            times(Some("2026-01-05T23:59:59Z"), Some("2026-01-06T00:00:01Z")).as_deref(),
            Some("2026-01-05 23:59:59 to 2026-01-06 00:00:01 UTC")
        );
        assert_eq!(times(Some("2026-01-05T08:00:01Z"), None).as_deref(), Some("08:00:01 UTC"));
        assert_eq!(times(None, Some("soon")), None);
    }
}

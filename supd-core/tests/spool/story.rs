//! What was done to a log on a machine that fails, and what has to come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use supd_core::spool::log::{Log, Repairs};
use supd_core::spool::{Options, Reader, Sync};

use crate::machine::{Chance, End, Machine};

/// How long confirmed segments are kept here.
const KEEP: Duration = Duration::from_secs(20);

/// A log, who reads it, and what both know of it.
pub(crate) struct Story {
    pub(crate) machine: Machine,
    options: Options,
    log: Option<Log<Machine>>,
    reader: Reader<usize>,
    chance: Chance,
    /// Every line that was ever to be appended, by its number.
    tried: BTreeMap<u64, Vec<Vec<u8>>>,
    /// What has to be there: acknowledged, or found there, and not removed.
    kept: BTreeMap<u64, Vec<u8>>,
    /// No record may get a number up to this one any more.
    taken: u64,
    confirmed: u64,
    /// Up to here make_room has told what is lost.
    told: u64,
    /// Whether make_room was interrupted, so that the oldest may be gone.
    was_making_room: bool,
    /// Where what was covered by a sync that failed ends, when nothing has promised that it is on disk.
    unsure: u64,
    /// Where the last segment began when the program came to its end: what is before it was synced.
    last_segment: u64,
    /// How it did.
    ended: End,
}

impl Story {
    pub(crate) fn new(seed: u64, sync: Sync, max: u64) -> Self {
        let mut story = Self {
            machine: Machine::new(seed),
            options: Options { max, keep: KEEP, sync },
            log: None,
            reader: Reader::after(0),
            chance: Chance::new(!seed),
            tried: BTreeMap::new(),
            kept: BTreeMap::new(),
            taken: 0,
            confirmed: 0,
            told: 0,
            was_making_room: false,
            unsure: 0,
            last_segment: 0,
            ended: End::PowerFailure,
        };
        story.open();
        story
    }

    /// Appends a record of about so many bytes; whether that succeeded.
    pub(crate) fn append(&mut self, size: usize) -> bool {
        let Some(log) = &mut self.log else { return false };
        self.machine.wait(Duration::from_secs(1));
        let number = log.index().next();
        assert!(!self.kept.contains_key(&number), "number {number} is there");
        assert!(number > self.taken, "number {number} is given again; up to {} they are taken", self.taken);
        let tried = self.tried.entry(number).or_default();
        // Of the same length and with other content, so that it shows when one gets among the other.
        let filler = char::from(b'a' + u8::try_from((number + tried.len() as u64 * 7) % 26).unwrap());
        let text: String = std::iter::repeat_n(filler, size).collect();
        let line = format!("{{\"ts\":\"{filler}\",\"seq\":{number},\"data\":\"{text}\"}}\n").into_bytes();
        tried.push(line.clone());
        let was_at_end = self.reader.is_at_end(log.index());
        let failed_syncs = self.machine.failed_syncs();
        let result = log.append(&line, self.machine.now());
        if let Err(error) = result {
            assert_eq!(log.index().next(), number, "{error}: and yet it was appended");
            if self.options.sync == Sync::None && self.machine.failed_syncs() > failed_syncs {
                self.unsure = number;
            }
            return false;
        }
        assert!(!self.machine.is_stopped(), "appended to a file system that has stopped");
        if was_at_end && self.chance.coin() {
            self.reader.skip(&line);
        }
        self.kept.insert(number, line);
        if self.options.sync == Sync::Event {
            self.taken = number;
        }
        true
    }

    /// Reads some of what has not been read, and confirms it or not.
    pub(crate) fn read(&mut self, times: usize) {
        let Some(log) = &self.log else { return };
        for _ in 0..times {
            let (mut lines, from) = (Vec::new(), self.reader.position());
            let count = match self.reader.read(log.disk(), log.index(), &mut lines) {
                Ok(count) => count,
                Err(_) if self.machine.is_stopped() => return,
                Err(error) => panic!("read: {error}"),
            };
            let read: Vec<&[u8]> = lines.split_inclusive(|&byte| byte == b'\n').collect();
            let to = self.reader.position();
            let mut due = self.kept.range(from + 1..=to.max(from + 1));
            for line in &read {
                let found = due.find(|(number, due)| due == line || **number >= self.unsure);
                assert_eq!(found.map(|(_, due)| &due[..]), Some(*line), "after {from}: {:?}", texts(&read));
            }
            assert!(due.all(|(number, _)| *number < self.unsure), "after {from}: only {:?}", texts(&read));
            assert_eq!(count, read.len() as u64);
            if count == 0 {
                assert!(self.reader.is_at_end(log.index()));
                break;
            }
        }
        if self.chance.coin() {
            self.confirm();
        }
    }

    fn confirm(&mut self) {
        self.confirmed = self.confirmed.max(self.reader.position());
        self.taken = self.taken.max(self.confirmed);
    }

    /// Makes room for so many bytes; what goes must be told.
    pub(crate) fn make_room(&mut self, bytes: u64) {
        let Some(log) = &mut self.log else { return };
        let needed = log.needs_room(bytes);
        let result = log.make_room(bytes, self.confirmed, self.machine.now());
        let stopped = self.machine.is_stopped();
        let index = log.index();
        let (first, fits) = (index.first(), !log.needs_room(bytes));
        let removed: Vec<u64> = self.kept.range(..first).map(|(&number, _)| number).collect();
        self.kept = self.kept.split_off(&first);
        let unconfirmed: Vec<u64> = removed.iter().copied().filter(|&n| n > self.confirmed).collect();
        if self.options.sync == Sync::None {
            self.taken = self.taken.max(removed.last().copied().unwrap_or(0));
        }
        match result {
            Err(error) => assert!(unconfirmed.is_empty(), "{error}: and {unconfirmed:?} are gone, untold"),
            Ok(None) => assert!(unconfirmed.is_empty(), "{unconfirmed:?} are gone, untold"),
            Ok(Some(lost)) => {
                assert!(needed, "nothing had to go, and {lost:?}");
                let is_told = |&number: &u64| (lost.first..=lost.last).contains(&number);
                assert!(unconfirmed.iter().all(is_told), "{unconfirmed:?} are gone, told: {lost:?}");
                assert!(
                    lost.first > self.confirmed.max(self.told),
                    "{lost:?}: up to {} it was told",
                    self.told
                );
                assert!(lost.first <= lost.last && lost.last < first, "{lost:?}: there is {first}");
                self.told = lost.last;
                // Numbers that have no record were found missing when the log was opened.
                assert!(unconfirmed.first().is_none_or(|&number| number >= lost.first));
            }
        }
        if stopped {
            self.was_making_room = true;
        } else if needed && !fits {
            let log = self.log.as_ref().unwrap();
            assert!(log.index().segments().len() <= 1 || self.machine.has_failed(), "there is no room");
        }
    }

    /// Comes to an end, and begins again.
    pub(crate) fn restart(&mut self, end: End) {
        self.log = None;
        let contents = self.machine.contents();
        let last = contents.keys().next_back();
        self.last_segment = last.map_or(0, |name| name.trim_end_matches(".ndjson").parse().unwrap());
        self.machine.restart(end);
        self.ended = end;
        self.open();
    }

    /// Opens the log, if nothing goes wrong with that, and compares what is there with what must be.
    pub(crate) fn open(&mut self) {
        let failed_syncs = self.machine.failed_syncs();
        let opened = Log::open(self.machine.clone(), self.options, self.confirmed, self.machine.now());
        let (log, repairs) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                assert!(self.machine.has_failed(), "open: {error}");
                if self.machine.failed_syncs() > failed_syncs {
                    self.unsure = u64::MAX;
                }
                return;
            }
        };
        let found = read_all(&log);
        for (number, line) in &found {
            let tried = self.tried.get(number).unwrap_or_else(|| panic!("nobody appended a record {number}"));
            assert!(tried.contains(line), "record {number} is not what was appended");
        }
        let newest = found.last_key_value().map_or(0, |(&number, _)| number);
        let missing: Vec<u64> = self
            .kept
            .iter()
            .filter(|(number, line)| found.get(number) != Some(line))
            .map(|(&n, _)| n)
            .collect();
        for &number in &missing {
            assert!(!found.contains_key(&number), "record {number} has become another");
            let is_told = repairs.unreadable.iter().any(|lost| (lost.first..=lost.last).contains(&number));
            let is_excused = match self.options.sync {
                Sync::Event => self.was_making_room && found.keys().all(|&found| found > number),
                Sync::None if number < self.unsure => true,
                Sync::None => {
                    (is_told || number > newest || self.was_making_room)
                        && (number >= self.last_segment || self.was_making_room)
                }
            };
            assert!(is_excused, "record {number} is gone; {repairs:?}; there are {:?}", found.keys());
        }
        for lost in &repairs.unreadable {
            assert_eq!(self.options.sync, Sync::None, "{repairs:?}");
            assert!(
                lost.first <= lost.last && found.range(lost.first..=lost.last).next().is_none(),
                "{lost:?}"
            );
        }
        let next = log.index().next();
        let taken = self.taken.max(newest);
        assert!(next > taken, "{next} comes next, and up to {taken} numbers are taken");
        if self.chance.below(4) == 0 {
            self.assert_settled(&log, &repairs, &found);
        }
        self.taken = taken;
        (self.kept, self.was_making_room, self.told) = (found, false, 0);
        self.unsure = if self.ended == End::PowerFailure { 0 } else { self.unsure.min(next) };
        let from = if self.chance.coin() { self.confirmed } else { 0 };
        self.reader = Reader::after(from.max(log.index().first() - 1));
        self.log = Some(log);
    }

    /// Opening it again finds the same, and nothing to repair. What cannot be read is found until somebody has written
    /// that down.
    fn assert_settled(&self, log: &Log<Machine>, repairs: &Repairs, found: &BTreeMap<u64, Vec<u8>>) {
        let machine = self.machine.twin(1);
        let contents = machine.contents();
        let now = machine.now();
        let (mut again, second) = Log::open(machine.clone(), self.options, self.confirmed, now).unwrap();
        assert_eq!(second, Repairs { cut: 0, unreadable: repairs.unreadable.clone() });
        assert_eq!(machine.contents(), contents);
        assert_eq!((again.index().next(), again.index().size()), (log.index().next(), log.index().size()));
        assert_eq!(&read_all(&again), found);
        let next = again.index().next();
        again.append(format!("{{\"seq\":{next}}}\n").as_bytes(), now).unwrap();
        let (third, repairs) = Log::open(machine, self.options, self.confirmed, now).unwrap();
        assert_eq!((repairs, third.index().next()), (Repairs::default(), next + 1));
        assert!(read_all(&third).keys().eq(found.keys().chain([&next])));
    }
}

fn texts(lines: &[&[u8]]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned()).collect()
}

/// Every record, by its number; each once, and in order.
fn read_all(log: &Log<Machine>) -> BTreeMap<u64, Vec<u8>> {
    let (mut reader, mut lines) = (Reader::after(0), Vec::new());
    while reader.read(log.disk(), log.index(), &mut lines).unwrap() > 0 {}
    assert!(reader.is_at_end(log.index()));
    let mut found = BTreeMap::new();
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let text = std::str::from_utf8(line).unwrap();
        let digits = text.split_once("\"seq\":").unwrap().1.split([',', '}']).next().unwrap();
        let number = digits.parse().unwrap();
        assert!(found.last_key_value().is_none_or(|(&last, _)| last < number), "{number} comes too late");
        found.insert(number, line.to_owned());
    }
    found
}

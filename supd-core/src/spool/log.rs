//! The records, in segments: appended, made durable, found again after a crash, and removed when they have served.
//!
//! A segment holds the records from its own number up to the next segment's. Whatever else stands in its file, or after
//! the length that is known of it, was never acknowledged.

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use super::disk::Disk;
use super::reader::{Lines, Reader, number_of};
use super::{Options, Sync};

/// How large a segment gets, at most; of a small spool, a part.
const SEGMENT: u64 = 8 << 20;
const SEGMENTS: u64 = 8;
/// What a number can be: any that jq, too, can tell from the next.
pub(super) const NUMBERS: RangeInclusive<u64> = 1..=1 << 53;
/// A segment of a quiet spool is closed after this, so that it can grow old and go.
const SEGMENT_AGE: Duration = Duration::from_hours(24);

/// One file of records.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its records' numbers begin here.
    pub first: u64,
    /// So much of it is known to be whole.
    pub len: u64,
    /// When it was last written to.
    pub modified: SystemTime,
}

impl Segment {
    /// The name of its file: twenty digits, so that they sort.
    pub fn name(&self) -> String {
        format!("{:020}.ndjson", self.first)
    }

    /// The first number of the segment in this file, if it is one.
    fn number(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".ndjson").filter(|digits| digits.len() == 20)?;
        let number = digits.parse().ok().filter(|number| NUMBERS.contains(number))?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)
    }
}

/// What is in the spool: its segments, oldest first, and the number that the next record gets.
#[derive(Debug, Clone)]
pub struct Index {
    segments: VecDeque<Segment>,
    next: u64,
}

impl Index {
    /// The segments, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.segments.iter()
    }

    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest record; that of the next, when there is none.
    pub fn first(&self) -> u64 {
        self.segments.front().map_or(self.next, |segment| segment.first)
    }

    /// How many bytes the records take.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// The segment that holds this number, or the next one if that is gone; with the number at which it ends.
    pub(super) fn find(&self, number: u64) -> Option<(&Segment, u64)> {
        let after = self.segments.partition_point(|segment| segment.first <= number);
        let at = after.saturating_sub(1);
        Some((self.segments.get(at)?, self.end_of(at)))
    }

    /// Where the numbers of the segment at this place end.
    fn end_of(&self, at: usize) -> u64 {
        self.segments.get(at + 1).map_or(self.next, |next| next.first)
    }
}

/// What was found amiss when a spool was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Bytes of a record that was not whole, cut off the end; it had not been acknowledged.
    pub cut: u64,
    /// Numbers whose records cannot be read: a power failure without `fdatasync` took them.
    pub unreadable: Vec<Lost>,
}

/// Records that are gone, by their numbers, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
}

impl Lost {
    /// How many.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Segments that are written to.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    options: Options,
    index: Index,
    size: u64,
    /// The last segment, unless the next record begins a new one.
    file: Option<D::File>,
    /// When that was begun.
    since: SystemTime,
    /// Whether the file may hold more than the index knows of.
    has_torn_tail: bool,
    /// Whether nothing may be written to it any more.
    is_spent: bool,
}

impl<D: Disk> Log<D> {
    /// Finds what is there and makes it whole. No number up to `confirmed` is given again: somebody has dealt with a
    /// record of that number, though a power failure may have taken it from us.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: D, options: Options, confirmed: u64, now: SystemTime) -> io::Result<(Self, Repairs)> {
        let index = list(&disk)?;
        let size = index.size();
        let (has_torn_tail, is_spent) = (false, false);
        let mut log = Self { disk, options, index, size, file: None, since: now, has_torn_tail, is_spent };
        let repairs = log.repair()?;
        if log.index.next <= confirmed || !repairs.unreadable.is_empty() {
            // A segment with numbers missing in it is not written to again, or they would be found missing at every start.
            log.index.next = log.index.next.max(confirmed + 1);
            log.file = None;
        }
        Ok((log, repairs))
    }

    /// Only the last segment can be torn: one is synced before the next is begun.
    fn repair(&mut self) -> io::Result<Repairs> {
        let Some(last) = self.index.segments.back_mut() else { return Ok(Repairs::default()) };
        let file = self.disk.open(&last.name())?;
        let whole = scan(&self.disk, &file, last)?;
        let cut = last.len - whole.len;
        if cut > 0 {
            self.disk.set_len(&file, whole.len)?;
        }
        // Whole lines may have been written and not synced, and the file made and its name not; from here on they count.
        self.disk.sync(&file)?;
        self.disk.sync_directory()?;
        last.len = whole.len;
        self.size -= cut;
        self.index.next = whole.next;
        self.since = last.modified;
        self.file = Some(file);
        Ok(Repairs { cut, unreadable: whole.unreadable })
    }

    /// What is there.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The disk, to read from.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Appends a line, which ends in a newline and carries the number [`Index::next`]. Once it returns, the record is on
    /// disk, if the options say so. After an error nothing has happened, and it may be tried again.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, line: &[u8], now: SystemTime) -> io::Result<()> {
        self.prepare_file(line.len() as u64, now)?;
        let Some(file) = &self.file else { unreachable!("a file was prepared") };
        self.has_torn_tail = true;
        let mut result = self.disk.append(file, line);
        if result.is_ok() && self.options.sync == Sync::Event {
            result = self.sync();
        }
        if result.is_err() {
            // At once, so that the bytes are free again; if it fails, the next attempt begins with it.
            let _ = self.cut_torn_tail();
            return result;
        }
        self.has_torn_tail = false;
        let segment = self.index.segments.back_mut().expect("one was prepared with the file");
        segment.len += line.len() as u64;
        segment.modified = now;
        self.size += line.len() as u64;
        self.index.next += 1;
        Ok(())
    }

    /// Makes sure of a file for so many more bytes, whole as far as it goes.
    fn prepare_file(&mut self, bytes: u64, now: SystemTime) -> io::Result<()> {
        self.cut_torn_tail()?;
        if let (Some(_), Some(segment)) = (&self.file, self.index.segments.back()) {
            let largest = SEGMENT.min(self.options.max / SEGMENTS);
            let age = now.duration_since(self.since).unwrap_or_default();
            let is_full = segment.len + bytes > largest || age > SEGMENT_AGE;
            if !self.is_spent && (segment.len == 0 || !is_full) {
                return Ok(());
            }
            // Only the last segment is looked through for what a power failure has left of it.
            self.sync()?;
        }
        // Should this fail halfway, a smaller record must not go into the old one: the new one may be there already, and
        // what is in the old one ends where that begins.
        self.file = None;
        let segment = Segment { first: self.index.next, len: 0, modified: now };
        let file = self.disk.create(&segment.name())?;
        self.disk.sync_directory()?;
        // An attempt that failed may have left one of the same number.
        if self.index.segments.back().is_none_or(|last| last.first != segment.first) {
            self.index.segments.push_back(segment);
        }
        (self.file, self.is_spent, self.since) = (Some(file), false, now);
        Ok(())
    }

    /// Cuts off what was not acknowledged, and waits until that is so: after a power failure, parts of it could else stand
    /// in the middle of what is written there next, and look whole.
    fn cut_torn_tail(&mut self) -> io::Result<()> {
        if let (true, Some(file), Some(segment)) =
            (self.has_torn_tail, &self.file, self.index.segments.back())
        {
            self.disk.set_len(file, segment.len)?;
            self.has_torn_tail = false;
            self.sync()?;
        }
        Ok(())
    }

    /// Waits until the file is on disk. After an error nobody knows what of it is, and another attempt may succeed without
    /// having written anything: nothing is written to this file again.
    fn sync(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let result = self.disk.sync(file);
        self.is_spent |= result.is_err();
        result
    }

    /// Removes the oldest segments while the spool with so many more bytes would be larger than it may be, and those
    /// that everybody has dealt with and that are old. Gives the records lost by that: those after `confirmed`.
    ///
    /// # Errors
    /// The disk's.
    pub fn make_room(&mut self, bytes: u64, confirmed: u64, now: SystemTime) -> io::Result<Option<Lost>> {
        let mut lost: Option<Lost> = None;
        while self.index.segments.len() > 1 {
            let (oldest, end) = (&self.index.segments[0], self.index.end_of(0));
            let age = now.duration_since(oldest.modified).unwrap_or_default();
            let has_served = end <= confirmed + 1 && age > self.options.keep;
            if self.size + bytes <= self.options.max && !has_served {
                break;
            }
            let mut result = self.disk.remove(&oldest.name());
            if result.is_ok() {
                if end > confirmed + 1 {
                    let first = lost.map_or(oldest.first.max(confirmed + 1), |lost| lost.first);
                    lost = Some(Lost { first, last: end - 1 });
                }
                self.size -= oldest.len;
                self.index.segments.pop_front();
                // One after the other: after a power failure an older one that is still there would hide the hole.
                result = self.disk.sync_directory();
            }
            if let Err(error) = result {
                // What is lost has to be told; the error will come again.
                return lost.map_or(Err(error), |lost| Ok(Some(lost)));
            }
        }
        Ok(lost)
    }

    /// Whether so many more bytes need [`Self::make_room`], or may be worth it.
    pub fn needs_room(&self, bytes: u64) -> bool {
        self.size + bytes > self.options.max
    }

    /// Reads the last records, at most so many.
    ///
    /// # Errors
    /// The disk's, or `each`'s.
    pub fn each_of_last(&self, count: u64, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut reader = Reader::after((self.index.next - 1).saturating_sub(count));
        let mut lines = Vec::new();
        while reader.read(&self.disk, &self.index, &mut lines)? > 0 {
            lines.split_inclusive(|&byte| byte == b'\n').for_each(&mut each);
            lines.clear();
        }
        Ok(())
    }
}

/// The segments that are there, with the sizes of their files.
fn list<D: Disk>(disk: &D) -> io::Result<Index> {
    let mut segments: Vec<Segment> = disk
        .list()?
        .into_iter()
        .filter_map(|entry| {
            let first = Segment::number(&entry.name)?;
            Some(Segment { first, len: entry.len, modified: entry.modified })
        })
        .collect();
    segments.sort_by_key(|segment| segment.first);
    let next = segments.last().map_or(1, |segment| segment.first);
    Ok(Index { segments: segments.into(), next })
}

/// What is there, while another process may be writing.
pub(super) fn look<D: Disk>(disk: &D) -> io::Result<Index> {
    let mut index = list(disk)?;
    if let Some(last) = index.segments.back_mut() {
        let whole = scan(disk, &disk.open(&last.name())?, last)?;
        (last.len, index.next) = (whole.len, whole.next);
    }
    Ok(index)
}

/// The whole part of a segment.
struct Whole {
    len: u64,
    /// The number after the last one.
    next: u64,
    unreadable: Vec<Lost>,
}

/// Reads the last segment up to its last whole record.
fn scan<D: Disk>(disk: &D, file: &D::File, segment: &Segment) -> io::Result<Whole> {
    let mut whole = Whole { len: 0, next: segment.first, unreadable: Vec::new() };
    let (mut lines, mut at) = (Lines::default(), 0);
    loop {
        let block = lines.next(disk, file, segment.len)?;
        if block.is_empty() {
            return Ok(whole);
        }
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            at += line.len() as u64;
            let Some(number) = number_of(line).filter(|&number| number >= whole.next) else { continue };
            if number > whole.next {
                whole.unreadable.push(Lost { first: whole.next, last: number - 1 });
            }
            (whole.next, whole.len) = (number + 1, at);
        }
    }
}

//! A machine whose power can fail: a file system in memory that knows what of it is on disk by now.
//!
//! What it does to a file that was not synced is what file systems do, and somewhat worse: after a power failure its
//! length is any that it has had since, or one in between, and each block of 512 bytes holds, independently, what was
//! on disk or anything that was written to it since. What was done to the directory and not synced has happened or
//! not, for each name independently.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::mem;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use supd_core::spool::disk::{Disk, Entry};

const BLOCK: usize = 512;
type Block = [u8; BLOCK];

/// Small random numbers from a seed, the same at each run.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than this.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % end.max(1) as u64).unwrap()
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What goes wrong with one operation that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No space: of an append, some may be there.
    Full,
    /// An error of the device: after one of a sync, what was to be written may never be, whatever a later sync says.
    Io,
    /// This one fails and some after it.
    ReadOnly,
    /// The program is killed, or the power fails, in the middle of it: nothing works from here on.
    Stop,
}

impl Fault {
    pub(crate) const ERRORS: [Self; 3] = [Self::Full, Self::Io, Self::ReadOnly];

    fn error(self) -> io::Error {
        match self {
            Self::Full => ErrorKind::StorageFull.into(),
            Self::Io => io::Error::other("input/output error"),
            Self::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
            Self::Stop => io::Error::other("stopped"),
        }
    }
}

/// How a program comes to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It alone: what it wrote is there for its successor.
    Killed,
    /// The machine's: what was synced is there.
    PowerFailure,
}

/// The file system; what is cloned is the same one.
#[derive(Debug, Clone)]
pub(crate) struct Machine(Rc<RefCell<State>>);

#[derive(Debug, Clone)]
struct State {
    files: Vec<File>,
    /// As processes see it: the number of each file.
    directory: BTreeMap<String, usize>,
    /// What each name stands for on disk, and what it has stood for since.
    names: BTreeMap<String, Vec<Option<usize>>>,
    now: SystemTime,
    chance: Chance,
    operations: usize,
    plan: BTreeMap<usize, Fault>,
    read_only_until: usize,
    is_stopped: bool,
    /// Since the last restart.
    has_failed: bool,
    failed_syncs: usize,
}

#[derive(Debug, Clone)]
struct File {
    /// As processes see it.
    content: Vec<u8>,
    modified: SystemTime,
    disk: BTreeMap<usize, Block>,
    disk_len: usize,
    /// What has been written to blocks and not synced.
    dirty: BTreeMap<usize, Vec<Block>>,
    /// Lengths that it has had and that were not synced.
    lens: Vec<usize>,
    /// Blocks that a sync that failed has forgotten.
    forgotten: BTreeSet<usize>,
}

impl File {
    fn new(now: SystemTime) -> Self {
        Self {
            content: Vec::new(),
            modified: now,
            disk: BTreeMap::new(),
            disk_len: 0,
            dirty: BTreeMap::new(),
            lens: Vec::new(),
            forgotten: BTreeSet::new(),
        }
    }

    fn block(&self, at: usize) -> Block {
        let mut block = [0; BLOCK];
        let bytes = self.content.get(at * BLOCK..).unwrap_or_default();
        let len = bytes.len().min(BLOCK);
        block[..len].copy_from_slice(&bytes[..len]);
        block
    }

    fn disk_block(&self, at: usize) -> Block {
        self.disk.get(&at).copied().unwrap_or([0; BLOCK])
    }

    /// Takes a change of these bytes into account.
    fn touch(&mut self, from: usize, to: usize, now: SystemTime) {
        self.modified = now;
        self.lens.push(self.content.len());
        for at in from / BLOCK..to.div_ceil(BLOCK) {
            let block = self.block(at);
            self.dirty.entry(at).or_default().push(block);
            self.forgotten.remove(&at);
        }
    }

    fn append(&mut self, bytes: &[u8], now: SystemTime) {
        let len = self.content.len();
        self.content.extend_from_slice(bytes);
        self.touch(len, len + bytes.len(), now);
    }

    fn set_len(&mut self, len: usize, now: SystemTime) {
        let before = self.content.len();
        self.content.resize(len, 0);
        self.touch(len.min(before), len.max(before), now);
    }

    fn sync(&mut self) {
        for at in mem::take(&mut self.dirty).into_keys() {
            self.disk.insert(at, self.block(at));
        }
        self.lens.clear();
        self.disk_len = self.content.len();
    }

    /// Each block may have been written or not; no later sync will write it, and a reader may find either.
    fn fail_to_sync(&mut self, chance: &mut Chance) {
        for (at, versions) in mem::take(&mut self.dirty) {
            if chance.coin() {
                self.disk.insert(at, *chance.pick(&versions));
            }
            self.forgotten.insert(at);
            if chance.coin() {
                self.revert(at);
            }
        }
    }

    fn revert(&mut self, at: usize) {
        let block = self.disk_block(at);
        let bytes = self.content.get_mut(at * BLOCK..).unwrap_or_default();
        let len = bytes.len().min(BLOCK);
        bytes[..len].copy_from_slice(&block[..len]);
    }

    fn lose_power(&mut self, chance: &mut Chance) {
        self.lens.push(self.disk_len);
        let (min, max) = (*self.lens.iter().min().unwrap(), *self.lens.iter().max().unwrap());
        let len = match chance.below(3) {
            0 => self.content.len(),
            1 => *chance.pick(&self.lens),
            _ => min + chance.below(max - min + 1),
        };
        // Of each block: nothing that was written, the last of it, any of it; or any of it or nothing.
        let taste = chance.below(4);
        for (at, versions) in mem::take(&mut self.dirty) {
            let version = match taste {
                0 => None,
                1 => versions.last(),
                2 => Some(chance.pick(&versions)),
                _ => versions.get(chance.below(versions.len() + 1)),
            };
            version.map(|version| self.disk.insert(at, *version));
        }
        self.lens.clear();
        self.forgotten.clear();
        self.content = (0..len.div_ceil(BLOCK)).flat_map(|at| self.disk_block(at)).collect();
        self.content.truncate(len);
        self.disk_len = len;
        self.disk = (0..len.div_ceil(BLOCK)).map(|at| (at, self.block(at))).collect();
    }
}

impl State {
    /// One operation that writes: what goes wrong with it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.check()?;
        self.operations += 1;
        let fault = self.plan.remove(&self.operations);
        match fault {
            Some(Fault::ReadOnly) => self.read_only_until = self.operations + self.chance.below(6),
            Some(Fault::Stop) => self.is_stopped = true,
            _ => {}
        }
        let fault = if self.operations <= self.read_only_until { Some(Fault::ReadOnly) } else { fault };
        self.has_failed |= fault.is_some();
        Ok(fault)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_stopped { Err(Fault::Stop.error()) } else { Ok(()) }
    }

    /// One that happens or not. In the middle of it, it has happened as far as processes see.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        match self.begin()? {
            None => change(self),
            Some(fault) => {
                if fault == Fault::Stop && self.chance.coin() {
                    change(self);
                }
                return Err(fault.error());
            }
        }
        Ok(())
    }

    fn name(&mut self, name: &str, file: Option<usize>) {
        self.names.entry(name.to_owned()).or_insert_with(|| vec![None]).push(file);
        match file {
            Some(file) => self.directory.insert(name.to_owned(), file),
            None => self.directory.remove(name),
        };
    }
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            files: Vec::new(),
            directory: BTreeMap::new(),
            names: BTreeMap::new(),
            now: SystemTime::UNIX_EPOCH,
            chance: Chance::new(seed),
            operations: 0,
            plan: BTreeMap::new(),
            read_only_until: 0,
            is_stopped: false,
            has_failed: false,
            failed_syncs: 0,
        })))
    }

    /// Another one in the same state, with chances of its own and no plans.
    pub(crate) fn twin(&self, seed: u64) -> Self {
        let state = State { chance: Chance::new(seed), plan: BTreeMap::new(), ..self.0.borrow().clone() };
        Self(Rc::new(RefCell::new(state)))
    }

    /// A file that was there before.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let state = &mut *self.0.borrow_mut();
        let mut file = File::new(state.now);
        file.append(content, state.now);
        file.sync();
        state.files.push(file);
        state.name(name, Some(state.files.len() - 1));
    }

    /// What processes see.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.0.borrow();
        state
            .directory
            .iter()
            .map(|(name, &file)| (name.clone(), state.files[file].content.clone()))
            .collect()
    }

    /// Something is to go wrong with the operation after so many others.
    pub(crate) fn plan(&self, after: usize, fault: Fault) {
        let state = &mut *self.0.borrow_mut();
        state.plan.insert(state.operations + 1 + after, fault);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.borrow().is_stopped
    }

    /// Whether anything has gone wrong since it was started.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.borrow().has_failed
    }

    /// How many syncs have failed in such a way that the next one says nothing.
    pub(crate) fn failed_syncs(&self) -> usize {
        self.0.borrow().failed_syncs
    }

    pub(crate) fn operations(&self) -> usize {
        self.0.borrow().operations
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.borrow().now
    }

    pub(crate) fn wait(&self, span: Duration) {
        self.0.borrow_mut().now += span;
    }

    /// The program has come to an end, and what was planned is off.
    pub(crate) fn restart(&self, end: End) {
        let state = &mut *self.0.borrow_mut();
        (state.is_stopped, state.has_failed, state.read_only_until) = (false, false, 0);
        state.plan.clear();
        for file in &mut state.files {
            match end {
                End::PowerFailure => file.lose_power(&mut state.chance),
                // A kernel that keeps what it could not write, and tells nobody a second time, is not survived.
                End::Killed => mem::take(&mut file.forgotten).into_iter().for_each(|at| file.revert(at)),
            }
        }
        if end == End::PowerFailure {
            state.directory.clear();
            for (name, versions) in &mut state.names {
                let file = *state.chance.pick(versions);
                *versions = vec![file];
                file.map(|file| state.directory.insert(name.clone(), file));
            }
        }
    }
}

impl Disk for Machine {
    type File = usize;

    fn list(&self) -> io::Result<Vec<Entry>> {
        let state = self.0.borrow();
        state.check()?;
        let entry = |(name, &file): (&String, &usize)| Entry {
            name: name.clone(),
            len: state.files[file].content.len() as u64,
            modified: state.files[file].modified,
        };
        Ok(state.directory.iter().map(entry).collect())
    }

    fn open(&self, name: &str) -> io::Result<usize> {
        let state = self.0.borrow();
        state.check()?;
        state.directory.get(name).copied().ok_or(ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<usize> {
        let state = &mut *self.0.borrow_mut();
        let now = state.now;
        state.change(|state| match state.directory.get(name) {
            Some(&file) => state.files[file].set_len(0, now),
            None => {
                state.files.push(File::new(now));
                state.name(name, Some(state.files.len() - 1));
            }
        })?;
        Ok(state.directory[name])
    }

    fn read_at(&self, file: &usize, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.borrow();
        state.check()?;
        let content = &state.files[*file].content;
        let rest = content.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn append(&self, file: &usize, bytes: &[u8]) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        let fault = state.begin()?;
        let len = match fault {
            None => bytes.len(),
            Some(Fault::ReadOnly) => 0,
            Some(Fault::Stop) if state.chance.coin() => bytes.len(),
            Some(_) if state.chance.coin() => bytes.len() - 1,
            Some(_) => state.chance.below(bytes.len()),
        };
        state.files[*file].append(&bytes[..len], state.now);
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn set_len(&self, file: &usize, len: u64) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        let now = state.now;
        state.change(|state| state.files[*file].set_len(usize::try_from(len).unwrap(), now))
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        let fault = state.begin()?;
        let file = &mut state.files[*file];
        match fault {
            None => file.sync(),
            // With space allocated late, that is when there is none.
            Some(Fault::Full | Fault::Io) => {
                state.failed_syncs += 1;
                file.fail_to_sync(&mut state.chance);
            }
            Some(Fault::ReadOnly | Fault::Stop) => {}
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    /// One that fails has forgotten nothing: a journal is written later, or the file system is shut down.
    fn sync_directory(&self) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        if let Some(fault) = state.begin()? {
            return Err(fault.error());
        }
        for versions in state.names.values_mut() {
            versions.drain(..versions.len() - 1);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        state.change(|state| state.name(name, None))
    }
}

//! The spool as supd-listen uses it: waited for, written to, and read from for the pipeline.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use supd_core::gaps::Gaps;
use supd_core::listener::Listener;
use supd_core::recent::REMEMBERED;
use supd_core::seen::Seen;
use supd_core::signals::SignalPipe;
use supd_core::spool::log::{Lost, Repairs};
use supd_core::spool::{self, Asked, Consumer, ConsumerName, Lock, Spool, Sync};
use supd_core::{Record, stdio};

use crate::args::Args;
use crate::outbox::Outbox;
use crate::retry::Retry;
use crate::sink::Sink;

/// How long a predecessor may take to let go of the spool: it does so before it drains.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// After so many records a mark tells those who got none of them how far things are; and after so much quiet.
const MARK_RECORDS: u64 = 1000;
const MARK_QUIET: Duration = Duration::from_secs(1);
/// How often a cursor is written for those who do not write their own.
const CONFIRM: Duration = Duration::from_secs(1);
/// A line goes to the pipeline without being read back, unless so much waits there already.
const AT_HAND: usize = 64 * 1024;

/// Records on disk, and how far they have been handed on.
#[derive(Debug)]
pub(crate) struct Store {
    spool: Spool,
    line: Vec<u8>,
    retry: Retry,
    /// Records handed on since the last mark, and when the last one was.
    since_mark: u64,
    handed_on_at: Instant,
    /// Whether there are marks.
    marks: bool,
    on_write: Option<OnWrite>,
    /// For so many records to come there is room: it has been made.
    has_room_for: u32,
}

/// Confirms for those who do not do it themselves.
#[derive(Debug)]
struct OnWrite {
    consumer: Consumer,
    sync: Sync,
    due: Instant,
}

/// Asks for the spool until a predecessor has let go of it; `None` when SIGTERM comes first.
pub(crate) fn wait_for_lock(path: &Path, sigterm: &SignalPipe) -> anyhow::Result<Option<Lock>> {
    spool::create(path)?;
    let until = Instant::now() + PATIENCE;
    loop {
        let pid = match spool::ask(path)? {
            Asked::Ours(lock) => return Ok(Some(lock)),
            Asked::Held(pid) => pid,
        };
        if Instant::now() >= until {
            let who = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            bail!(
                "write to spool '{}': {who} does so already; each listener needs a spool of its own",
                path.display()
            );
        }
        // Nothing tells when a lock is free, short of a thread that waits for it.
        let mut fds = [PollFd::new(sigterm, PollFlags::IN)];
        stdio::poll(&mut fds, Some(Instant::now() + LOOK)).context("wait for the spool")?;
        if sigterm.has_come() {
            return Ok(None);
        }
    }
}

impl Store {
    pub(crate) fn open(args: &Args, path: &Path, lock: Lock) -> anyhow::Result<(Self, Repairs)> {
        if !args.confirms_on_write() {
            forget_ourselves(path)?;
        }
        let (spool, repairs) = Spool::open(path, args.spool.options(), lock)?;
        let on_write = args.confirms_on_write().then(|| OnWrite::new(path, args.spool.sync)).transpose()?;
        if repairs.cut > 0 {
            log::warn!(
                "open spool '{}': its last record was not whole and not acknowledged, so its event comes again; cut {} bytes",
                path.display(),
                repairs.cut
            );
        }
        let waiting = spool.index().next() - 1 - spool.position();
        if waiting > 0 {
            let name = path.display();
            match spool.hindmost() {
                Some(consumer) => {
                    log::info!(
                        "spool '{name}': handing on {waiting} records that '{consumer}' has not confirmed yet"
                    );
                }
                None => log::warn!(
                    "spool '{name}': handing on {waiting} records again, because nobody confirms any; end the pipeline in \
                     supd-notify, or use --confirm-on-write"
                ),
            }
        }
        let store = Self {
            spool,
            line: Vec::new(),
            retry: Retry::default(),
            since_mark: 0,
            handed_on_at: Instant::now(),
            marks: true,
            on_write,
            has_room_for: 0,
        };
        Ok((store, repairs))
    }

    /// What the pipeline needs in its environment to confirm.
    pub(crate) fn environment(&self) -> anyhow::Result<[(&'static str, OsString); 2]> {
        self.spool.environment().with_context(|| format!("find spool '{}'", self.spool.path().display()))
    }

    /// Nobody confirms what is handed on, so that marks would only be in the way.
    pub(crate) fn without_marks(self) -> Self {
        Self { marks: false, ..self }
    }

    /// Tells what earlier listeners of this supervisord wrote.
    pub(crate) fn remind(
        &self,
        listener: &mut Listener,
        gaps: &mut Option<Gaps>,
        boot: &str,
    ) -> anyhow::Result<()> {
        let (now, today, mut pool) = (Instant::now(), Timestamp::now(), None);
        self.spool.each_of_last(REMEMBERED as u64, |line| {
            let Some(seen) = Seen::from_line(line).filter(|seen| seen.boot.as_deref() == Some(boot)) else {
                return;
            };
            if let Some(serial) = seen.serial {
                listener.remember(serial, &seen.eventname);
            }
            let Some(gaps) = gaps else { return };
            if seen.pool.is_some() && pool.as_deref() != seen.pool.as_deref() {
                // The listener had another name.
                (*gaps, pool) = (Gaps::default(), seen.pool.as_deref().map(str::to_owned));
            }
            if let Some(gap) = seen.gap() {
                gaps.restore_gap(gap);
            } else if let Some(poolserial) = seen.poolserial {
                let age = seen.ts().map(|ts| today.duration_since(ts)).and_then(|age| age.try_into().ok());
                gaps.restore(poolserial, now.checked_sub(age.unwrap_or_default()).unwrap_or(now));
            }
        })?;
        gaps.iter_mut().for_each(|gaps| gaps.resume(now));
        Ok(())
    }

    /// Puts a record on disk, and into the lines for the pipeline if all before it have gone there.
    pub(crate) fn put(&mut self, record: &mut Record, lines: &mut Vec<u8>, now: Instant) -> Put {
        if self.retry.is_early(now) {
            return Put::Later;
        }
        record.seq = Some(self.spool.index().next());
        self.line.clear();
        record.write_line(&mut self.line);
        let put = match self.make_room() {
            Ok(Some(lost)) => {
                // The one that tells of it, and then this one again.
                self.has_room_for = 2;
                return Put::Lost(lost);
            }
            Ok(None) => self.put_line(lines, now),
            Err(error) => Err(error),
        };
        match put {
            Ok(()) => {
                self.has_room_for = self.has_room_for.saturating_sub(1);
                if self.retry.worked() {
                    log::info!("write to spool '{}': it works again", self.spool.path().display());
                }
                Put::Done
            }
            Err(error) => {
                if self.retry.failed(now) {
                    log::error!("{error:#}; not acknowledging events, and trying again until it works");
                }
                Put::Later
            }
        }
    }

    /// Only once for a record: one that is larger than the spool may be would drive out each that tells of what it drove
    /// out.
    fn make_room(&mut self) -> anyhow::Result<Option<Lost>> {
        if self.has_room_for > 0 { Ok(None) } else { self.spool.make_room(self.line.len()) }
    }

    fn put_line(&mut self, lines: &mut Vec<u8>, now: Instant) -> anyhow::Result<()> {
        let is_next = self.spool.is_at_end();
        self.spool.append(&self.line)?;
        if is_next && lines.len() < AT_HAND {
            lines.extend_from_slice(&self.line);
            self.spool.skip(&self.line);
            self.handed_on(1, lines, now);
        }
        self.line.shrink_to(AT_HAND);
        Ok(())
    }

    /// When to try again, after a failure.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry.at()
    }

    /// Puts some of what is to be handed on into these lines, which are empty; false when there is nothing.
    pub(crate) fn refill(&mut self, lines: &mut Vec<u8>, now: Instant) -> anyhow::Result<bool> {
        if self.spool.is_at_end() {
            return Ok(false);
        }
        let count = self.spool.read(lines)?;
        self.handed_on(count, lines, now);
        Ok(count > 0)
    }

    fn handed_on(&mut self, count: u64, lines: &mut Vec<u8>, now: Instant) {
        self.since_mark += if self.marks { count } else { 0 };
        self.handed_on_at = now;
        if self.since_mark >= MARK_RECORDS {
            self.mark(lines);
        }
    }

    /// When a mark is due, as long as nothing more is handed on; and when a cursor.
    pub(crate) fn due(&self) -> Option<Instant> {
        let mark = (self.since_mark > 0).then(|| self.handed_on_at + MARK_QUIET);
        let is_behind = |on_write: &&OnWrite| on_write.consumer.position() != Some(self.spool.position());
        let confirm = self.on_write.as_ref().filter(is_behind).map(|on_write| on_write.due);
        mark.into_iter().chain(confirm).min()
    }

    /// All lines have been taken: what is due now is done.
    pub(crate) fn settle(&mut self, outbox: &mut Outbox, now: Instant) {
        if self.since_mark > 0 && self.handed_on_at + MARK_QUIET <= now {
            self.mark(outbox.lines());
        }
        if self.on_write.as_ref().is_some_and(|on_write| on_write.due <= now) {
            self.confirm(outbox.sink(), now);
        }
    }

    /// A mark, if something was handed on since the last one.
    pub(crate) fn mark(&mut self, lines: &mut Vec<u8>) {
        if std::mem::take(&mut self.since_mark) > 0 {
            let seq = Some(self.spool.position());
            Record { seq, eventname: "SUPD_MARK".into(), ..Record::default() }.write_line(lines);
        }
    }

    /// What has been handed on counts as dealt with; in a file, once it is on disk there as it is here.
    pub(crate) fn confirm(&mut self, sink: &Sink, now: Instant) {
        let Some(OnWrite { consumer, sync, due }) = &mut self.on_write else { return };
        *due = now + CONFIRM;
        let position = self.spool.position();
        if consumer.position() == Some(position) {
            return;
        }
        let on_disk = if *sync == Sync::Event { sink.sync() } else { Ok(()) };
        if let Err(error) = on_disk.and_then(|()| consumer.set_position(position)) {
            log::warn!("{error:#}; after a restart some records would be handed on again");
        }
    }

    /// Leaves the rest to a successor.
    pub(crate) fn let_go(&mut self) {
        self.on_write = None;
        self.spool.let_go();
    }
}

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Put {
    /// It is on disk.
    Done,
    /// It is not yet.
    Later,
    /// It is not yet, and these are gone, of which a record comes first.
    Lost(Lost),
}

/// The consumer that stands for whatever confirms nothing itself.
fn ourselves() -> ConsumerName {
    ConsumerName::parse("supd-listen").expect("it consists of letters")
}

/// When others confirm now, our own cursor from an earlier time would stand still for ever, and everything wait for it.
fn forget_ourselves(path: &Path) -> anyhow::Result<()> {
    let cursors = spool::cursors(path)?;
    if cursors.len() > 1
        && cursors.contains_key(ourselves().as_str())
        && let Asked::Ours(consumer) = Consumer::ask(path, &ourselves())?
    {
        consumer.remove()?;
    }
    Ok(())
}

impl OnWrite {
    fn new(path: &Path, sync: Sync) -> anyhow::Result<Self> {
        match Consumer::ask(path, &ourselves())? {
            Asked::Ours(consumer) => Ok(Self { consumer, sync, due: Instant::now() }),
            Asked::Held(_) => bail!("confirm in spool '{}': another supd-listen does so", path.display()),
        }
    }
}

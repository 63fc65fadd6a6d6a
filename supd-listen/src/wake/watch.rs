//! supervisord's processes, each watched by a pidfd that becomes readable when it ends.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, setrlimit};
use supd_core::{ancestry, stdio};

/// The bell, where processes have their pids; no process has this one.
const BELL: u64 = 0;

/// How many deaths are taken in at once.
const BATCH: usize = 64;

/// Descriptors that are left for all else that this program does.
const RESERVE: usize = 64;

/// What woke us.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Happened {
    /// A process has ended.
    pub(super) ended: bool,
    /// The bell rings.
    pub(super) rung: bool,
}

/// The processes that are watched.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: OwnedFd,
    watched: HashMap<u32, OwnedFd>,
    /// Those that have ended and were not reaped when we last looked. Their pids may be others' by the next time.
    ended: HashSet<u32>,
    said_full: bool,
}

impl Watch {
    /// Watches nothing but this bell.
    pub(super) fn new(bell: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self { epoll, watched: HashMap::new(), ended: HashSet::new(), said_full: false })
    }

    /// Waits for the end of a process, the bell, or this time.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> io::Result<Happened> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec::try_from(left).expect("it is a few seconds"));
        let mut events = Vec::with_capacity(BATCH);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), left.as_ref()) {
            Err(Errno::INTR) => return Ok(Happened::default()),
            result => result?,
        };
        let mut happened = Happened::default();
        for event in &events {
            match u32::try_from(event.data.u64()) {
                Ok(pid) if u64::from(pid) != BELL => {
                    self.watched.remove(&pid);
                    self.ended.insert(pid);
                    happened.ended = true;
                }
                _ => happened.rung = true,
            }
        }
        Ok(happened)
    }

    /// Watches those of these processes that are not watched yet. One that has ended without our knowing makes the next
    /// `wait` return, and no other.
    pub(super) fn reread(&mut self, pids: &HashSet<u32>) -> io::Result<()> {
        self.ended.retain(|pid| pids.contains(pid));
        let ours = std::process::id();
        let new = pids.iter().copied().filter(|pid| *pid != ours && !self.watched.contains_key(pid));
        let new: Vec<u32> = new.collect();
        let room = room_for(self.watched.len() + new.len());
        let mut left_out = 0;
        for pid in new {
            // As many as there is room for; the others are tried again when some have ended.
            if self.watched.len() >= room || !self.add(pid)? {
                left_out += 1;
            }
        }
        if left_out > 0 && !self.said_full {
            log::debug!(
                "not watching {left_out} of supervisord's {} processes: there are no descriptors left",
                pids.len()
            );
        }
        self.said_full = left_out > 0;
        Ok(())
    }

    /// Watches a process; false when there are no descriptors left. Who has gone needs none.
    fn add(&mut self, pid: u32) -> io::Result<bool> {
        let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(true);
        };
        let pidfd = match pidfd_open(process, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(true),
            Err(Errno::MFILE | Errno::NFILE) => return Ok(false),
            pidfd => pidfd?,
        };
        // Its end has been told of; unless it has been reaped, and its pid is another's now.
        if self.ended.contains(&pid) && has_ended(&pidfd)? {
            return Ok(true);
        }
        self.ended.remove(&pid);
        epoll::add(&self.epoll, &pidfd, epoll::EventData::new_u64(pid.into()), epoll::EventFlags::IN)?;
        self.watched.insert(pid, pidfd);
        Ok(true)
    }
}

fn has_ended(pidfd: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    stdio::poll(&mut fds, Some(Instant::now()))?;
    Ok(!fds[0].revents().is_empty())
}

/// How many processes can be watched, of so many. The limit of descriptors is raised for them, as far as it may be.
fn room_for(processes: usize) -> usize {
    let wanted = u64::try_from(processes + RESERVE).unwrap_or(u64::MAX);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let raised = Rlimit { current: Some(current), ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let current = limit.current.and_then(|current| usize::try_from(current).ok());
    current.map_or(processes, |current| current.saturating_sub(RESERVE))
}

/// The processes whose parent this is.
pub(super) fn children_of(pid: u32) -> HashSet<u32> {
    // One short file, if the kernel has it; else all processes of the machine are looked at.
    listed_children(pid).unwrap_or_else(|_| ancestry::children_of(pid).into_iter().collect())
}

/// What the kernel lists of a process, whose threads have children each.
fn listed_children(pid: u32) -> io::Result<HashSet<u32>> {
    let mut children = HashSet::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = fs::read_to_string(thread?.path().join("children"))?;
        children.extend(list.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::super::Bell;
    use super::*;

    const ENDED: Happened = Happened { ended: true, rung: false };
    const NOTHING: Happened = Happened { ended: false, rung: false };

    fn start(program: &str) -> (Child, HashSet<u32>) {
        let child = Command::new(program).arg("1000").spawn().unwrap();
        let pids = HashSet::from([child.id()]);
        (child, pids)
    }

    fn now(watch: &mut Watch) -> Happened {
        watch.wait(Some(Instant::now())).unwrap()
    }

    fn in_time(watch: &mut Watch) -> Happened {
        watch.wait(Some(Instant::now() + Duration::from_secs(60))).unwrap()
    }

    #[test]
    fn an_end_is_told_once_and_its_descriptor_let_go() {
        let bell = Bell::new().unwrap();
        let mut watch = Watch::new(bell.fd.as_fd()).unwrap();
        let (mut child, pids) = start("sleep");
        watch.reread(&pids).unwrap();
        assert_eq!((now(&mut watch), watch.watched.len()), (NOTHING, 1));
        child.kill().unwrap();
        assert_eq!((in_time(&mut watch), watch.watched.len()), (ENDED, 0));
        // It has not been reaped, so it is listed still.
        for _ in 0..3 {
            watch.reread(&pids).unwrap();
            assert_eq!((now(&mut watch), watch.watched.len()), (NOTHING, 0));
        }
        child.wait().unwrap();
        watch.reread(&HashSet::new()).unwrap();
        assert!(watch.ended.is_empty());
    }

    #[test]
    fn one_that_had_ended_before_it_was_seen_is_told_of_once() {
        let bell = Bell::new().unwrap();
        let mut watch = Watch::new(bell.fd.as_fd()).unwrap();
        let (mut child, pids) = start("true");
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        stdio::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        watch.reread(&pids).unwrap();
        assert_eq!(now(&mut watch), ENDED);
        watch.reread(&pids).unwrap();
        assert_eq!(now(&mut watch), NOTHING);
        child.wait().unwrap();
        // A list that is out of date does no harm.
        watch.reread(&pids).unwrap();
        assert_eq!((now(&mut watch), watch.watched.len()), (NOTHING, 0));
    }

    #[test]
    fn a_pid_that_has_become_anothers_is_watched_again() {
        let bell = Bell::new().unwrap();
        let mut watch = Watch::new(bell.fd.as_fd()).unwrap();
        let (mut child, pids) = start("sleep");
        watch.ended.insert(child.id());
        watch.reread(&pids).unwrap();
        assert_eq!((watch.watched.len(), watch.ended.len()), (1, 0));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_bell_rings_until_it_is_heard_and_again_after_a_reset() {
        let bell = Bell::new().unwrap();
        let mut watch = Watch::new(bell.fd.as_fd()).unwrap();
        assert_eq!(now(&mut watch), NOTHING);
        bell.ring();
        assert_eq!(now(&mut watch), Happened { ended: false, rung: true });
        bell.hear();
        bell.ring();
        assert_eq!(now(&mut watch), NOTHING);
        bell.reset();
        bell.ring();
        assert_eq!(now(&mut watch), Happened { ended: false, rung: true });
    }

    #[test]
    fn both_ways_list_a_child() {
        let (mut child, _) = start("sleep");
        let ours = std::process::id();
        assert!(ancestry::children_of(ours).contains(&child.id()));
        assert!(children_of(ours).contains(&child.id()));
        if let Ok(listed) = listed_children(ours) {
            assert!(listed.contains(&child.id()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

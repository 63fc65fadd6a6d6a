//! What the kernel counts: processor time of ourselves and of all descendants, and their memory.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

use supd_core::ancestry::stat;

use crate::proc::{descendants, ticks};

/// Processor time: all of it, and what was spent outside the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) all: Duration,
    pub(crate) user: Duration,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { all: self.all.saturating_sub(earlier.all), user: self.user.saturating_sub(earlier.user) }
    }
}

/// Processor time of this program, its threads included.
pub(crate) fn own_cpu() -> anyhow::Result<Cpu> {
    cpu_of(UsageWho::RUSAGE_SELF)
}

/// Processor time of all descendants that have been reaped, by us or by each other; it counts from our own start.
pub(crate) fn reaped_cpu() -> anyhow::Result<Duration> {
    Ok(cpu_of(UsageWho::RUSAGE_CHILDREN)?.all)
}

/// What descendants that are alive have used up to now, with what they have reaped. `getrusage` will tell of them only
/// once they have been reaped themselves.
pub(crate) fn living_cpu() -> Duration {
    descendants().into_iter().map(used).sum()
}

/// Resident memory of all descendants that are alive, in bytes: the most that each ever had, added up. What they
/// share, such as a library's code, counts for each.
pub(crate) fn peak_memory() -> u64 {
    descendants().into_iter().filter_map(high_water).sum()
}

fn cpu_of(who: UsageWho) -> anyhow::Result<Cpu> {
    let usage: Usage = getrusage(who).context("ask for the processor time used")?;
    let duration = |time: TimeVal| Duration::from_micros(time.num_microseconds().try_into().unwrap_or(0));
    let user = duration(usage.user_time());
    Ok(Cpu { all: user + duration(usage.system_time()), user })
}

/// Processor time of a process and of all that it has reaped. Of what has ended, threads and children, the kernel
/// tells in clock ticks only: that may be up to two ticks too little.
fn used(pid: u32) -> Duration {
    // utime and stime, cutime and cstime.
    let [own, reaped] = [11, 13].map(|first| {
        let stat = stat(pid).unwrap_or_default();
        let used = stat.iter().skip(first).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        ticks(used.sum())
    });
    scheduled(pid).max(own) + reaped
}

/// The first number of each thread's schedstat is the time it ran, in nanoseconds.
fn scheduled(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_memory_and_time_are_seen_while_it_lives() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(descendants().contains(&child.id()));
        assert!(high_water(child.id()).unwrap() > 0);
        assert!(used(child.id()) > Duration::ZERO);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(high_water(child.id()), None);
        assert!(own_cpu().unwrap().all > Duration::ZERO);
    }
    #[test]
    fn what_a_process_has_reaped_is_its_own() {
        // A subshell that goes on until it has used 5 ticks, and its parent, which waits for the end of its input.
        let script = "(while read -r s </proc/self/stat; set -- $s; [ $((${14} + ${15})) -lt 5 ]; do :; done); \
                      echo; read -r end";
        let mut command = std::process::Command::new("/bin/sh");
        let pipe = std::process::Stdio::piped;
        let mut child = command.args(["-c", script]).stdin(pipe()).stdout(pipe()).spawn().unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut [0]).unwrap();
        assert!(used(child.id()) >= ticks(4), "{:?}", used(child.id()));
        assert!(scheduled(child.id()) < ticks(4));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

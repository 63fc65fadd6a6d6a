//! What the listener and all it started use of the machine, as /proc tells.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use supd_core::ancestry::stat;

/// All processes below us, however deep. /proc is read once, whatever their number.
pub(crate) fn descendants() -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in numbers("/proc") {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&std::process::id()).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let grandchildren = children.remove(pid).unwrap_or_default();
        found.extend(grandchildren);
        next += 1;
    }
    found
}

/// The processor time that these have used so far, their own children's included that have ended.
pub(crate) fn cpu_time(pids: &[u32]) -> Duration {
    // utime, stime, cutime and cstime of proc(5).
    let used = |pid: &u32| -> Option<u64> {
        stat(*pid)?.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
    };
    ticks(pids.iter().filter_map(used).sum())
}

/// So many clock ticks, the unit of most that the kernel counts; 10 ms each almost everywhere.
pub(crate) fn ticks(number: u64) -> Duration {
    Duration::from_secs(number).div_f64(rustix::param::clock_ticks_per_second() as f64)
}

/// Whether one of these runs, or would if there were a processor for it.
pub(crate) fn are_running(pids: &[u32]) -> bool {
    pids.iter().any(|&pid| stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "R")))
}

/// Whether all of these wait for somebody: for input, a child, a time. Who runs, is stopped, or waits for a disk does not.
pub(crate) fn are_at_rest(pids: &[u32]) -> bool {
    pids.iter().all(|&pid| {
        stat(pid).is_none_or(|fields| fields.first().is_none_or(|state| "SIZX".contains(state.as_str())))
    })
}

/// How often a process has gone to sleep so far, all its threads together; `None` when there is no such process.
pub(crate) fn sleeps(pid: u32) -> Option<u64> {
    let task = format!("/proc/{pid}/task");
    let of_thread = |thread: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("{task}/{thread}/status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse().ok()
    };
    let sleeps: Vec<u64> = numbers(&task).filter_map(of_thread).collect();
    (!sleeps.is_empty()).then(|| sleeps.iter().sum())
}

/// How many descriptors these have open.
pub(crate) fn descriptors(pids: &[u32]) -> usize {
    pids.iter().map(|pid| numbers(&format!("/proc/{pid}/fd")).count()).sum()
}

/// How many threads these have.
pub(crate) fn threads(pids: &[u32]) -> usize {
    pids.iter().map(|pid| numbers(&format!("/proc/{pid}/task")).count()).sum()
}

/// The memory that these have resident, in bytes.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let pages = |pid: &u32| -> Option<u64> {
        fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
    };
    pids.iter().filter_map(pages).sum::<u64>() * rustix::param::page_size() as u64
}

/// The numbers among a directory's names; none where it cannot be read.
fn numbers(directory: &str) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_use_is_seen() {
        let own = [std::process::id()];
        assert!(resident(&own) > 100_000);
        let before = cpu_time(&own);
        while cpu_time(&own) < before + Duration::from_millis(20) {}
        assert!(!descendants().contains(&own[0]));
    }

    #[test]
    fn our_own_threads_descriptors_and_sleeps_are_counted() {
        let own = [std::process::id()];
        let descriptors_before = descriptors(&own);
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(descriptors(&own) >= descriptors_before + 25);
        drop(files);
        let before = sleeps(own[0]).unwrap();
        std::thread::park_timeout(Duration::from_millis(1));
        assert!(threads(&own) > 0 && sleeps(own[0]).unwrap() > before);
        assert_eq!(sleeps(u32::MAX), None);
    }
}

//! What the listener and all it started use of the machine, as /proc tells.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// All processes below us, however deep: those of the listener that is being tried, since only one is at a time.
pub(crate) fn descendants() -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in numbers {
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
    let ticks = |pid: &u32| -> Option<u64> {
        stat(*pid)?.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
    };
    let total: u64 = pids.iter().filter_map(ticks).sum();
    Duration::from_millis(total * 1000 / rustix::param::clock_ticks_per_second())
}

/// Whether one of these runs, or would if there were a processor for it.
pub(crate) fn are_running(pids: &[u32]) -> bool {
    pids.iter().any(|&pid| stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "R")))
}

/// The memory that these have resident, in bytes.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let pages = |pid: &u32| -> Option<u64> {
        fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
    };
    pids.iter().filter_map(pages).sum::<u64>() * rustix::param::page_size() as u64
}

/// The fields of /proc/PID/stat from the third on: a name may hold anything, its closing parenthesis is the last.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    Some(after_name.split_whitespace().map(str::to_owned).collect())
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
}

//! Who kills: one stage of one chain at a time, whichever chance says, with SIGKILL.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::chain::CHAINS;
use crate::harness::{Supervisord, kill};

/// From one kill to the next, in milliseconds: less than a chain may need to be up again, and more than that.
const PAUSE: RangeInclusive<u64> = 100..=400;

/// How often which program of which chain was killed.
pub(super) type Kills = BTreeMap<(&'static str, String), usize>;

pub(super) struct Killer<'a> {
    supervisord: &'a Supervisord<'a>,
    rng: Rng,
    kills: Kills,
}

impl<'a> Killer<'a> {
    pub(super) fn new(supervisord: &'a Supervisord<'a>, seed: u64) -> Self {
        Self { supervisord, rng: Rng::with_seed(seed), kills: Kills::new() }
    }

    /// Kills for this long.
    pub(super) fn rage(mut self, time: Duration) -> Kills {
        let end = Instant::now() + time;
        while Instant::now() < end {
            // Not to wait for anything: this is the pace.
            sleep(Duration::from_millis(self.rng.u64(PAUSE)));
            self.strike();
        }
        self.kills
    }

    /// Kills one process, unless the chain that chance chose has none at the moment. The kinds of stages have equal
    /// chances, however many of a kind are still draining.
    fn strike(&mut self) {
        let chain = CHAINS[self.rng.usize(..CHAINS.len())].name;
        let mut stages: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (pid, program) in self.supervisord.processes_of(chain) {
            stages.entry(program).or_default().push(pid);
        }
        let Some((program, pids)) = self.rng.choice(stages) else { return };
        let pid = pids[self.rng.usize(..pids.len())];
        kill(pid.try_into().unwrap());
        *self.kills.entry((chain, program)).or_default() += 1;
    }
}

//! What can happen to a supervisord, for as long as anyone wants to watch.

use jiff::Timestamp;
use supd_core::Record;

use super::chatter;
use super::rng::Rng;
use super::world::World;

/// A course of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Now and then a process crashes and comes back
    Crash,
    /// One process keeps crashing; the others are well
    Flap,
    /// Groups are restarted, one process after another
    Deploy,
    /// Processes crash, do not come up again, and are started by hand
    Fatal,
    /// All of these, on five hosts
    Fleet,
    /// Processes write logs, colours, other alphabets and tracebacks among them, and crash now and then
    Logs,
}

const PROCESSES: [&str; 8] =
    ["web:web_00", "web:web_01", "web:web_02", "api:api_00", "api:api_01", "worker", "mailer", "café"];
const MINUTE: u64 = 60_000;
/// supervisord's default, and the pause of its poll.
const STARTSECS: u64 = 1_000;

impl Scenario {
    /// Its records, without end.
    pub(crate) fn records(self, seed: u64) -> impl Iterator<Item = Record> {
        let mut rng = Rng::new(seed);
        // A Monday morning; when the records are made must not show in them.
        let start: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a valid time");
        let hosts: &[&str] =
            if self == Self::Fleet { &["ams1", "ams2", "fra1", "fra2", "lon1"] } else { &["web1"] };
        let mut worlds: Vec<World> =
            hosts.iter().map(|host| World::new(host, start, &mut rng, &PROCESSES)).collect();
        worlds.iter_mut().for_each(|world| world.boot(STARTSECS));
        let mut ready: Vec<Record> =
            worlds.iter_mut().flat_map(|world| std::mem::take(&mut world.events)).collect();
        ready.sort_by(|a, b| a.ts.cmp(&b.ts));
        let mut ready = ready.into_iter();
        let mut now = worlds.iter().map(|world| world.now).max().expect("there is at least one host");
        std::iter::from_fn(move || {
            loop {
                if let Some(record) = ready.next() {
                    return Some(record);
                }
                let host = rng.index(worlds.len());
                let world = &mut worlds[host];
                world.now = now;
                self.episode(world, &mut rng);
                now = world.now;
                ready = std::mem::take(&mut world.events).into_iter();
            }
        })
    }

    fn episode(self, world: &mut World, rng: &mut Rng) {
        match self {
            Self::Crash => crash(world, rng),
            Self::Flap => flap(world, rng),
            Self::Deploy => deploy(world, rng),
            Self::Fatal => fatal(world, rng),
            Self::Logs => logs(world, rng),
            Self::Fleet => [crash, flap, deploy, fatal][rng.index(4)](world, rng),
        }
    }
}

fn crash(world: &mut World, rng: &mut Rng) {
    world.wait_ms(rng.between(MINUTE, 90 * MINUTE));
    let process = rng.index(world.processes.len());
    world.exited(process, false);
    world.restarted(process, STARTSECS + rng.between(0, 40));
}

fn logs(world: &mut World, rng: &mut Rng) {
    if rng.index(200) == 0 {
        return crash(world, rng);
    }
    world.wait_ms(rng.between(1, 3_000));
    let process = rng.index(world.processes.len());
    let (channel, text) = chatter::text(rng);
    world.logs(process, channel, &text);
}

fn flap(world: &mut World, rng: &mut Rng) {
    world.wait_ms(rng.between(1_000, 15_000));
    let worker = 5;
    world.exited(worker, false);
    world.restarted(worker, STARTSECS + rng.between(0, 40));
}

fn deploy(world: &mut World, rng: &mut Rng) {
    world.wait_ms(rng.between(60 * MINUTE, 600 * MINUTE));
    for process in if rng.index(2) == 0 { 0..3 } else { 3..5 } {
        world.stopped(process, rng.between(20, 900));
        world.restarted(process, STARTSECS + rng.between(0, 40));
        world.wait_ms(rng.between(500, 4_000));
    }
}

fn fatal(world: &mut World, rng: &mut Rng) {
    world.wait_ms(rng.between(30 * MINUTE, 900 * MINUTE));
    let process = rng.index(world.processes.len());
    world.exited(process, false);
    world.wait_ms(1);
    world.starting(process, 0);
    world.gives_up(process, 1_000);
    world.wait_ms(rng.between(MINUTE, 30 * MINUTE));
    world.restarted(process, STARTSECS + rng.between(0, 40));
}

#[cfg(test)]
mod tests {
    use supd_core::{Kind, State, describe};

    use super::*;

    const ALL: [Scenario; 6] =
        [Scenario::Crash, Scenario::Flap, Scenario::Deploy, Scenario::Fatal, Scenario::Fleet, Scenario::Logs];

    #[test]
    fn the_same_seed_gives_the_same_records_and_another_others() {
        for scenario in ALL {
            let records = |seed| scenario.records(seed).take(300).collect::<Vec<_>>();
            assert_eq!(records(7), records(7), "{scenario:?}");
            assert_ne!(records(7), records(8), "{scenario:?}");
        }
    }

    #[test]
    fn times_and_serials_only_grow_and_every_record_can_go_onto_the_wire() {
        for scenario in ALL {
            let records: Vec<Record> = scenario.records(1).take(500).collect();
            assert!(records.windows(2).all(|pair| pair[0].ts <= pair[1].ts), "{scenario:?}");
            for host in records.iter().filter_map(|record| record.host.as_ref()) {
                let serials =
                    records.iter().filter(|record| record.host.as_ref() == Some(host)).map(|r| r.serial);
                assert!(serials.is_sorted_by(|a, b| a < b), "{scenario:?}");
            }
            records.iter().for_each(|record| drop(record.to_event().unwrap()));
        }
    }

    #[test]
    fn each_scenario_shows_what_it_is_named_after() {
        let has = |scenario: Scenario, state| {
            scenario.records(1).take(300).any(|record| record.kind() == Kind::ProcessState(state))
        };
        assert!(has(Scenario::Fatal, State::Fatal));
        assert!(has(Scenario::Deploy, State::Stopped));
        assert!(
            Scenario::Logs
                .records(1)
                .take(300)
                .any(|record| { record.data().is_some_and(|text| text.starts_with("Traceback")) })
        );
        assert!(Scenario::Crash.records(1).take(300).any(|record| describe::is_problem(&record)));
        assert!(!Scenario::Deploy.records(1).take(300).any(|record| describe::is_problem(&record)));
    }
}

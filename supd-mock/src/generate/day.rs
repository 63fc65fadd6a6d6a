//! The built-in bad day: a little of everything, in five seconds, for whoever has no capture at hand.

use jiff::Timestamp;
use supd_core::Record;

use super::rng::Rng;
use super::world::World;

/// Four processes start; one crashes and comes back, one never comes up, one ends as it should, one writes in more
/// than ASCII before it crashes; then all is shut down.
pub(crate) fn bad_day() -> Vec<Record> {
    let start: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a valid time");
    let mut world =
        World::new("web1", start, &mut Rng::new(1), &["web:web_00", "web:web_01", "mailer", "café"]);
    let [web_00, web_01, mailer, cafe] = [0, 1, 2, 3];
    world.boot(300);
    world.wait_ms(400);
    world.exited(web_01, false);
    world.restarted(web_01, 300);
    world.wait_ms(200);
    world.exited(mailer, false);
    world.wait_ms(1);
    world.starting(mailer, 0);
    world.gives_up(mailer, 200);
    world.wait_ms(400);
    world.logs(
        cafe,
        "stderr",
        "Traceback (most recent call last):\n  ValueError: 'é漢字😀' is not a number\n",
    );
    world.wait_ms(2);
    world.exited(cafe, false);
    world.restarted(cafe, 300);
    world.wait_ms(300);
    world.exited(web_00, true);
    world.wait_ms(200);
    world.shut_down();
    world.stopped(web_01, 50);
    world.stopped(cafe, 50);
    world.events
}

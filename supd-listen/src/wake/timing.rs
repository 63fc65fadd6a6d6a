//! When to wake supervisord, and when to read its processes anew. Time is passed in.

use std::time::{Duration, Instant};

/// How long after a death supervisord is woken: at once, and again in case it was in the middle of a turn, since it
/// takes one turn to reap and another to tell.
const OFFSETS: [Duration; 5] = [ms(0), ms(2), ms(6), ms(20), ms(60)];

/// Two wakings closer together would end one and the same turn.
const APART: Duration = OFFSETS[1];

/// The wakings that a death asks for.
///
/// ```text
/// Quiet --death--> due at 0, 2, 6, 20, 60 ms --woke, five times--> Quiet
///                  due at any of them --death--> due at 0, 2, 6, 20, 60 ms from then
/// ```
#[derive(Debug, Default)]
pub(super) struct Schedule {
    death: Option<Instant>,
    /// How many of the offsets have been dealt with since.
    step: usize,
    woke: Option<Instant>,
}

impl Schedule {
    /// A process has ended. The wakings that another death still had coming are among the new ones.
    pub(super) fn death(&mut self, now: Instant) {
        self.death = Some(now);
        self.step = 0;
    }

    /// When to wake supervisord next.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.death? + *OFFSETS.get(self.step)?;
        Some(self.woke.map_or(due, |woke| due.max(woke + APART)))
    }

    /// supervisord has been woken.
    pub(super) fn woke(&mut self, now: Instant) {
        self.step += 1;
        self.woke = Some(now);
    }
}

/// How soon after a note the processes are read: several events come together.
const SOON: Duration = ms(10);

/// And how much time there is between two readings at least.
const GAP: Duration = ms(100);

/// Reading takes at most one part in so many of the time, however many processes the machine has.
const SHARE: u32 = 20;

/// When they are read once more after the last note: supervisord starts a process again about a second after its end,
/// or later with each try, and not every listener is told of that.
const LATER: [Duration; 2] = [ms(2_000), ms(10_000)];

/// When supervisord's processes are read anew: soon after a note, but not all the time, and twice more when no note
/// comes any more; then never, until there is a note.
#[derive(Debug)]
pub(super) struct Rereading {
    soon: Option<Instant>,
    not_before: Instant,
    last_note: Instant,
    /// How many of the later ones have been done since.
    later: usize,
}

impl Rereading {
    /// The first reading is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { soon: Some(now), not_before: now, last_note: now, later: 0 }
    }

    /// Something has happened, so there may be other processes now.
    pub(super) fn note(&mut self, now: Instant) {
        self.soon.get_or_insert(now + SOON);
        self.last_note = now;
        self.later = 0;
    }

    /// When to read next.
    pub(super) fn due(&self) -> Option<Instant> {
        let later = LATER.get(self.later).map(|&later| self.last_note + later);
        let due = self.soon.into_iter().chain(later).min()?;
        Some(due.max(self.not_before))
    }

    /// The processes have been read; it took from then until now.
    pub(super) fn done(&mut self, began: Instant, now: Instant) {
        self.soon = None;
        self.not_before = now + GAP.max((now - began) * SHARE);
        while LATER.get(self.later).is_some_and(|&later| self.last_note + later <= began) {
            self.later += 1;
        }
    }
}

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times, in milliseconds from the start, at which a schedule wakes that is told of these deaths.
    fn wakings(deaths: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let start = Instant::now();
        let mut deaths = deaths.into_iter().peekable();
        let mut schedule = Schedule::default();
        let mut wakings = Vec::new();
        for now in 0..1000 {
            if deaths.next_if_eq(&now).is_some() {
                schedule.death(start + ms(now));
            }
            if schedule.due().is_some_and(|due| due <= start + ms(now)) {
                schedule.woke(start + ms(now));
                wakings.push(now);
            }
        }
        assert_eq!(schedule.due(), None);
        wakings
    }

    #[test]
    fn a_death_wakes_five_times() {
        assert_eq!(wakings([]), [0; 0]);
        assert_eq!(wakings([100]), [100, 102, 106, 120, 160]);
    }

    #[test]
    fn another_death_begins_the_schedule_anew_and_no_second_one() {
        assert_eq!(wakings([100, 110]), [100, 102, 106, 110, 112, 116, 130, 170]);
        assert_eq!(wakings([100, 500]), [100, 102, 106, 120, 160, 500, 502, 506, 520, 560]);
    }

    #[test]
    fn many_deaths_do_not_wake_more_often_than_supervisord_can_tell() {
        let wakings = wakings(100..200);
        assert!(wakings.windows(2).all(|pair| pair[1] - pair[0] >= 2), "{wakings:?}");
        assert_eq!(wakings.last(), Some(&259));
    }

    #[test]
    fn a_late_thread_still_wakes_more_than_once() {
        let death = Instant::now();
        let mut schedule = Schedule::default();
        schedule.death(death);
        schedule.woke(death + ms(300));
        assert_eq!(schedule.due(), Some(death + ms(302)));
    }

    /// The times at which the processes are read, each reading taking so long, after these notes.
    fn readings(notes: impl IntoIterator<Item = u64>, took: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut notes = notes.into_iter().peekable();
        let mut rereading = Rereading::new(start);
        let mut readings = Vec::new();
        for now in 0..60_000 {
            let time = start + ms(now);
            if notes.next_if_eq(&now).is_some() {
                rereading.note(time);
            }
            if rereading.due().is_some_and(|due| due <= time) {
                rereading.done(time, time + ms(took));
                readings.push(now);
            }
        }
        assert_eq!(rereading.due(), None);
        readings
    }

    #[test]
    fn processes_are_read_at_the_start_and_twice_more_and_then_never_again() {
        assert_eq!(readings([], 0), [0, 2000, 10_000]);
    }

    #[test]
    fn a_note_is_heeded_soon_and_twice_more() {
        assert_eq!(readings([500], 0), [0, 510, 2500, 10_500]);
        assert_eq!(readings([500, 501, 509], 0), [0, 510, 2509, 10_509]);
    }

    #[test]
    fn a_flood_of_notes_leads_to_ten_readings_a_second() {
        let during = readings(1000..2000, 0).into_iter().filter(|time| (1000..2000).contains(time)).count();
        assert_eq!(during, 10);
    }

    #[test]
    fn slow_readings_are_rarer() {
        let during = readings(1000..4000, 50).into_iter().filter(|time| (1000..4000).contains(time)).count();
        assert_eq!(during, 3);
    }
}

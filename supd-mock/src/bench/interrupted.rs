//! A signal to end, while the loop that is measured waits in a read: a thread of its own waits for the signal.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use supd_core::children::Children;
use supd_core::interruption::Interruption;
use supd_core::stdio;

/// Does something. When a signal comes, all children are killed, which ends whatever it waits for.
pub(crate) fn heed<T>(
    interruption: &Interruption,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (done, is_done) = UnixStream::pair().context("make a socket pair")?;
    let result = std::thread::scope(|scope| {
        scope.spawn(|| kill_at_a_signal(interruption, &is_done));
        let result = work();
        drop(done);
        result
    });
    // That the listener was killed is no fault of its own.
    interruption.check()?;
    result
}

fn kill_at_a_signal(interruption: &Interruption, is_done: &UnixStream) {
    let mut until = None;
    loop {
        let mut fds = [PollFd::new(is_done, PollFlags::IN), PollFd::new(interruption, PollFlags::IN)];
        // Once the signal is there, what is left is looked at again a little later.
        let awaited = if until.is_some() { &mut fds[..1] } else { &mut fds[..] };
        if stdio::poll(awaited, until).is_err() || !awaited[0].revents().is_empty() {
            return;
        }
        // Whoever is orphaned by this becomes our child, and is found the next time.
        Children::default().signal(Signal::KILL);
        until = Some(Instant::now() + Duration::from_millis(20));
    }
}

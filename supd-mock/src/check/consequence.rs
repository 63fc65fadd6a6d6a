//! What supervisord makes of what a listener does wrong: measured, and said with each failure.

pub(crate) const NOT_READY: &str =
    "if it never comes, supervisord shows the listener RUNNING, and sends it no event; nobody is told";

pub(crate) const NO_ANSWER: &str = "if it never comes, supervisord takes the listener to be BUSY with this event for \
                                    ever: no other is sent, and nobody is told";

pub(crate) const MUTE: &str =
    "supervisord shows the listener RUNNING, and waits for its next word for ever; nobody is told";

pub(crate) const DEAF: &str = "supervisord shows the listener RUNNING and takes it to be READY, but nothing can be sent to \
                               it: the queue stalls, and nobody is told";

pub(crate) const UNKNOWN: &str = "supervisord marks the listener UNKNOWN: it stays RUNNING and is never sent an event \
                                  again; nobody is told but by a WARN line in the log";

pub(crate) const BUSY: &str = "supervisord takes the listener to be BUSY with this event for ever: no other is sent, \
                               and nobody is told";

pub(crate) const REJECTED: &str = "supervisord sends the event again at once, some 6,000 times a second, with all later \
                                   ones waiting behind it";

pub(crate) const UNREAD: &str = "with more than 64 KiB of the event unread supervisord itself crashes \
                                 (BlockingIOError), and its programs are orphans";

pub(crate) const DIED: &str = "supervisord sends the event again to the restarted listener, and into the pools of other \
                               listeners. If that one dies of it too, so it goes on without end: a listener that was \
                               sent an event was RUNNING, so that its end is EXITED, and never becomes FATAL";

pub(crate) const ENDED: &str = "supervisord restarts the listener, or with status 0 and autorestart=unexpected does not; \
                                events that come meanwhile are lost when the buffer is full";

pub(crate) const SPINS: &str = "a processor is busy with nothing, for as long as the listener runs";

pub(crate) const POLLS: &str =
    "the machine is kept awake, and a little of a processor busy, for as long as the listener runs";

pub(crate) const NO_CRASH: &str = "supervisord is told nothing of it, since it has reaped the shell by then; in a script or \
                                   a log of the pipeline's own, each ordinary stop looks like a crash";

pub(crate) const KILLED: &str =
    "supervisord waits for stopwaitsecs, each time it stops or restarts the listener, and then kills it";

pub(crate) const ORPHAN: &str =
    "processes stay behind that nobody stops; after a restart there are two of them, then three";

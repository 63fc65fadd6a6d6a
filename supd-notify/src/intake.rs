//! Standard input, read to its end by a thread of its own, and SIGTERM, which ends it.

use std::sync::{Arc, Mutex};

use supd_core::Kind;
use supd_core::input::{Source, Watch};
use supd_core::reader::{Form, Item, Reader};
use supd_core::signals::SignalPipe;

use crate::heartbeat::Signs;
use crate::parcel::Letter;
use crate::queue::Queue;
use crate::router::Router;
use crate::tally::InputTally;

/// Why the outcome can always be had.
pub(crate) const UNPOISONED: &str = "no thread panics while it holds the outcome";

/// How the reading went: nothing while it goes on, else how many lines were malformed.
pub(crate) type Outcome = Arc<Mutex<Option<anyhow::Result<u64>>>>;

/// Who else hears of what comes.
#[derive(Clone)]
pub(crate) struct Listeners {
    pub(crate) tally: Arc<InputTally>,
    /// With a heartbeat, TICK events are for it, and for nobody else.
    pub(crate) heartbeat: Option<Arc<Signs>>,
}

impl Listeners {
    fn end(&self) {
        if let Some(signs) = &self.heartbeat {
            signs.end();
        }
    }
}

/// Tells the queues when SIGTERM comes; a thread's work.
pub(crate) fn stop_at(sigterm: &SignalPipe, queues: &[Arc<Queue>], listeners: &Listeners) {
    loop {
        sigterm.wait();
        listeners.end();
        queues.iter().for_each(|queue| queue.stop());
        // Only now is it so.
        log::debug!("SIGTERM: delivering what is there, for as long as --drain-timeout says");
    }
}

/// Reads standard input to its end, and routes what is there; a thread's work.
pub(crate) fn read(router: &Router, queues: &[Arc<Queue>], listeners: &Listeners, outcome: &Outcome) {
    let result = read_all(router, queues, listeners);
    listeners.end();
    *outcome.lock().expect(UNPOISONED) = Some(result);
    queues.iter().for_each(|queue| queue.end());
}

fn read_all(router: &Router, queues: &[Arc<Queue>], listeners: &Listeners) -> anyhow::Result<u64> {
    let mut source = Source::open(None)?;
    let mut reader = Reader::new(Form::Ndjson, source.name());
    let mut watch = Watch::default();
    loop {
        let ended = reader.take(source.read(&mut watch, &mut || {
            queues.iter().for_each(|queue| queue.set_silent(true));
            Ok(())
        })?);
        queues.iter().for_each(|queue| queue.set_silent(false));
        reader.each(|Item { record, line, .. }| {
            let kind = record.kind();
            listeners.tally.read.add(usize::from(kind != Kind::Mark));
            if let (Kind::Tick, Some(signs)) = (kind, &listeners.heartbeat) {
                signs.tick();
                // Dealt with, in its place.
                if let Some(seq) = record.seq {
                    queues.iter().for_each(|queue| queue.pass(seq));
                }
                return Ok(());
            }
            router.route(Letter::new(record, line.unwrap_or_default().to_vec()));
            Ok(())
        })?;
        listeners.tally.malformed.set(reader.malformed());
        if ended {
            return Ok(reader.malformed());
        }
    }
}

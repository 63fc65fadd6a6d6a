//! An event listener section: a pool of processes, and what it hears.

use serde::{Serialize, Serializer};
use supd_core::EventPattern;

use super::datatypes::{boolean, integer, placed_list};
use super::ini::{Ini, Section};
use super::keys::Keys;
use super::{Fault, ProcessConfig, Surroundings, process};

/// An `[eventlistener:x]` section.
#[derive(Debug, Serialize)]
pub(crate) struct Pool {
    pub(crate) name: String,
    /// In the file's order, each once.
    #[serde(serialize_with = "names")]
    pub(crate) events: Vec<EventPattern>,
    pub(crate) buffer_size: usize,
    /// -1 by default, so that listeners start first and stop last; their processes have a priority of their own.
    pub(crate) priority: i64,
    pub(crate) processes: Vec<ProcessConfig>,
}

impl Pool {
    pub(super) fn read(
        ini: &Ini,
        section: &Section,
        surroundings: &Surroundings,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let name = section.name_after("eventlistener")?;
        let mut keys = Keys::new(ini, section, &surroundings.common(), faults);
        let priority = keys.get("priority", -1, integer);
        let buffer_size = keys.get("buffer_size", 10, |text| {
            let size = integer(text)?;
            let positive = usize::try_from(size).ok().filter(|size| *size > 0);
            positive.ok_or_else(|| format!("{size} is no place for any event"))
        });
        keys.text("result_handler");
        let events = events(&mut keys);
        if keys.get("redirect_stderr", false, boolean) {
            let problem = "true would mix the listener's messages into its replies";
            keys.fault("redirect_stderr", problem, Some("leave redirect_stderr out"));
        }
        let keys = Keys::new(ini, section, &surroundings.globals, faults);
        let processes = process::read(keys, name, surroundings);
        Some(Self { name: name.to_owned(), events, buffer_size, priority, processes })
    }
}

fn events(keys: &mut Keys<'_>) -> Vec<EventPattern> {
    let Some(raw) = keys.raw("events") else {
        let cure = "events=PROCESS_STATE, or what else the listener is for";
        keys.section_fault("no events=", cure);
        return Vec::new();
    };
    // One that cannot be expanded is no fault twice.
    let Some(text) = keys.text("events") else { return Vec::new() };
    let names = placed_list(&text);
    if names.is_empty() {
        keys.fault(
            "events",
            "nothing to hear",
            Some("events=PROCESS_STATE, or what else the listener is for"),
        );
    }
    let mut events: Vec<EventPattern> = Vec::new();
    for (before, name) in names {
        match EventPattern::exact(name) {
            Some(event) if events.contains(&event) => {}
            Some(event) => events.push(event),
            None if name.is_empty() => {
                let place = if raw.text.ends_with(',') { "at the end" } else { "too many" };
                let problem = format!("a comma {place} is an event without a name");
                keys.fault_after("events", before, &problem, Some("remove the comma"));
            }
            None => {
                let problem = format!("there is no event '{name}'");
                let cure = alike(name).map(|alike| format!("did you mean {alike}?"));
                keys.fault_after(
                    "events",
                    before,
                    &problem,
                    Some(cure.as_deref().unwrap_or("use a name from supervisor's list of events")),
                );
            }
        }
    }
    events
}

/// The event that somebody may have meant.
fn alike(name: &str) -> Option<String> {
    let upper = name.to_uppercase();
    let short = EventPattern::parse(name).ok().map(|event| event.to_string());
    if let Some(event) = short.filter(|event| EventPattern::exact(event).is_some()) {
        return Some(event);
    }
    let distance = |event: &&str| strsim::osa_distance(event, &upper);
    let nearest = EventPattern::supervisors().min_by_key(distance)?;
    (distance(&nearest) <= 2.max(nearest.len() / 4)).then(|| nearest.to_owned())
}

fn names<S: Serializer>(events: &[EventPattern], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(ToString::to_string))
}

//! The keys that `--track` adds to a record.

use serde_json::{Map, Value};
use supd_core::State;
use supd_core::fields::Field;

/// They stand at the end of the line, in this order.
const KEYS: [&str; 6] = ["state", "restarts", "flapping", "uptime", "downtime", "derived"];

/// Values of these keys, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// The state that the process is in after the event.
    pub(crate) state: Option<State>,
    /// How often it was restarted in the window.
    pub(crate) restarts: Option<u64>,
    /// Whether it flaps; said only while it does.
    pub(crate) flapping: bool,
    /// How long it was RUNNING, at the end of that.
    pub(crate) uptime: Option<Millis>,
    /// How long it was not RUNNING, at the end of that.
    pub(crate) downtime: Option<Millis>,
    /// How many records follow that are derived from the same event, and have its `seq`; said only where some do.
    pub(crate) derived: usize,
}

/// A span of time in milliseconds; in a record it is a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    /// From one moment to another, where both are known and the clock was not set back between them.
    pub(crate) fn between(from: Option<i64>, to: Option<i64>) -> Option<Self> {
        to?.checked_sub(from?)?.try_into().ok().map(Self)
    }

    fn field(self) -> Field<'static> {
        match (self.0 / 1000, self.0 % 1000) {
            (seconds, 0) => Field::Number(seconds),
            (seconds, millis) => {
                Field::Json(format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned().into())
            }
        }
    }
}

impl From<Millis> for Value {
    fn from(millis: Millis) -> Self {
        if millis.0.is_multiple_of(1000) {
            (millis.0 / 1000).into()
        } else {
            (millis.0 as f64 / 1000.0).into()
        }
    }
}

impl Added {
    /// Whether this is one of the keys: what stands under it is ours, whoever wrote it before.
    pub(crate) fn has_key(key: &str) -> bool {
        KEYS.contains(&key)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Field<'static>> {
        match key {
            "state" => self.state.map(|state| Field::Text(state.name().into())),
            "restarts" => self.restarts.map(Field::Number),
            "flapping" => self.flapping.then_some(Field::Flag(true)),
            "uptime" => self.uptime.map(Millis::field),
            "downtime" => self.downtime.map(Millis::field),
            "derived" => (self.derived > 0).then_some(Field::Number(self.derived as u64)),
            _ => None,
        }
    }

    /// Gives every key that has a value.
    pub(crate) fn each<'s>(&self, give: &mut dyn FnMut(&'s str, Field<'s>)) {
        KEYS.into_iter().for_each(|key| self.get(key).into_iter().for_each(|field| give(key, field)));
    }

    /// Appends them as they go on after another member of an object.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.each(&mut |key, field| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            let quote: &[u8] = if matches!(field, Field::Text(_)) { b"\"" } else { b"" };
            // There is nothing to escape in the name of a state.
            [quote, field.into_plain().as_bytes(), quote]
                .into_iter()
                .for_each(|bytes| out.extend_from_slice(bytes));
        });
    }

    /// Puts them among a record's own, instead of what stands there under their names.
    pub(crate) fn replace_in(&self, members: &mut Map<String, Value>) {
        KEYS.into_iter().for_each(|key| drop(members.shift_remove(key)));
        let values: [(&str, Option<Value>); 6] = [
            ("state", self.state.map(|state| state.name().into())),
            ("restarts", self.restarts.map(Value::from)),
            ("flapping", self.flapping.then_some(true.into())),
            ("uptime", self.uptime.map(Value::from)),
            ("downtime", self.downtime.map(Value::from)),
            ("derived", (self.derived > 0).then(|| self.derived.into())),
        ];
        members.extend(values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_three_decimals_at_most_and_no_zeros_at_their_end() {
        for (millis, expected) in [
            (0, "0"),
            (5, "0.005"),
            (40, "0.04"),
            (300, "0.3"),
            (1_000, "1"),
            (12_340, "12.34"),
            (86_400_001, "86400.001"),
        ] {
            assert_eq!(Millis(millis).field().into_plain(), expected);
            assert_eq!(Value::from(Millis(millis)).to_string(), expected);
        }
    }

    #[test]
    fn what_a_clock_that_was_set_back_measured_is_not_known() {
        assert_eq!(Millis::between(Some(5), Some(7)), Some(Millis(2)));
        assert_eq!(Millis::between(Some(7), Some(5)), None);
        assert_eq!(Millis::between(None, Some(5)), None);
        assert_eq!(Millis::between(Some(i64::MIN), Some(i64::MAX)), None);
    }

    #[test]
    fn both_ways_of_writing_them_are_one() {
        let added = Added {
            state: Some(State::Running),
            restarts: Some(3),
            flapping: true,
            uptime: Some(Millis(1_500)),
            downtime: Some(Millis(2_000)),
            derived: 2,
        };
        for added in [added, Added { restarts: Some(0), ..Added::default() }] {
            let mut out = Vec::new();
            added.write(&mut out);
            let mut members = Map::new();
            members.insert("note".into(), 1.into());
            members.insert("uptime".into(), "odd".into());
            added.replace_in(&mut members);
            let written = format!("{{\"note\":1{}}}", String::from_utf8(out).unwrap());
            assert_eq!(written, Value::Object(members).to_string());
        }
    }
}

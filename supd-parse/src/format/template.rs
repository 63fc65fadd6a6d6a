//! What a MiniJinja template makes of each record.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;
use serde_json::Value;
use supd_core::describe::acts;
use supd_core::fields::Fields as _;
use supd_core::template::{self, Context};
use supd_core::{Record, describe};

use super::Format;
use super::zone::Times;
use crate::item::Item;

/// A template, and what it is told.
pub(crate) struct Template {
    template: template::Template,
    clock: Clock,
    /// Items that it did not fit.
    failures: Arc<AtomicU64>,
}

/// What shows times.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// For `ts`.
    pub(crate) exact: Times,
    /// For `time`.
    pub(crate) zone: TimeZone,
}

impl Template {
    /// Compiles a template; on a terminal its values cannot act there. Where values come that are no records, their keys
    /// are not known yet.
    ///
    /// # Errors
    /// [`Usage`](supd_core::cli::Usage) for one that cannot work.
    pub(crate) fn compile(
        source: String,
        terminal: bool,
        of_values: bool,
        clock: Clock,
        failures: Arc<AtomicU64>,
    ) -> anyhow::Result<Self> {
        let escape = if terminal { visible } else { str::to_owned };
        let template = if of_values {
            template::Template::untried(source, escape)?
        } else {
            template::Template::compile(source, escape, |record| clock.context(record))?
        };
        Ok(Self { template, clock, failures })
    }

    /// What comes first is said at once, and how often at the end.
    fn fail(&self, error: &anyhow::Error, item: &Item<'_>) {
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            let name = item.eventname();
            let name = if name.is_empty() { "a value".into() } else { name };
            log::error!("template: {error:#} for {name}; skipped");
        }
    }
}

impl Format for Template {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) {
        match self.template.render(&self.clock.context_of(item)) {
            Ok(text) => {
                out.extend_from_slice(text.as_bytes());
                if !text.ends_with('\n') {
                    out.push(b'\n');
                }
            }
            Err(error) => self.fail(&error, item),
        }
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

impl Clock {
    fn context_of(&self, item: &Item<'_>) -> Context {
        match (item.record(), item.value()) {
            (Some(record), _) => self.context(&record),
            (None, Some(Value::Object(members))) => members.clone(),
            (None, value) => Context::from_iter([("value".to_owned(), value.cloned().unwrap_or_default())]),
        }
    }

    fn context(&self, record: &Record) -> Context {
        let mut context = template::context(record);
        let ts = record.ts.as_deref().unwrap_or_default();
        if let Some(exact) = self.exact.show_text(ts) {
            context.insert("ts".into(), exact.into());
        }
        let civil = Times::Civil(self.zone.clone()).show_text(ts).unwrap_or_else(|| ts.to_owned());
        context.entry("time").or_insert_with(|| civil.into());
        context
    }
}

/// Log text keeps its lines.
fn visible(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| if line.contains(acts) { describe::printable(line) } else { Cow::Borrowed(line) });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::formatted;
    use super::*;

    fn rendered(template: &str, terminal: bool, of_values: bool, lines: &[&str]) -> (String, u64) {
        let clock = Clock { exact: Times::AsIs, zone: TimeZone::UTC };
        let failures = Arc::default();
        let template =
            Template::compile(template.into(), terminal, of_values, clock, Arc::clone(&failures)).unwrap();
        (formatted(template, lines), failures.load(Ordering::Relaxed))
    }

    const LOG: &str = r#"{"ts":"2026-01-05T08:00:00Z","host":"h","eventname":"PROCESS_LOG_STDERR","processname":"a","pid":7,"data":"x\n\u001b[2J<b>"}"#;

    #[test]
    fn a_record_is_a_line_and_values_are_as_they_are() {
        assert_eq!(
            rendered("{{ time }} {{ processname }}/{{ pid }}: {{ what }}", false, false, &[LOG]).0,
            "2026-01-05 08:00:00.000 a/7: wrote to stderr\n"
        );
        assert_eq!(rendered("{{ data }}\n", false, false, &[LOG]).0, "x\n\x1b[2J<b>\n");
        assert_eq!(rendered("{{ data }}", true, false, &[LOG]).0, "x\n\\u001b[2J<b>\n");
    }

    #[test]
    fn another_value_has_its_keys_or_is_the_value() {
        assert_eq!(rendered("{{ n + 1 }}", false, true, &[r#"{"n":1}"#]).0, "2\n");
        assert_eq!(rendered("{{ value[0] }}", false, true, &["[5]"]).0, "5\n");
    }

    #[test]
    fn what_it_does_not_fit_is_counted() {
        let lines = [r#"{"n":1}"#, r#"{"m":1}"#, r#"{"m":1}"#];
        assert_eq!(rendered("{{ n }}", false, true, &lines), ("1\n".into(), 2));
    }
}

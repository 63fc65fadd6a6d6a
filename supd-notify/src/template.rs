//! A JSON document from a MiniJinja template and a record.

use anyhow::{Context as _, anyhow};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::de::IgnoredAny;
use serde_json::{Map, json};
use supd_core::Record;
use supd_core::cli::Usage;
use supd_core::record::KEYS;

use crate::message::Message;
use crate::parcel::Parcel;

/// More than any sensible template takes; a loop that does not end is an error instead.
const FUEL: u64 = 1_000_000;

/// A template that makes JSON.
pub(crate) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Compiles a template, and tries it: a key that no event has, or a result that is no JSON, shows at once.
    ///
    /// # Errors
    /// [`Usage`] with MiniJinja's reason.
    pub(crate) fn compile(source: String) -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL));
        // Values stand inside the template's own quotes, so they are escaped as the inside of a JSON string.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(|out, _, value| {
            let text = match value.kind() {
                ValueKind::None => return Ok(()),
                ValueKind::String if !value.is_safe() => escape(value.as_str().unwrap_or_default()),
                ValueKind::Bool => value.is_true().to_string(),
                _ => value.to_string(),
            };
            out.write_str(&text).map_err(minijinja::Error::from)
        });
        let fail = |error: anyhow::Error| Usage(format!("compile template: {error:#}"));
        environment.add_template_owned("template", source).map_err(|error| fail(error.into()))?;
        let template = Self { environment };
        let sample = r#"{"ts":"2026-01-05T08:00:00.000Z","host":"h","eventname":"PROCESS_STATE_EXITED"}"#;
        let sample = Record::from_line(sample.as_bytes()).expect("a record");
        template.render(&Parcel::about(sample, Vec::new())).map_err(fail)?;
        Ok(template)
    }

    /// Renders a record; the result is JSON.
    pub(crate) fn render(&self, parcel: &Parcel) -> anyhow::Result<String> {
        let template = self.environment.get_template("template").expect("it was added");
        let text = template.render(context(parcel)).map_err(|error| anyhow!("{error}"))?;
        serde_json::from_str::<IgnoredAny>(&text).context("its result is not JSON")?;
        Ok(text)
    }
}

fn context(parcel: &Parcel) -> Value {
    let mut context: Map<_, _> = KEYS.into_iter().map(|key| (key.to_owned(), json!(null))).collect();
    let message = Message::of(parcel);
    context.insert("title".into(), message.title.into());
    context.insert("severity".into(), message.severity.name().into());
    context.insert("text".into(), message.text.into());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(parcel.record()) {
        context.extend(fields);
    }
    Value::from(Serde(&context))
}

/// The inside of a JSON string.
fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn render(template: &str, record: &str) -> String {
        Template::compile(template.into()).unwrap().render(&parcel(record)).unwrap()
    }

    #[test]
    fn values_are_escaped_for_the_string_they_stand_in() {
        let record = r#"{"eventname":"E","processname":"a\"}{\\ é\n","pid":7,"expected":false}"#;
        assert_eq!(
            render(r#"{"p":"{{ processname }}","n":"{{ pid }}","x":{{ expected|tojson }}}"#, record),
            r#"{"p":"a\"}{\\ é\n","n":"7","x":false}"#
        );
    }

    #[test]
    fn a_key_that_the_event_lacks_is_empty_and_one_that_none_has_is_an_error() {
        assert_eq!(render(r#"{"pid":"{{ pid }}"}"#, r#"{"eventname":"E"}"#), r#"{"pid":""}"#);
        assert_eq!(render(r#"[{{ pid|tojson }}]"#, r#"{"eventname":"E"}"#), "[null]");
        let error = Template::compile(r#"{"x":"{{ proces }}"}"#.into()).err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("undefined"), "{error}");
    }

    #[test]
    fn what_is_no_json_is_refused_at_once() {
        for wrong in ["{{ eventname }}", "{", "{% for x in [1] %}", ""] {
            assert!(Template::compile(wrong.into()).err().unwrap().is::<Usage>(), "{wrong}");
        }
    }

    #[test]
    fn title_and_severity_are_there_too() {
        let record = r#"{"eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"a"}"#;
        assert_eq!(
            render(r#"["{{ severity }}","{{ title }}"]"#, record),
            r#"["critical","a could not be started; supervisord gave up"]"#
        );
    }
}

//! Templates as channels have them: told of a parcel, with what is known beside its record.

use serde_json::json;
use supd_core::Record;
use supd_core::template::{self, Context};

use crate::message::Message;
use crate::parcel::Parcel;

pub(crate) use supd_core::template::Escape;

/// A template that makes text in some markup.
pub(crate) struct Template(template::Template);

impl Template {
    /// Compiles a template, and tries it.
    ///
    /// # Errors
    /// A [`Usage`](supd_core::cli::Usage) error with the reason.
    pub(crate) fn compile(source: String, escape: Escape) -> anyhow::Result<Self> {
        template::Template::compile(source, escape, sample).map(Self)
    }

    /// Text about a parcel.
    ///
    /// # Errors
    /// When the template does not fit what this is about.
    pub(crate) fn render(&self, parcel: &Parcel) -> anyhow::Result<String> {
        self.0.render(&context(parcel))
    }
}

/// A template that makes JSON.
pub(crate) struct Document(template::Document);

impl Document {
    /// As [`Template::compile`]; a result that is no JSON shows at once too.
    ///
    /// # Errors
    /// A [`Usage`](supd_core::cli::Usage) error with the reason.
    pub(crate) fn compile(source: String) -> anyhow::Result<Self> {
        template::Document::compile(source, sample).map(Self)
    }

    /// JSON about a parcel.
    ///
    /// # Errors
    /// As [`Template::render`]; when the result is no JSON.
    pub(crate) fn render(&self, parcel: &Parcel) -> anyhow::Result<String> {
        self.0.render(&context(parcel))
    }
}

fn sample(record: &Record) -> Context {
    context(&Parcel::about(record.clone(), Vec::new()))
}

/// What templates can tell of any record, and of a message: its facts, and how the process did lately.
fn context(parcel: &Parcel) -> Context {
    let mut context = template::context(parcel.record());
    let message = Message::of(parcel);
    let fact = |(label, value): (&str, String)| json!({"label": label, "value": value});
    context.insert("facts".into(), message.facts.into_iter().map(fact).collect());
    // What a message has no room for is cut, unless the record itself says it.
    let keys = &parcel.record().extra;
    let cut = [("title", Some(message.title)), ("text", message.text)];
    context.extend(
        cut.into_iter()
            .filter(|(key, _)| !keys.contains_key(*key))
            .map(|(key, text)| (key.into(), text.into())),
    );
    let background = parcel.background();
    if let Some((count, span)) = background.lately {
        context.insert("lately".into(), count.into());
        context.insert("lately_span".into(), span.as_secs().into());
    }
    if let Some(since) = background.since.filter(|_| !keys.contains_key("since")) {
        context.insert("since".into(), since.to_string().into());
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn shout(template: &str, record: &str) -> String {
        let escape = |text: &str| text.replace('<', "(").replace('>', ")");
        Template::compile(template.into(), escape).unwrap().render(&parcel(record)).unwrap()
    }

    #[test]
    fn facts_are_there_too() {
        let record = r#"{"eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"a"}"#;
        assert_eq!(
            shout(
                "{{ emoji }}{% for fact in facts %} {{ fact.label }}: {{ fact.value }}{% endfor %}",
                record
            ),
            "🔥 Process: a"
        );
        let document = Document::compile(r#"["{{ severity }}","{{ title }}"]"#.into()).unwrap();
        assert_eq!(
            document.render(&parcel(record)).unwrap(),
            r#"["critical","a could not be started; supervisord gave up"]"#
        );
    }

    #[test]
    fn how_often_lately_is_there_as_numbers() {
        let lately = Some((4, std::time::Duration::from_secs(3_600)));
        let parcel =
            parcel(r#"{"eventname":"E"}"#).with(crate::parcel::Background { lately, ..Default::default() });
        let template = Template::compile(
            "{% if lately %}{{ lately }} in {{ lately_span }}{% endif %}".into(),
            str::to_owned,
        );
        assert_eq!(template.unwrap().render(&parcel).unwrap(), "4 in 3600");
    }
}

//! Text from a MiniJinja template and what it is told of a record, the values escaped for where they go.

use anyhow::{Context as _, anyhow};
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::de::IgnoredAny;
use serde_json::{Map, json};

use crate::cli::Usage;
use crate::describe::{self, Sentence};
use crate::record::{KEYS, Record};

/// More than any sensible template takes; a loop that does not end is an error instead.
const FUEL: u64 = 1_000_000;

/// What records have beside [`KEYS`], from stages before and from our own programs.
const MORE_KEYS: [&str; 26] = [
    "exitstatus",
    "spawnerr",
    "description",
    "logtail",
    "missing",
    "reason",
    "resolves",
    "since",
    "what",
    "downtime",
    "stopped",
    "count",
    "first_ts",
    "last_ts",
    "processes",
    "hosts",
    "events",
    "more",
    "lately",
    "lately_span",
    "state",
    "restarts",
    "flapping",
    "uptime",
    "window",
    "derived",
];

/// What a template is tried with: as few keys as an event can have, and events of several kinds.
const SAMPLES: [&str; 5] = [
    r#"{"ts":"2026-01-05T08:00:00.000Z","host":"h","eventname":"PROCESS_STATE_EXITED"}"#,
    r#"{"ts":"2026-01-05T08:00:00.000Z","host":"h","server":"supervisor","serial":1,"pool":"p","poolserial":1,"eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"a","from_state":"RUNNING","expected":false,"pid":7,"exitstatus":1,"logtail":"x"}"#,
    r#"{"ts":"2026-01-05T08:00:00.000Z","host":"h","eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":7,"data":"x"}"#,
    r#"{"ts":"2026-01-05T08:00:00.000Z","eventname":"SUPD_DIGEST","count":2,"first_ts":"2026-01-05T08:00:00.000Z","last_ts":"2026-01-05T08:00:00.000Z","severity":"error","events":[{"processname":"a","what":"exited","count":2}]}"#,
    r#"{"ts":"2026-01-05T08:00:00.000Z","eventname":"SUPD_RECOVERED","processname":"a","groupname":"a","since":"2026-01-05T08:00:00.000Z","downtime":3,"count":2}"#,
];

/// What a template can tell, by name.
pub type Context = Map<String, serde_json::Value>;

/// Makes a value mean nothing but itself where it goes.
pub type Escape = fn(&str) -> String;

/// A template that makes text in some markup: its own text stays as it is written, values are escaped.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Compiles a template, and tries it with what it would be told of several events: a key that no event has shows at
    /// once.
    ///
    /// # Errors
    /// [`Usage`] with MiniJinja's reason.
    pub fn compile(
        source: String,
        escape: Escape,
        context: impl Fn(&Record) -> Context,
    ) -> anyhow::Result<Self> {
        let template = Self::untried(source, escape)?;
        let results: Vec<_> =
            SAMPLES.into_iter().map(|sample| template.try_render(&context(&self::sample(sample)))).collect();
        // That a value is not there, or is no list, may be so with some events only.
        let is_about_events = |error: &minijinja::Error| error.kind() == ErrorKind::InvalidOperation;
        let all_fail = results.iter().all(Result::is_err);
        match results.into_iter().filter_map(Result::err).find(|error| all_fail || !is_about_events(error)) {
            Some(error) => Err(refusal(anyhow!("{error}"))),
            None => Ok(template),
        }
    }

    /// Compiles a template that will be told of something else than events.
    ///
    /// # Errors
    /// [`Usage`] where it is no template.
    pub fn untried(source: String, escape: Escape) -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        // What a template puts together from escaped parts is not escaped again.
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("channel".into()));
        // No value gets past the escape, not even one that is safe for HTML.
        environment.add_filter("safe", |value: Value| value);
        environment.add_filter("tojson", |value: Value| json!(value).to_string());
        environment.set_formatter(move |out, _, value| {
            let text = match value.kind() {
                ValueKind::None => return Ok(()),
                ValueKind::String if value.is_safe() => value.to_string(),
                ValueKind::Bool => value.is_true().to_string(),
                _ => escape(&value.to_string()),
            };
            out.write_str(&text).map_err(minijinja::Error::from)
        });
        Self::with(environment, source)
    }

    /// Text about something.
    ///
    /// # Errors
    /// MiniJinja's reason, when the template does not fit what this is about.
    pub fn render(&self, context: &Context) -> anyhow::Result<String> {
        self.try_render(context).map_err(|error| anyhow!("{error}"))
    }

    fn with(mut environment: Environment<'static>, source: String) -> anyhow::Result<Self> {
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned("template", source).map_err(|error| refusal(error.into()))?;
        Ok(Self { environment })
    }

    fn try_render(&self, context: &Context) -> Result<String, minijinja::Error> {
        self.environment.get_template("template").expect("it was added").render(Value::from(Serde(context)))
    }
}

/// A template that makes JSON. Values stand inside the template's own quotes, so they are escaped as the inside of a JSON
/// string.
#[derive(Debug)]
pub struct Document(Template);

impl Document {
    /// As [`Template::compile`]; a result that is no JSON shows at once too.
    ///
    /// # Errors
    /// [`Usage`] with the reason.
    pub fn compile(source: String, context: impl Fn(&Record) -> Context) -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out, _, value| {
            let text = match value.kind() {
                ValueKind::None => return Ok(()),
                ValueKind::String if !value.is_safe() => escape_json(value.as_str().unwrap_or_default()),
                ValueKind::Bool => value.is_true().to_string(),
                _ => value.to_string(),
            };
            out.write_str(&text).map_err(minijinja::Error::from)
        });
        let document = Self(Template::with(environment, source)?);
        document.render(&context(&sample(SAMPLES[0]))).map_err(refusal)?;
        Ok(document)
    }

    /// JSON about something.
    ///
    /// # Errors
    /// As [`Template::render`]; when the result is no JSON.
    pub fn render(&self, context: &Context) -> anyhow::Result<String> {
        let text = self.0.render(context)?;
        serde_json::from_str::<IgnoredAny>(&text).context("its result is not JSON")?;
        Ok(text)
    }
}

fn sample(json: &str) -> Record {
    Record::from_line(json.as_bytes()).expect("a record")
}

fn refusal(error: anyhow::Error) -> anyhow::Error {
    Usage(format!("compile template: {error:#}")).into()
}

/// What a template can tell of a record: its keys, those that other events have (as null), and `title`, `subject`,
/// `what`, `severity`, `emoji` and `text`.
pub fn context(record: &Record) -> Context {
    let keys = KEYS.into_iter().chain(MORE_KEYS);
    let mut context: Map<_, _> = keys.map(|key| (key.to_owned(), json!(null))).collect();
    let sentence = Sentence::of(record);
    let severity = describe::severity(record);
    context.insert("title".into(), sentence.on(record.host.as_deref()).into());
    context.insert("subject".into(), sentence.subject.into());
    context.insert("what".into(), sentence.what.into());
    context.insert("severity".into(), severity.name().into());
    context.insert("emoji".into(), severity.emoji().into());
    context.insert("text".into(), describe::text(record).into());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(record) {
        context.extend(fields);
    }
    context
}

/// The inside of a JSON string.
fn escape_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, record: &str) -> String {
        let context = context(&sample(record));
        Document::compile(template.into(), self::context).unwrap().render(&context).unwrap()
    }

    fn shout(template: &str, record: &str) -> String {
        let escape = |text: &str| text.replace('<', "(").replace('>', ")");
        let template = Template::compile(template.into(), escape, context).unwrap();
        template.render(&context(&sample(record))).unwrap()
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
    fn no_way_of_writing_a_value_gets_past_the_escape() {
        let record = r#"{"eventname":"E","processname":"<p>","events":[{"what":"<w>"}],"<k>":"<v>"}"#;
        for (template, result) in [
            ("<{{ processname }}>", "<(p)>"),
            ("{{ processname|safe }}{{ processname|e }}{{ processname|escape }}", "(p)(p)(p)"),
            ("{{ processname|tojson }}", r#""(p)""#),
            ("{{ events }}", "[{'what': '(w)'}]"),
            ("{{ events|tojson }}{{ events|map(attribute='what')|join('<') }}", r#"[{"what":"(w)"}](w)"#),
            ("{% set x %}<{{ processname }}>{% endset %}{{ x }}", "<(p)>"),
            ("{% filter upper %}<{{ processname }}>{% endfilter %}", "<(P)>"),
            ("{% autoescape false %}{{ processname }}{% endautoescape %}", "(p)"),
            (
                "{{ '<' ~ processname }}{{ processname|upper }}{{ processname|replace('p', '<') }}",
                "((p)(P)(()",
            ),
            ("{{ expected }}{{ pid }}{{ 'x' if pid else 'y' }}", "y"),
        ] {
            assert_eq!(shout(template, record), result, "{template}");
        }
    }

    #[test]
    fn a_key_that_the_event_lacks_is_empty_and_one_that_none_has_is_an_error() {
        assert_eq!(render(r#"{"pid":"{{ pid }}"}"#, r#"{"eventname":"E"}"#), r#"{"pid":""}"#);
        assert_eq!(render(r#"[{{ pid|tojson }}]"#, r#"{"eventname":"E"}"#), "[null]");
        let error = Document::compile(r#"{"x":"{{ proces }}"}"#.into(), context).err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("undefined"), "{error}");
    }

    #[test]
    fn what_is_no_json_is_refused_at_once() {
        for wrong in ["{{ eventname }}", "{", "{% for x in [1] %}", ""] {
            assert!(Document::compile(wrong.into(), context).err().unwrap().is::<Usage>(), "{wrong}");
        }
    }

    #[test]
    fn what_can_never_work_is_refused_and_what_can_for_some_events_is_not() {
        let compile = |source: &str| Template::compile(source.into(), str::to_owned, context);
        for wrong in [
            "{{ proces }}",
            "{% if count %}{{ cuont }}{% endif %}",
            "{{ pid|shout }}",
            "{{ pid.shout() }}",
            "{{ shout(pid) }}",
            "{% for x in 7 %}{% endfor %}",
            "{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}",
            "{% if %}",
        ] {
            let error = compile(wrong).err().unwrap_or_else(|| panic!("{wrong}"));
            assert!(error.is::<Usage>(), "{wrong}");
        }
        for right in [
            "{{ pid + 1 }}",
            "{% for event in events %}{{ event.what }}{% endfor %}",
            "{% if cgroup %}{{ cgroup }}{% endif %}{{ cgroup|default('none') }}",
        ] {
            assert!(compile(right).is_ok(), "{right}: {:#}", compile(right).err().unwrap());
        }
    }

    #[test]
    fn the_words_of_an_event_are_there_too() {
        let record = r#"{"host":"h","eventname":"PROCESS_STATE_FATAL","processname":"a","groupname":"g"}"#;
        assert_eq!(
            render(r#"["{{ severity }}","{{ title }}","{{ subject }}","{{ what }}","{{ emoji }}"]"#, record),
            r#"["critical","g:a on h could not be started; supervisord gave up","g:a","could not be started; supervisord gave up","🔥"]"#
        );
    }

    #[test]
    fn what_is_told_of_something_else_is_not_tried() {
        let template = Template::untried("{{ n }}".into(), str::to_owned).unwrap();
        let context = Context::from_iter([("n".to_owned(), json!(7))]);
        assert_eq!(template.render(&context).unwrap(), "7");
        let error = template.render(&Context::new()).unwrap_err().to_string();
        assert!(error.contains("`n` is undefined") && error.contains("template:1"), "{error}");
    }
}

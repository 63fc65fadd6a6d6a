//! TOML to what it says. Each key is read by itself, so that every mistake is found and not only the first.

use std::borrow::Cow;

use clap::Subcommand as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use supd_core::EventPattern;
use supd_core::describe::Severity;
use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::spool::ConsumerName;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problems::{Problems, did_you_mean, list};
use super::{Config, RuleTable, TargetTable};
use crate::args::ChannelArgs;
use crate::policy::Options;
use crate::rules::Selector;
use crate::wording;

const KEYS: [&str; 5] = ["dead_letter", "default", "policy", "rules", "targets"];
const POLICY: &str = "policy";
const MESSAGE: &str = "message";

type Value<'t> = Spanned<DeValue<'t>>;
type Entry<'t> = (Spanned<String>, Value<'t>);

/// What a configuration says, as far as it can be understood.
pub(super) fn config(text: &str, problems: &mut Problems) -> Config {
    let mut config = Config::default();
    let document = match DeTable::parse(text) {
        Ok(document) => document.into_inner(),
        Err(error) => {
            problems.error(error.span(), in_our_words(error.message()));
            return config;
        }
    };
    for (key, value) in entries(document) {
        match key.get_ref().as_str() {
            "dead_letter" => config.dead_letter = value_of(&key, value, problems),
            "default" => config.default = Some(value_of(&key, value, problems).unwrap_or_default()),
            POLICY => config.policy = policy(value, problems),
            "rules" => config.rules = rules(value, problems),
            "targets" => config.targets = targets(value, problems),
            _ => problems.unknown_key(&key, KEYS.into_iter()),
        }
    }
    config
}

fn targets(value: Value<'_>, problems: &mut Problems) -> Vec<TargetTable> {
    let Some(table) = table(value, "'targets' holds a table for each, such as [targets.ops]", problems)
    else {
        return Vec::new();
    };
    table.into_iter().map(|(name, value)| target(name, value, problems)).collect()
}

fn target(name: Spanned<String>, value: Value<'_>, problems: &mut Problems) -> TargetTable {
    let shown = name.get_ref().clone();
    if shown.contains('.') || ConsumerName::parse(&format!("consumer.{shown}")).is_err() {
        let rule = "a target's name consists of letters, digits, '-' and '_', and is a part of a file's";
        problems.error(name.span(), format!("'{shown}': {rule}"));
    }
    let entries = table(value, "a target is a table, such as [targets.ops]", problems).unwrap_or_default();
    let mut target =
        TargetTable { name, channel: None, policy: Options::default(), message: wording::Options::default() };
    let known = channels();
    let (mut found, mut has_unknown) = (Vec::new(), false);
    for (key, value) in entries {
        match key.get_ref().as_str() {
            POLICY => target.policy = policy(value, problems),
            MESSAGE => {
                let message = table_of(value, "'message' is a table of templates: title, body", problems);
                target.message = message.unwrap_or_default();
            }
            word if known.iter().any(|known| known == word) => found.push((key, value)),
            _ => {
                has_unknown = true;
                problems.unknown_key(&key, known.iter().map(String::as_str).chain([POLICY, MESSAGE]));
            }
        }
    }
    match &found[..] {
        // The unknown one was meant to be it.
        [] if has_unknown => {}
        [] => {
            let known = list(known.iter().map(String::as_str));
            problems.error(
                target.name.span(),
                format!("target '{shown}' has no channel, which is one of {known}"),
            );
        }
        [(key, value)] => target.channel = channel(key, value, problems),
        [_, (key, _), ..] => {
            let found = list(found.iter().map(|(key, _)| key.get_ref().as_str()));
            problems.error(key.span(), format!("target '{shown}' has several channels: {found}"));
        }
    }
    target
}

/// A channel is written as the subcommand is called, and so is its table.
fn channel(key: &Spanned<String>, value: &Value<'_>, problems: &mut Problems) -> Option<ChannelArgs> {
    let result = ChannelArgs::deserialize(alone(key, value.clone()));
    result.map_err(|error| problems.error(error.span(), about(key, &redact(error.message(), value)))).ok()
}

/// The channels' names, which are those of the subcommands.
fn channels() -> Vec<String> {
    let command = ChannelArgs::augment_subcommands(clap::Command::new("channels"));
    command.get_subcommands().map(|channel| channel.get_name().to_owned()).collect()
}

fn policy(value: Value<'_>, problems: &mut Problems) -> Options {
    let says = |key: &str| value.get_ref().get(key).is_some();
    if says("mute_until") && !says("mute") {
        problems.error(value.span(), "'mute_until' says until when, and 'mute' beside it has to say what");
    }
    table_of(value, "'policy' is a table of options", problems).unwrap_or_default()
}

/// A rule as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    event: Vec<EventPattern>,
    severity: Vec<Severity>,
    process: Vec<ProcessPattern>,
    group: Vec<Glob>,
    host: Vec<Glob>,
    targets: Vec<Spanned<String>>,
    r#continue: bool,
}

fn rules(value: Value<'_>, problems: &mut Problems) -> Vec<RuleTable> {
    let place = value.span();
    let DeValue::Array(rules) = value.into_inner() else {
        problems.error(place, "'rules' are tables, each beginning with [[rules]]");
        return Vec::new();
    };
    rules.into_iter().filter_map(|value| rule(value, problems)).collect()
}

fn rule(value: Value<'_>, problems: &mut Problems) -> Option<RuleTable> {
    let place = value.span();
    let Some(keys) = value.get_ref().as_table() else {
        problems.error(place, "a rule is a table that begins with [[rules]]");
        return None;
    };
    if !keys.contains_key("targets") {
        problems.error(place.clone(), "the rule has no 'targets'; [] drops what it fits");
    }
    for (key, value) in keys {
        if key.get_ref() != "targets" && value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            problems
                .error(key.span(), format!("'{}' is empty, so nothing fits; leave it out", key.get_ref()));
        }
    }
    let Written { event, severity, process, group, host, targets, r#continue } =
        table_of(value, "", problems)?;
    // EVENT covers all.
    let events = if event.iter().any(|event| event.covers("EVENT")) { Vec::new() } else { event };
    let selector = Selector { events, severities: severity, processes: process, groups: group, hosts: host };
    Some(RuleTable { selector, targets, goes_on: r#continue, place })
}

/// A table's keys with their values, in their order.
fn table<'t>(value: Value<'t>, otherwise: &str, problems: &mut Problems) -> Option<Vec<Entry<'t>>> {
    let place = value.span();
    match value.into_inner() {
        DeValue::Table(table) => Some(entries(table)),
        _ => {
            problems.error(place, otherwise);
            None
        }
    }
}

fn entries(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let owned = |key: Spanned<Cow<'_, str>>| Spanned::new(key.span(), key.into_inner().into_owned());
    let mut entries: Vec<_> = table.into_iter().map(|(key, value)| (owned(key), value)).collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A table as a whole; when that fails, each of its keys alone, to find all that is wrong.
fn table_of<T: DeserializeOwned>(value: Value<'_>, otherwise: &str, problems: &mut Problems) -> Option<T> {
    let whole = match T::deserialize(ValueDeserializer::from(value.clone())) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let errors: Vec<_> = table(value, otherwise, problems)?
        .into_iter()
        .filter_map(|(key, value)| Some((T::deserialize(alone(&key, value)).err()?, key)))
        .collect();
    if errors.is_empty() {
        problems.error(whole.span(), in_our_words(whole.message()));
    }
    for (error, key) in errors {
        problems.error(error.span(), about(&key, error.message()));
    }
    None
}

fn value_of<T: DeserializeOwned>(
    key: &Spanned<String>,
    value: Value<'_>,
    problems: &mut Problems,
) -> Option<T> {
    let result = T::deserialize(ValueDeserializer::from(value));
    result.map_err(|error| problems.error(error.span(), about(key, error.message()))).ok()
}

/// A table of this key alone.
fn alone<'t>(key: &Spanned<String>, value: Value<'t>) -> ValueDeserializer<'t> {
    let place = value.span();
    let key = Spanned::new(key.span(), Cow::Owned(key.get_ref().clone()));
    ValueDeserializer::from(Spanned::new(place, DeValue::Table(DeTable::from_iter([(key, value)]))))
}

/// A channel's table may hold a secret that has no place there, and what is wrong with a value is said with the value.
fn redact(message: &str, value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => {
            let (quoted, named) = (format!("{text:?}"), format!("`{text}`"));
            message.replace(&quoted, "\"…\"").replace(&named, "`…`")
        }
        DeValue::Array(values) => {
            values.iter().fold(message.to_owned(), |message, value| redact(&message, value))
        }
        DeValue::Table(values) => {
            values.iter().fold(message.to_owned(), |message, (_, value)| redact(&message, value))
        }
        _ => message.to_owned(),
    }
}

/// What is wrong with a key's value; what is wrong with a key in it names that itself.
fn about(key: &Spanned<String>, message: &str) -> String {
    let message = in_our_words(message);
    if message.starts_with("unknown") { message } else { format!("'{}': {message}", key.get_ref()) }
}

/// serde's words, with the quotes that all our messages have, and with a proposal.
fn in_our_words(message: &str) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let ours = [
        ("`", "'"),
        ("unknown field", "unknown key"),
        ("unknown variant", "unknown name"),
        ("expected struct Args", "expected a table"),
        ("expected a sequence", "expected a list"),
    ];
    let message =
        ours.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours));
    match words[..] {
        [wrong, ref known @ ..] if message.starts_with("unknown") => {
            message + &did_you_mean(wrong, known.iter().copied())
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> (Config, Vec<String>) {
        let mut problems = Problems::new(Path::new("c"), text);
        let config = config(text, &mut problems);
        (config, problems.errors().iter().map(|line| line.replace("read configuration 'c': ", "")).collect())
    }

    #[test]
    fn every_channel_is_a_key_and_has_a_table_of_its_own() {
        for channel in channels() {
            let (_, errors) = read(&format!("[targets.x]\n{channel} = 5"));
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains("invalid type: integer"), "{channel}: {errors:?}");
        }
        let (_, errors) = read("[targets.x]\npigeon = {}");
        assert!(errors[0].starts_with("line 2, column 1: unknown key 'pigeon', expected one of 'slack'"));
    }

    #[test]
    fn what_is_written_is_read() {
        let (config, errors) = read(
            r#"
dead_letter = "dead"
default = ["b"]
[policy]
group_by = ["host", "event"]
mute = ["web:*"]
[targets.b]
log = {}
[targets.a]
slack = { url = { env = "URL" } }
policy = { resolve = "30s", rate = "none", timeout = "1s", mute_until = "2026-01-05T08:00:00Z", mute = ["x"] }
[[rules]]
event = ["fatal", "PROCESS_STATE_EXITED"]
severity = ["critical"]
process = ["web:*"]
group = ["w*"]
host = ["db?"]
targets = ["a", "b"]
continue = true
[[rules]]
event = ["EVENT"]
targets = []
"#,
        );
        assert!(errors.is_empty(), "{errors:?}");
        let names: Vec<_> = config.targets.iter().map(|target| target.name.get_ref().as_str()).collect();
        assert_eq!(names, ["b", "a"], "in the file's order");
        assert!(matches!(config.targets[1].channel, Some(ChannelArgs::Slack(_))));
        let [first, second] = &config.rules[..] else { panic!("there are two") };
        assert!(first.goes_on && !first.selector.is_for_all());
        assert_eq!((first.selector.events.len(), first.targets.len()), (2, 2));
        assert!(second.selector.is_for_all() && second.targets.is_empty());
        assert_eq!(config.default.unwrap()[0].get_ref(), "b");
    }

    #[test]
    fn each_mistake_is_found_with_its_place() {
        let (_, errors) = read(
            "defualt = []\ndead_letter = 1\n[policy]\nrate = '1'\ngroup_wiat = '1s'\nmute_until = '2026-01-05T08:00:00Z'\n\
             [targets.'a.b']\nlog = {}\n[targets.c]\nlog = {}\nfile = { path = 'x' }\n[targets.d]\n\
             [[rules]]\nevent = 'fatal'\ngroup = []\nseverity = ['bad']\n",
        );
        let expected = [
            "line 1, column 1: unknown key 'defualt', expected one of 'dead_letter', 'default', 'policy', 'rules', \
             'targets'; did you mean 'default'?",
            "line 2, column 15: 'dead_letter': invalid type: integer '1', expected path string",
            "line 3, column 1: 'mute_until' says until when, and 'mute' beside it has to say what",
            "line 4, column 8: 'rate': neither a rate such as 20/1m nor 'none'",
            "line 5, column 1: unknown key 'group_wiat', expected one of 'group_by', 'group_wait', 'group_interval', \
             'group_interval_max', 'repeat_interval', 'rate', 'resolve', 'mute', 'mute_until', 'quiet', 'timeout', \
             'retry_for'; did you mean 'group_wait'?",
            "line 7, column 10: 'a.b': a target's name consists of letters, digits, '-' and '_', and is a part of a \
             file's",
            "line 11, column 1: target 'c' has several channels: 'log', 'file'",
            "line 12, column 10: target 'd' has no channel, which is one of 'slack', 'email', 'webhook', 'exec', 'file', 'log'",
            "line 13, column 1: the rule has no 'targets'; [] drops what it fits",
            "line 14, column 9: 'event': invalid type: string \"fatal\", expected a list",
            "line 15, column 1: 'group' is empty, so nothing fits; leave it out",
            "line 16, column 13: unknown name 'bad', expected one of 'info', 'good', 'warning', 'error', 'critical'",
        ];
        assert_eq!(errors, expected);
        assert_eq!(
            read("a = [1\nb = 2").1,
            ["line 2, column 1: missing comma between array elements, expected ','"]
        );
    }

    #[test]
    fn a_secret_that_was_written_down_is_not_repeated() {
        for table in [
            "slack = { url = 's3cret' }",
            "slack = 's3cret'",
            "webhook = { url = 'https://h/', token = 's3cret' }",
        ] {
            let (_, errors) = read(&format!("[targets.x]\n{table}"));
            assert!(errors.len() == 1 && !errors[0].contains("s3cret"), "{errors:?}");
        }
    }
}

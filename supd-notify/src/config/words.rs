//! What a configuration would do, in words.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use supd_core::cli::span;

use crate::plan::Plan;
use crate::policy::{Key, Policy, Repeat};
use crate::rules::Selector;

/// A line for each target, and one for each rule.
pub(super) fn of_plan(plan: &Plan) -> String {
    let mut words = String::new();
    let mut line = |text: String| writeln!(words, "{text}").expect("a String always takes it");
    for target in &plan.targets {
        line(format!("target {} ({}): {}", target.name, target.channel.name(), of_policy(&target.policy)));
    }
    let names = |targets: &[usize]| match targets {
        [] => "nobody".to_owned(),
        targets => list(targets.iter().map(|target| &plan.targets[*target].name)),
    };
    for (rule, number) in plan.rules.rules.iter().zip(1..) {
        let (what, who) = (of_selector(&rule.selector), names(&rule.targets));
        let and_on = if rule.goes_on { "; then the next rule" } else { "" };
        line(format!("rule {number}: {what} → {who}{and_on}"));
    }
    match &plan.rules.rules[..] {
        [] => line(format!("everything → {}", names(&plan.rules.default))),
        rules if rules.iter().any(|rule| rule.selector.is_for_all()) => {}
        _ => line(format!("what no rule fits → {}", names(&plan.rules.default))),
    }
    if let Some(path) = &plan.dead_letter {
        line(format!("what cannot be delivered → {}", path.display()));
    }
    words
}

fn of_selector(selector: &Selector) -> String {
    if selector.is_for_all() {
        return "everything".to_owned();
    }
    let severities = selector.severities.iter().map(|severity| severity.name());
    let parts = [
        ("event", list(&selector.events)),
        ("severity", list(severities)),
        ("process", list(&selector.processes)),
        ("group", list(&selector.groups)),
        ("host", list(&selector.hosts)),
    ];
    let parts = parts.into_iter().filter(|(_, words)| !words.is_empty());
    parts.map(|(what, words)| format!("{what} {words}")).collect::<Vec<_>>().join(" and ")
}

fn of_policy(policy: &Policy) -> String {
    let mut parts = Vec::new();
    if policy.group_interval.is_zero() && policy.group_wait.is_zero() {
        parts.push("each record by itself".to_owned());
    } else {
        let wait = match policy.group_wait {
            Duration::ZERO => "at once".to_owned(),
            wait => format!("after {}", span(wait)),
        };
        parts.push(format!("a message for {} {wait}", of_keys(&policy.group_by)));
        let (next, longest) = (span(policy.group_interval), span(policy.group_interval_max));
        parts.push(format!("the next after {next}, later up to {longest}"));
    }
    parts.extend(policy.rate.map(|(messages, time)| format!("at most {messages} in {}", span(time))));
    parts.extend(match policy.repeat {
        Repeat::Never => None,
        Repeat::Every(time) => Some(format!("a reminder every {}", span(time))),
        Repeat::WhereRecoveriesAreTold(time) => {
            Some(format!("a reminder every {}, where records tell of recoveries", span(time)))
        }
    });
    parts.extend(policy.resolve.map(|time| format!("a recovery after {}", span(time))));
    if !policy.mute.is_empty() {
        let until = policy.mute_until.map_or(String::new(), |until| format!(" until {until}"));
        parts.push(format!("nothing about {}{until}", list(&policy.mute)));
    }
    parts.extend(policy.quiet.map(|quiet| format!("quiet {quiet}")));
    parts.push(format!("an attempt takes up to {}", span(policy.timeout)));
    parts.push(format!("tried for {}", span(policy.retry_for)));
    parts.join(", ")
}

fn of_keys(keys: &[Key]) -> String {
    let names = keys.iter().map(|key| match key {
        Key::Host => "host",
        Key::Server => "server",
        Key::Group => "group",
        Key::Process => "process",
        Key::Event => "event",
        Key::Severity => "severity",
        Key::All => "all",
    });
    match keys {
        [] | [Key::All] => "all".to_owned(),
        _ => format!("each {}", list(names)),
    }
}

fn list(words: impl IntoIterator<Item = impl Display>) -> String {
    words.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Audience;
    use crate::policy::Options;

    #[test]
    fn a_policy_reads_as_a_list_of_what_it_does() {
        assert_eq!(
            of_policy(&Options::default().policy(Audience::People)),
            "a message for each host, process at once, the next after 30s, later up to 1h, at most 20 in 1m, a reminder \
             every 4h, where records tell of recoveries, an attempt takes up to 5s, tried for 24h"
        );
        assert_eq!(
            of_policy(&Options::default().policy(Audience::Programs)),
            "each record by itself, an attempt takes up to 5s, tried for 24h"
        );
    }
}

//! Which records are for which targets.

use supd_core::describe::{self, Severity};
use supd_core::pattern::{Glob, ProcessPattern};
use supd_core::{EventPattern, Record};

/// What a rule asks of a record. An empty list asks for nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) events: Vec<EventPattern>,
    pub(crate) severities: Vec<Severity>,
    pub(crate) processes: Vec<ProcessPattern>,
    pub(crate) groups: Vec<Glob>,
    pub(crate) hosts: Vec<Glob>,
}

impl Selector {
    /// Whether it asks for nothing.
    pub(crate) fn is_for_all(&self) -> bool {
        self.asks_only_where() && self.processes.is_empty() && self.groups.is_empty() && self.hosts.is_empty()
    }

    /// Whether it does not ask what happened.
    fn asks_only_where(&self) -> bool {
        self.events.is_empty() && self.severities.is_empty()
    }

    fn fits_what(&self, record: &Record) -> bool {
        any(&self.events, |event| event.covers(&record.eventname))
            && any(&self.severities, |severity| *severity == describe::severity(record))
    }

    fn fits_where(&self, record: &Record) -> bool {
        any(&self.processes, |process| process.matches(record))
            && any(&self.groups, |group| group.matches(record.payload.groupname.as_deref()))
            && any(&self.hosts, |host| host.matches(record.host.as_deref()))
    }
}

fn any<T>(alternatives: &[T], holds: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

/// Some records, and the targets that they are for, by their index.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) selector: Selector,
    pub(crate) targets: Vec<usize>,
    /// Whether the rules after it are asked too.
    pub(crate) goes_on: bool,
}

impl Rule {
    /// Whether no record comes to the rules after it.
    pub(crate) fn ends_all(&self) -> bool {
        self.selector.is_for_all() && !self.goes_on
    }
}

/// All rules, asked in their order: the first that fits is the last, unless it goes on.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    /// The targets of records that no rule fits.
    pub(crate) default: Vec<usize>,
}

impl Rules {
    /// So many targets, each of which gets every record.
    pub(crate) fn to_all(targets: usize) -> Self {
        Self { rules: Vec::new(), default: (0..targets).collect() }
    }

    /// The targets that a record is for; one may be named several times.
    ///
    /// The end of a problem is for whoever may have been told of the problem. What that was it does not say, so a rule
    /// that asks what happened may have fitted, or not.
    pub(crate) fn targets_of(&self, record: &Record) -> Vec<usize> {
        let is_end = record.extra.contains_key("resolves");
        let mut targets = Vec::new();
        let mut is_settled = false;
        for Rule { selector, targets: more, goes_on } in &self.rules {
            if !selector.fits_where(record) || !(is_end || selector.fits_what(record)) {
                continue;
            }
            targets.extend(more);
            if is_end && !selector.asks_only_where() {
                continue;
            }
            is_settled = true;
            if !goes_on {
                break;
            }
        }
        if !is_settled {
            targets.extend(&self.default);
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = r#""host":"db1","processname":"web_00","groupname":"web""#;

    fn targets_of(rules: &Rules, event: &str, more: &str) -> Vec<usize> {
        let line = format!(r#"{{"eventname":"{event}"{}{more}}}"#, if more.is_empty() { "" } else { "," });
        rules.targets_of(&Record::from_line(line.as_bytes()).unwrap())
    }

    fn rule(event: &str, process: &str, targets: &[usize]) -> Rule {
        let list = |text: &str| Vec::from_iter((!text.is_empty()).then(|| text.to_owned()));
        let selector = Selector {
            events: list(event).iter().map(|event| EventPattern::parse(event).unwrap()).collect(),
            processes: list(process).into_iter().map(ProcessPattern::from).collect(),
            ..Selector::default()
        };
        Rule { selector, targets: targets.to_vec(), goes_on: false }
    }

    fn going_on(rule: Rule) -> Rule {
        Rule { goes_on: true, ..rule }
    }

    #[test]
    fn the_first_rule_that_fits_is_the_last_unless_it_goes_on() {
        let rules = Rules {
            rules: vec![
                going_on(rule("fatal", "", &[0])),
                rule("process_state", "web:*", &[1]),
                rule("fatal", "", &[2]),
            ],
            default: vec![3],
        };
        assert_eq!(targets_of(&rules, "PROCESS_STATE_FATAL", WEB), [0, 1]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_FATAL", r#""processname":"a","groupname":"a""#), [0, 2]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_EXITED", WEB), [1]);
        assert_eq!(targets_of(&rules, "TICK_5", ""), [3]);
    }

    #[test]
    fn a_rule_asks_for_one_of_each_list_and_a_name_that_is_not_there_fits_no_glob() {
        let selector = Selector {
            severities: vec![Severity::Critical, Severity::Error],
            groups: vec!["w*".to_owned().into()],
            hosts: vec!["web*".to_owned().into(), "db?".to_owned().into()],
            ..Selector::default()
        };
        let rules =
            Rules { rules: vec![Rule { selector, targets: vec![0], goes_on: false }], default: vec![] };
        assert_eq!(targets_of(&rules, "PROCESS_STATE_FATAL", WEB), [0]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_BACKOFF", WEB), [0; 0]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_FATAL", r#""host":"db10","groupname":"web""#), [0; 0]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_FATAL", r#""groupname":"web""#), [0; 0]);
    }

    #[test]
    fn the_end_of_a_problem_is_for_all_who_may_have_been_told_of_the_problem() {
        let end = format!(r#"{WEB},"resolves":1"#);
        let mut rules = Rules {
            rules: vec![
                rule("fatal", "", &[0]),
                rule("", "api:*", &[1]),
                rule("backoff", "web:*", &[2]),
                rule("", "web:*", &[3]),
                rule("exited", "", &[4]),
            ],
            default: vec![5],
        };
        // What comes to the fourth rule goes no further; neither does the problem.
        assert_eq!(targets_of(&rules, "PROCESS_STATE_RUNNING", &end), [0, 2, 3]);
        rules.rules.remove(3);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_RUNNING", &end), [0, 2, 4, 5]);
        assert_eq!(targets_of(&rules, "PROCESS_STATE_RUNNING", WEB), [5]);
    }

    #[test]
    fn without_rules_everything_is_for_everyone() {
        assert_eq!(targets_of(&Rules::to_all(2), "TICK_5", ""), [0, 1]);
    }
}

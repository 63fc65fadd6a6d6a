//! The configuration: a TOML file of targets, each a channel with its policy, and of rules that say which of them gets
//! what. All that is wrong with it is found before a record is read.

mod check;
mod problems;
mod read;
mod words;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use supd_core::spool::ConsumerName;
use toml::Spanned;

pub(crate) use self::check::check;
pub(crate) use self::problems::Problems;
use self::problems::{did_you_mean, list};
use crate::args::{Args, ChannelArgs};
use crate::plan::{Outline, Plan};
use crate::policy::Options;
use crate::rules::{Rule, Rules, Selector};
use crate::wording;

/// A configuration as it was read.
#[derive(Debug, Default)]
struct Config {
    dead_letter: Option<Spanned<PathBuf>>,
    /// For all targets.
    policy: Options,
    targets: Vec<TargetTable>,
    rules: Vec<RuleTable>,
    /// The targets of what no rule fits; `None` when it does not say.
    default: Option<Vec<Spanned<String>>>,
}

#[derive(Debug)]
struct TargetTable {
    name: Spanned<String>,
    /// `None` when there is something wrong with it, which has been said.
    channel: Option<ChannelArgs>,
    /// Over the one for all.
    policy: Options,
    message: wording::Options,
}

#[derive(Debug)]
struct RuleTable {
    selector: Selector,
    targets: Vec<Spanned<String>>,
    goes_on: bool,
    place: Range<usize>,
}

/// What a configuration asks for, with a line for each thing that is odd about it.
///
/// # Errors
/// What is wrong with it, all of it.
pub(crate) fn plan(path: &Path, args: &Args) -> Result<(Plan, Vec<String>), Problems> {
    let read = fs::read_to_string(path);
    let mut problems = Problems::new(path, read.as_deref().unwrap_or_default());
    let text = match read {
        Ok(text) => text,
        Err(error) => {
            problems.error(None, error.to_string());
            return Err(problems);
        }
    };
    let config = read::config(&text, &mut problems);
    let plan = config.plan(args, &mut problems);
    if problems.has_errors() { Err(problems) } else { Ok((plan, problems.warnings())) }
}

impl Config {
    fn plan(self, args: &Args, problems: &mut Problems) -> Plan {
        let dead_letter = self.usable_dead_letter(args, problems);
        let rules = self.usable_rules(problems);
        if self.targets.is_empty() && !problems.has_errors() {
            problems.error(None, "there is no target; it takes a table such as [targets.ops]");
        }
        if !problems.has_errors() {
            self.look_for_oddities(&rules, problems);
        }
        let policy = self.policy;
        let outline = |target: TargetTable| target.outline(&policy, args, problems);
        Plan { targets: self.targets.into_iter().filter_map(outline).collect(), rules, dead_letter }
    }

    /// The command line's, else the configuration's.
    fn usable_dead_letter(&self, args: &Args, problems: &mut Problems) -> Option<PathBuf> {
        let (path, place) = match (&args.dead_letter, &self.dead_letter) {
            (Some(path), _) => (path, None),
            (None, Some(path)) => (path.get_ref(), Some(path.span())),
            (None, None) => return None,
        };
        if let Err(error) = look_at_file(path) {
            problems.error(place, format!("open dead letter file '{}': {error}", path.display()));
        }
        Some(path.clone())
    }

    fn usable_rules(&self, problems: &mut Problems) -> Rules {
        let mut indices = |names: &[Spanned<String>]| -> Vec<usize> {
            names.iter().filter_map(|name| self.index_of(name, problems)).collect()
        };
        let default = self.default.as_deref().map(&mut indices);
        let rule = |RuleTable { selector, targets, goes_on, .. }: &RuleTable| Rule {
            selector: selector.clone(),
            targets: indices(targets),
            goes_on: *goes_on,
        };
        let rules: Vec<Rule> = self.rules.iter().map(rule).collect();
        let Some(default) = default else {
            if !rules.is_empty() && !rules.iter().any(|rule| rule.selector.is_for_all()) {
                let cure = "name the targets of records that no rule fits, or [] to drop them";
                problems.error(None, format!("there are rules, and no 'default': {cure}"));
            }
            let all = if rules.is_empty() { self.targets.len() } else { 0 };
            return Rules { rules, ..Rules::to_all(all) };
        };
        Rules { rules, default }
    }

    fn index_of(&self, name: &Spanned<String>, problems: &mut Problems) -> Option<usize> {
        let known = || self.targets.iter().map(|target| target.name.get_ref().as_str());
        let index = known().position(|known| known == name.get_ref());
        if index.is_none() {
            let (wrong, all) = (name.get_ref(), list(known()));
            let alike = did_you_mean(wrong, known());
            problems.error(name.span(), format!("there is no target '{wrong}', only {all}{alike}"));
        }
        index
    }

    fn look_for_oddities(&self, rules: &Rules, problems: &mut Problems) {
        let last = rules.rules.iter().position(Rule::ends_all).unwrap_or(rules.rules.len());
        for rule in self.rules.iter().skip(last + 1) {
            problems.warn(rule.place.clone(), "no record comes to this rule: one before it takes all");
        }
        let asked = &rules.rules[..rules.rules.len().min(last + 1)];
        let is_default_used = !asked.iter().any(|rule| rule.selector.is_for_all());
        let mut reached: Vec<usize> = asked.iter().flat_map(|rule| rule.targets.iter().copied()).collect();
        if is_default_used {
            reached.extend(&rules.default);
        }
        for (index, target) in self.targets.iter().enumerate() {
            if !reached.contains(&index) {
                let name = target.name.get_ref();
                problems.warn(target.name.span(), format!("no record comes to target '{name}'"));
            }
        }
    }
}

impl TargetTable {
    /// Finds its secrets; the command line's policy is over its own, and that over the one for all.
    fn outline(self, for_all: &Options, args: &Args, problems: &mut Problems) -> Option<Outline> {
        let name = self.name.get_ref();
        let channel = self.channel?;
        if let Some(oddity) = channel.oddity().filter(|_| !args.dry_run) {
            problems.warn(self.name.span(), format!("target '{name}': {oddity}"));
        }
        let channel = channel.build(args.dry_run, &args.wording.clone().or(&self.message));
        let channel = channel.map_err(|error| {
            problems.error(self.name.span(), format!("target '{name}': {error:#}"));
        });
        let channel = channel.ok()?;
        // A name that cannot be one has been said.
        let consumer = ConsumerName::parse(&format!("{}.{name}", args.consumer.as_str())).ok()?;
        let policy = args.policy.clone().or(&self.policy).or(for_all).policy(channel.audience());
        Some(Outline { name: name.clone(), channel, policy, consumer })
    }
}

/// Whether lines can be appended to a file that may have to be made. Looking changes nothing: who checks may be another
/// user than the one who delivers.
fn look_at_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(rustix::fs::access(path, Access::WRITE_OK)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            Ok(rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// What a configuration plans, with its warnings; or its errors.
    fn plan_of(text: &str, words: &[&str]) -> Result<(Plan, Vec<String>), Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        fs::write(&path, text).unwrap();
        let args = Args::parse_from(["supd-notify"].iter().chain(words));
        let short = |lines: Vec<String>| -> Vec<String> {
            let name = format!("read configuration '{}': ", path.display());
            lines.iter().map(|line| line.replace(&name, "")).collect()
        };
        plan(&path, &args)
            .map(|(plan, warnings)| (plan, short(warnings)))
            .map_err(|problems| short(problems.errors()))
    }

    fn errors(text: &str) -> Vec<String> {
        plan_of(text, &[]).err().unwrap()
    }

    const TWO: &str = "[targets.a]\nlog = {}\n[targets.b]\nlog = {}\n";

    #[test]
    fn the_command_line_is_over_the_target_and_that_over_all() {
        let text = "dead_letter = 'file'\n[policy]\ntimeout = '1s'\nretry_for = '1s'\ngroup_wait = '1s'\n\
                    [targets.a]\nlog = {}\npolicy = { retry_for = '2s', group_wait = '2s' }\n";
        let (plan, _) =
            plan_of(text, &["--group-wait", "3s", "--dead-letter", "line", "--consumer", "me"]).unwrap();
        let target = &plan.targets[0];
        let seconds = [target.policy.timeout, target.policy.retry_for, target.policy.group_wait];
        assert_eq!(seconds.map(|time| time.as_secs()), [1, 2, 3]);
        assert_eq!(plan.dead_letter, Some("line".into()));
        assert_eq!((target.name.as_str(), target.consumer.as_str()), ("a", "me.a"));
    }

    #[test]
    fn without_rules_the_default_is_everyone_and_with_rules_it_is_asked_for() {
        let default = |text: &str| plan_of(text, &[]).unwrap().0.rules.default;
        assert_eq!(default(TWO), [0, 1]);
        assert_eq!(default(&format!("default = ['b']\n{TWO}")), [1]);
        assert_eq!(default(&format!("{TWO}[[rules]]\ntargets = ['a', 'b']")), [0; 0]);
        assert_eq!(
            errors(&format!("{TWO}[[rules]]\nevent = ['fatal']\ntargets = ['a']")),
            [
                "there are rules, and no 'default': name the targets of records that no rule fits, or [] to drop them"
            ]
        );
    }

    #[test]
    fn a_target_that_is_not_there_is_named_with_those_that_are() {
        let text = format!("default = ['aa']\n{TWO}[[rules]]\ntargets = ['pager']");
        assert_eq!(
            errors(&text),
            [
                "line 1, column 12: there is no target 'aa', only 'a', 'b'",
                "line 7, column 12: there is no target 'pager', only 'a', 'b'"
            ]
        );
        assert_eq!(errors(""), ["there is no target; it takes a table such as [targets.ops]"]);
    }

    #[test]
    fn secrets_and_the_dead_letter_file_have_to_be_there() {
        let text = "dead_letter = '/proc/nonexistent/dead'\n[targets.a]\nslack = { url = { env = 'SUPD_TEST_UNSET' } }\n\
                    [targets.b]\nslack = { url = { file = '/proc/nonexistent/url' } }\n";
        assert_eq!(
            errors(text),
            [
                "line 1, column 15: open dead letter file '/proc/nonexistent/dead': No such file or directory (os error 2)",
                "line 2, column 10: target 'a': read URL: the variable SUPD_TEST_UNSET is not set",
                "line 4, column 10: target 'b': read URL file '/proc/nonexistent/url': No such file or directory (os error 2)",
            ]
        );
        assert!(plan_of(text, &["--dry-run", "--dead-letter", "dead"]).is_ok());
        assert!(look_at_file(Path::new("/tmp")).is_err());
        assert!(look_at_file(Path::new("/dev/full")).is_ok());
    }

    #[test]
    fn a_program_that_is_not_there_is_odd() {
        let text = "[targets.pager]\nexec = { program = ['/bin/no-such-program'] }\n";
        assert_eq!(
            plan_of(text, &[]).unwrap().1,
            ["line 1, column 10: target 'pager': there is no program '/bin/no-such-program' that can be run"]
        );
        assert_eq!(plan_of(text, &["--dry-run"]).unwrap().1, [""; 0]);
    }

    #[test]
    fn what_no_record_comes_to_is_odd() {
        let rules = "[[rules]]\nevent = ['fatal']\ntargets = ['a']\n[[rules]]\ntargets = []\n[[rules]]\ntargets = ['b']";
        assert_eq!(
            plan_of(&format!("{TWO}{rules}"), &[]).unwrap().1,
            [
                "line 3, column 10: no record comes to target 'b'",
                "line 10, column 1: no record comes to this rule: one before it takes all"
            ]
        );
    }
}

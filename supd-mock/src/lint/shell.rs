//! What in a command only a shell would understand, which supervisord does not run.

use crate::config::words::{Quoting, Word};

use super::builtin::first_word;

/// Programs that run the word after `-c`, `-e` or the like, by a shell or by themselves: a `$` in it is theirs. Versions
/// left out.
const INTERPRETERS: [&str; 22] = [
    "Rscript", "ash", "bash", "busybox", "dash", "fish", "flock", "ksh", "lua", "mksh", "node", "nodejs",
    "perl", "php", "python", "rbash", "ruby", "runuser", "script", "sh", "su", "zsh",
];

/// What to say of it.
pub(super) struct Found {
    /// Where it stands in the command.
    pub(super) offset: usize,
    pub(super) problem: String,
    pub(super) cure: String,
    /// Not when the program may have a use for it as it is.
    pub(super) is_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A pipe, a redirection, or what joins commands.
    Operator,
    /// `` `command` `` or `$(command)`.
    Substitution,
    Variable,
    /// A variable within `"…"`, which is as often for somebody else to replace.
    QuotedVariable,
    Pattern,
    Home,
}

#[derive(Debug)]
struct Syntax {
    kind: Kind,
    text: String,
    offset: usize,
}

pub(super) fn check(words: &[Word], listener: bool) -> Vec<Found> {
    let syntax = syntax(words);
    let joins = ["&&", ";"];
    let operators = syntax.iter().filter(|syntax| syntax.kind == Kind::Operator);
    let (joined, others): (Vec<&Syntax>, Vec<&Syntax>) =
        operators.partition(|operator| joins.contains(&operator.text.as_str()));
    let first = words.first().and_then(first_word);
    match first {
        // Without what it joins, a `cd` is no reason for a shell.
        Some(first) if syntax.len() == joined.len() => vec![first],
        Some(_) if !others.is_empty() => found(&syntax, listener).into_iter().collect(),
        first => first.into_iter().chain(found(&syntax, listener)).collect(),
    }
}

fn found(syntax: &[Syntax], listener: bool) -> Option<Found> {
    let soft = |syntax: &Syntax| matches!(syntax.kind, Kind::QuotedVariable | Kind::Pattern);
    let is_error = !syntax.iter().all(soft);
    let list = list(syntax)?;
    let problem = if is_error {
        format!("command: supervisord runs no shell, which {list} would need")
    } else {
        format!(
            "command: supervisord runs no shell, which would replace {list}: the program gets it as it is"
        )
    };
    let all = |kinds: &[Kind]| syntax.iter().all(|syntax| kinds.contains(&syntax.kind));
    let cure = if !is_error {
        "sh -c '…'; or single quotes, if the program is to have it so"
    } else if syntax.iter().all(|syntax| syntax.text == "&") {
        "leave & out: supervisord runs each program in the background"
    } else if all(&[Kind::Variable, Kind::QuotedVariable]) {
        "%(ENV_NAME)s for $NAME, or sh -c '…'"
    } else if all(&[Kind::Home]) {
        "%(ENV_HOME)s for ~, or sh -c '…'"
    } else if listener {
        "supd-listen -c '…', or sh -c '…'"
    } else {
        "sh -c '…'"
    };
    Some(Found { offset: syntax[0].offset, problem, cure: cure.to_owned(), is_error })
}

/// `'a', 'b' and 'c'`.
fn list(syntax: &[Syntax]) -> Option<String> {
    let mut quoted: Vec<String> = syntax.iter().map(|syntax| format!("'{}'", syntax.text)).collect();
    quoted.dedup();
    let (last, others) = quoted.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) })
}

/// What in these words a shell would act on.
fn syntax(words: &[Word]) -> Vec<Syntax> {
    let mut found = Vec::new();
    let mut interpreter = None;
    let mut script = false;
    for (at, word) in words.iter().enumerate() {
        let text = word.plain();
        let mut add = |kind, text: String| found.push(Syntax { kind, text, offset: word.offset });
        if let Some(operator) = operator(word) {
            add(Kind::Operator, operator);
        }
        // What an interpreter is given to run, it expands itself.
        if !script {
            if word.chars.iter().any(|(c, quoting)| *c == '`' && *quoting != Quoting::Literal) {
                add(Kind::Substitution, "`".to_owned());
            }
            if let Some((kind, variable)) = variable(word) {
                add(kind, variable);
            }
            let bare = word.bare();
            if at > 0 && (bare == "~" || bare.starts_with("~/")) {
                add(Kind::Home, text.clone());
            } else if is_pattern(&bare) {
                add(Kind::Pattern, text.clone());
            }
        }
        script = interpreter.is_some_and(|name| !script && is_run_option(&text, name));
        let name = text.rsplit('/').next().unwrap_or_default();
        // Whatever follows is for the shell on the other side.
        if name == "ssh" && (at == 0 || text == name) {
            break;
        }
        let unversioned = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = INTERPRETERS.into_iter().chain(["supd-listen"]).find(|known| *known == unversioned);
        interpreter = known.or(interpreter);
    }
    found
}

/// `-c` or `-e`, alone or behind other letters; in PHP it is `-r`.
fn is_run_option(word: &str, interpreter: &str) -> bool {
    if ["--command", "--eval", "--run", "--session-command"].contains(&word) {
        return true;
    }
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    letters.is_some_and(|letters| {
        letters.ends_with(['c', 'e', 'E']) || (interpreter == "php" && letters.ends_with('r'))
    })
}

/// Files by pattern. Elsewhere than in paths, and in options, a `*` is mostly meant.
fn is_pattern(bare: &str) -> bool {
    bare.contains('*')
        && (bare.contains('/') || bare.starts_with("*."))
        && !bare.starts_with('-')
        && !bare.contains("://")
        && !bare.contains('=')
}

/// A pipe, a redirection, or what joins commands, where it begins or ends a word: within a word it is mostly meant.
fn operator(word: &Word) -> Option<String> {
    let bare = word.bare();
    let unnumbered = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins = ["&&", "||", "|", ";", "&>", ">>", ">", "<<", "<"];
    let ends = ["&&", "||", "|", ";", "&"];
    let operator = begins
        .into_iter()
        .find(|operator| if operator.contains(['<', '>']) { unnumbered } else { &bare }.starts_with(operator))
        .or_else(|| ends.into_iter().find(|operator| bare.ends_with(operator)));
    operator.map(str::to_owned)
}

/// The first `$NAME`, `${NAME}` or `$(command)`.
fn variable(word: &Word) -> Option<(Kind, String)> {
    let text = word.plain();
    let begins = |(at, pair): (usize, &[(char, Quoting)])| {
        let [(dollar, quoting), (next, _)] = pair else { return None };
        let named = next.is_ascii_alphabetic() || "_{(".contains(*next);
        let kind = match quoting {
            _ if *next == '(' => Kind::Substitution,
            Quoting::Double => Kind::QuotedVariable,
            _ => Kind::Variable,
        };
        (*dollar == '$' && *quoting != Quoting::Literal && named).then_some((at, kind))
    };
    let (at, kind) = word.chars.windows(2).enumerate().find_map(begins)?;
    let rest: String = text.chars().skip(at).collect();
    let end = match rest.chars().nth(1) {
        Some('{') => rest.find('}').map_or(rest.len(), |end| end + 1),
        Some('(') => rest.len(),
        _ => {
            rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |end| end + 1)
        }
    };
    Some((kind, rest[..end].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::words::marked;

    fn found_in(command: &str) -> Vec<Found> {
        check(&marked(command).unwrap(), false)
    }

    #[test]
    fn what_only_a_shell_understands_is_seen() {
        for (command, found) in [
            ("a | b", "'|'"),
            ("a|  b", "'|'"),
            ("cp /x && b || c", "'&&' and '||'"),
            ("a; b", "';'"),
            ("a 2>&1 >>log <in", "'>', '>>' and '<'"),
            ("a &", "'&'"),
            ("a b&", "'&'"),
            ("a \"$HOME/x\" ${B}c $(d)", "'$HOME', '${B}' and '$(d)'"),
            ("sh -c 'a' | b", "'|'"),
            ("sh script $X", "'$X'"),
            ("gunicorn -c $CONF", "'$CONF'"),
            ("supd-listen -- a | b", "'|'"),
            ("a `b` | c", "'`' and '|'"),
            ("a ~/b", "'~/b'"),
            ("perl -r $x", "'$x'"),
        ] {
            let said = found_in(command).pop().expect(command);
            assert!(
                said.is_error && said.problem.contains(&format!("which {found} would")),
                "{}",
                said.problem
            );
        }
    }

    #[test]
    fn what_is_quoted_or_run_by_an_interpreter_is_not() {
        for command in [
            "sh -c 'a | b && $C; `d`'",
            "env A=b /bin/bash -euc \"echo $HOME > x\"",
            "supd-listen -c 'supd-parse --problems | supd-notify slack'",
            "find . -exec a {} \\;",
            "a '|' \"&&\" '$B' \\$C \"\\$D\" $1 $",
            "curl http://x/?a=1&b=2;c=3",
            "curl http://x/* --include=*.py x=/*/y '/a/*'",
            "perl -ne \"print $x\"",
            "pip install a>=1",
            "ssh host \"echo $HOME\" | cat",
            "php -r \"echo $argc;\"",
            "php8.2 -r \"echo $argc;\"",
            "python3.11 -c \"print('$HOME')\"",
            "su www --command \"echo $HOME\"",
            "docker run --rm x sh -c \"echo $HOME\"",
        ] {
            let found = found_in(command).pop().map(|found| found.problem);
            assert_eq!(found, None, "{command}");
        }
    }

    #[test]
    fn what_a_program_may_want_as_it_is_only_warns() {
        for (command, replaced) in [
            ("watch \"echo $HOME\"", "'$HOME'"),
            ("rm -f /tmp/*.pid", "'/tmp/*.pid'"),
            ("tail *.log", "'*.log'"),
        ] {
            let said = found_in(command).pop().expect(command);
            let problem = format!("would replace {replaced}: the program gets it as it is");
            assert!(!said.is_error && said.problem.ends_with(&problem), "{}", said.problem);
        }
    }

    #[test]
    fn a_cure_is_what_supervisord_has_instead() {
        for (command, cures) in [
            ("cd /srv/app", vec!["directory=…, and the command without cd"]),
            ("cd /srv/app && ./app", vec!["directory=…, and the command without cd"]),
            ("cd /srv/app && ./app | tee log", vec!["sh -c '…'"]),
            ("source env.sh", vec!["sh -c '…'"]),
            ("(a; b)", vec!["sh -c '…'"]),
            ("PATH=/x python3 app.py", vec!["environment=PATH=\"…\", or env in front"]),
            ("~/bin/x", vec!["the whole path, or %(ENV_HOME)s for ~"]),
            ("~app/bin/x", vec!["the whole path"]),
            ("exec a $B", vec!["leave exec out", "%(ENV_NAME)s for $NAME, or sh -c '…'"]),
            ("a ~/b", vec!["%(ENV_HOME)s for ~, or sh -c '…'"]),
            ("a&", vec!["leave & out: supervisord runs each program in the background"]),
            ("a $B", vec!["%(ENV_NAME)s for $NAME, or sh -c '…'"]),
            ("a $B | c", vec!["sh -c '…'"]),
        ] {
            let found: Vec<String> = found_in(command).into_iter().map(|found| found.cure).collect();
            assert_eq!(found, cures, "{command}");
        }
    }
}

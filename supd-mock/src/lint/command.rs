//! Commands that look like a shell's, are cut off, or cannot be found.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::words::{Quoting, marked};
use crate::config::{ProcessConfig, Reading, Section, Value};

use super::finding::Finding;

/// Programs that run the word after `-c` or `-e`, by a shell or by themselves: a `$` in it is theirs.
const INTERPRETERS: [&str; 20] = [
    "ash",
    "bash",
    "busybox",
    "dash",
    "fish",
    "flock",
    "ksh",
    "mksh",
    "node",
    "perl",
    "python",
    "python3",
    "rbash",
    "ruby",
    "runuser",
    "script",
    "sh",
    "su",
    "supd-listen",
    "zsh",
];

/// A word of a command, each character with its quoting.
type Word = [(char, Quoting)];

pub(super) fn check(reading: &Reading, path: Option<&str>, findings: &mut Vec<Finding>) {
    let programs = reading.config.programs.iter().flat_map(|group| &group.processes);
    let listeners = reading.config.pools.iter().flat_map(|pool| &pool.processes);
    for process in programs.chain(listeners) {
        let Some(section) = reading.ini.section(&process.section) else { continue };
        let Some(command) = reading.ini.value(section, "command") else { continue };
        if reading.is_faulty(&section.name, "command") {
            continue;
        }
        let error = |problem: String, cure: &str| Finding::error(command.at.clone(), section, problem, cure);
        let comment = comment(command);
        let words = match marked(&process.command) {
            Ok(words) => words,
            Err(problem) => {
                let because =
                    comment.map(|comment| format!(" (supervisord takes '{comment}' for a comment)"));
                let problem =
                    format!("command: {problem}{}, so it cannot be started", because.unwrap_or_default());
                let cure = if comment.is_some() { "no blank before ; and #" } else { "close the quote" };
                findings.push(error(problem, cure));
                continue;
            }
        };
        if let Some(comment) = comment {
            findings.push(cut(section, command, comment));
        }
        let Some(program) = words.first().map(|word| plain(word)) else {
            findings.push(error("command: nothing to start".to_owned(), "name a program"));
            continue;
        };
        if let Some((found, variables_only)) = shell_syntax(&words) {
            let problem = format!("command: supervisord runs no shell, which {found} would need");
            let cure = match section.name_after("eventlistener") {
                _ if variables_only => "%(ENV_NAME)s for $NAME, or sh -c '…'",
                Some(_) => "supd-listen -c '…', or sh -c '…'",
                None => "sh -c '…'",
            };
            findings.push(error(problem, cure));
        }
        let own = reading.config.directory.as_deref();
        findings.extend(missing(process, &program, path, own).map(|(problem, cure)| error(problem, cure)));
    }
}

/// A comment that may have been meant as part of the command: comments that are meant stand apart.
fn comment(command: &Value) -> Option<&str> {
    let near = |before: &str| {
        let text = before.trim_end();
        !text.is_empty() && before.len() == text.len() + 1 && before.ends_with(' ')
    };
    command.comments.iter().find(|comment| near(&comment.before)).map(|comment| comment.text.as_str())
}

fn cut(section: &Section, command: &Value, comment: &str) -> Finding {
    let problem = format!("command: supervisord takes '{comment}' for a comment, and cuts it off");
    let cure = "no blank before ; and # that belong to the command, two before a comment";
    Finding::warning(command.at.clone(), section, problem, cure)
}

fn plain(word: &Word) -> String {
    word.iter().map(|(c, _)| c).collect()
}

/// What in these words a shell would act on, and whether it is variables only.
fn shell_syntax(words: &[Vec<(char, Quoting)>]) -> Option<(String, bool)> {
    let mut found: Vec<String> = Vec::new();
    let mut variables_only = true;
    let mut interpreter = false;
    let mut script = false;
    for word in words {
        let text = plain(word);
        if let Some(operator) = operator(word) {
            variables_only = false;
            found.push(operator);
        }
        // What an interpreter is given to run, it expands itself.
        if !script {
            if word.iter().any(|(c, quoting)| *c == '`' && *quoting != Quoting::Literal) {
                variables_only = false;
                found.push("`".to_owned());
            }
            if let Some(variable) = variable(word) {
                variables_only &= !variable.starts_with("$(");
                found.push(variable);
            }
        }
        script = interpreter && !script && is_run_option(&text);
        interpreter |= INTERPRETERS.contains(&text.rsplit('/').next().unwrap_or_default());
    }
    found.dedup();
    let quoted: Vec<String> = found.iter().map(|found| format!("'{found}'")).collect();
    let (last, others) = quoted.split_last()?;
    let list = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
    Some((list, variables_only))
}

/// `-c` or `-e`, alone or behind other letters.
fn is_run_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.ends_with(['c', 'e']))
}

/// A pipe, a redirection, or what joins commands, where it begins or ends a word: within a word it is mostly meant.
fn operator(word: &Word) -> Option<String> {
    let bare: String =
        word.iter().map(|(c, quoting)| if *quoting == Quoting::Bare { *c } else { '\0' }).collect();
    let unnumbered = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins = ["&&", "||", "|", ";", "&>", ">>", ">", "<<", "<"];
    let ends = ["&&", "||", "|", ";"];
    let operator = begins
        .into_iter()
        .find(|operator| if operator.contains(['<', '>']) { unnumbered } else { &bare }.starts_with(operator))
        .or_else(|| ends.into_iter().find(|operator| bare.ends_with(operator)))
        .or((bare == "&").then_some("&"));
    operator.map(str::to_owned)
}

/// The first `$NAME`, `${NAME}` or `$(command)`.
fn variable(word: &Word) -> Option<String> {
    let text = plain(word);
    let begins = |(at, pair): (usize, &[(char, Quoting)])| {
        let [(dollar, quoting), (next, _)] = pair else { return None };
        let named = next.is_ascii_alphabetic() || "_{(".contains(*next);
        (*dollar == '$' && *quoting != Quoting::Literal && named).then_some(at)
    };
    let at = word.windows(2).enumerate().find_map(begins)?;
    let rest: String = text.chars().skip(at).collect();
    let end = match rest.chars().nth(1) {
        Some('{') => rest.find('}').map_or(rest.len(), |end| end + 1),
        Some('(') => rest.len(),
        _ => {
            rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |end| end + 1)
        }
    };
    Some(rest[..end].to_owned())
}

/// Why supervisord would not find the program, or not run it; from get_execv_args in supervisor's process.py.
fn missing(
    process: &ProcessConfig,
    program: &str,
    path: Option<&str>,
    own: Option<&Path>,
) -> Option<(String, &'static str)> {
    if !program.contains('/') {
        let search = process.search_path(path);
        let found =
            search.iter().map(|directory| Path::new(directory).join(program)).find(|file| file.exists());
        return match found {
            Some(file) => unusable(&file),
            None => {
                let problem = format!(
                    "command: '{program}' is in none of {}, so it cannot be started",
                    search.join(":")
                );
                Some((
                    problem,
                    "install it, write its whole path, or start supervisord with its directory in PATH",
                ))
            }
        };
    }
    // Looked for where supervisord works, before the process changes to its directory; and run from there.
    let own = own.unwrap_or(Path::new("")).to_owned();
    let file = own.join(program);
    let Some(directory) = process.directory.as_ref().filter(|_| !program.starts_with('/')) else {
        return unusable(&file);
    };
    let from_directory = own.join(directory).join(program);
    if exists(&file) && exists(&from_directory) {
        return unusable(&from_directory);
    }
    let problem = format!(
        "command: '{program}' is looked for where supervisord works before it is run from directory={}, and has to be in both",
        directory.display()
    );
    Some((problem, "write the program's whole path"))
}

/// What we may not see, supervisord may: it is there unless we know better.
fn exists(file: &Path) -> bool {
    !fs::metadata(file).is_err_and(|error| error.kind() != io::ErrorKind::PermissionDenied)
}

fn unusable(file: &PathBuf) -> Option<(String, &'static str)> {
    let name = file.display();
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(_) => {
            Some((format!("command: there is no '{name}', so it cannot be started"), "correct the path"))
        }
        Ok(found) if found.is_dir() => Some((
            format!("command: '{name}' is a directory, so it cannot be started"),
            "name a program in it",
        )),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some((format!("command: '{name}' is not executable, so it cannot be started"), "chmod +x"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Comment;

    fn syntax(command: &str) -> Option<(String, bool)> {
        shell_syntax(&marked(command).unwrap())
    }

    #[test]
    fn what_only_a_shell_understands_is_seen() {
        for (command, found) in [
            ("a | b", "'|'"),
            ("a|  b", "'|'"),
            ("cd /x && b || c", "'&&' and '||'"),
            ("a; b", "';'"),
            ("a 2>&1 >>log <in", "'>', '>>' and '<'"),
            ("a &", "'&'"),
            ("a \"$HOME/x\" ${B}c $(d)", "'$HOME', '${B}' and '$(d)'"),
            ("sh -c 'a' | b", "'|'"),
            ("sh script $X", "'$X'"),
            ("gunicorn -c $CONF", "'$CONF'"),
            ("supd-listen -- a | b", "'|'"),
            ("a `b` | c", "'`' and '|'"),
        ] {
            assert_eq!(syntax(command).map(|(found, _)| found).as_deref(), Some(found), "{command}");
        }
        assert!(syntax("a $B").unwrap().1 && !syntax("a $B | c").unwrap().1);
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
            "perl -ne \"print $x\"",
            "pip install a>=1",
        ] {
            assert_eq!(syntax(command), None, "{command}");
        }
    }

    #[test]
    fn a_comment_that_stands_apart_is_meant() {
        let seen = |before: &str| {
            let at = crate::config::Origin { file: Path::new("x").into(), line: 1 };
            let comments =
                vec![Comment { at: at.clone(), before: before.to_owned(), text: "; b".to_owned() }];
            comment(&Value { text: String::new(), at, comments }).is_some()
        };
        assert!(seen("command=a "));
        assert!(!seen("command=a  ") && !seen("command=a\t") && !seen(" "));
    }
}

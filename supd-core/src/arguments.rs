//! The command line as it was given: taken, or refused in a line that says what is wrong with it.

use std::ffi::OsString;
use std::io::{IsTerminal as _, stderr};

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error};

use crate::cli;

/// Takes the program's arguments. Does not return where help was asked for, or where they make no sense.
pub fn parse<T: clap::Parser>(name: &str) -> T {
    parse_from(name, std::env::args_os())
}

/// Takes these arguments, the program's name before them, as [`parse`] does.
pub fn parse_from<T: clap::Parser>(name: &str, words: impl IntoIterator<Item = OsString>) -> T {
    let words: Vec<OsString> = words.into_iter().collect();
    T::try_parse_from(&words).unwrap_or_else(|error| refuse(name, explain(error, &T::command(), &words)))
}

/// Ends the program with what is wrong with its arguments, or with the help that was asked for. On a terminal it takes
/// several lines; in supervisord's log one, with the program's name, like any other error.
pub fn refuse(name: &str, error: Error) -> ! {
    if !error.use_stderr() || stderr().is_terminal() {
        error.exit();
    }
    cli::say(name, &one_line(&error.render().to_string()));
    std::process::exit(cli::USAGE.into());
}

/// Adds the cure where a value stands apart from an option that takes it only with `=`; and does not repeat a URL, which
/// may be a secret, into a log.
fn explain(mut error: Error, command: &clap::Command, words: &[OsString]) -> Error {
    let wrong = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
    let found = wrong.into_iter().find_map(|kind| Some((kind, error.get(kind)?)));
    let Some((kind, ContextValue::String(value))) = found else { return error };
    if let Some((scheme, _)) = value.split_once("://") {
        let shown = format!("{scheme}://…");
        error.insert(kind, ContextValue::String(shown));
        return error;
    }
    let takes_equals = |word: &str| {
        let option = word.strip_prefix("--");
        command.get_arguments().any(|arg| arg.is_require_equals_set() && arg.get_long() == option)
    };
    let option = words.windows(2).find_map(|pair| {
        let option = pair[0].to_str().filter(|word| takes_equals(word))?;
        (pair[1] == value.as_str()).then_some(option)
    });
    if let Some(option) = option {
        let cure = StyledStr::from(format!("a value follows {option} after '=': {option}={value}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![cure]));
    }
    error
}

/// `error: …`, tips and usage, each a paragraph, as one line.
fn one_line(rendered: &str) -> String {
    let paragraphs = rendered.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let sentences =
        paragraphs.filter(|paragraph| !paragraph.starts_with("For more information")).map(|paragraph| {
            let between = if paragraph.starts_with("Usage: ") { " or " } else { " " };
            let lines: Vec<_> = paragraph.lines().map(str::trim).collect();
            let words = lines.join(between);
            let words = words.strip_prefix("error: ").or(words.strip_prefix("tip: ")).unwrap_or(&words);
            words.replacen("Usage: ", "usage: ", 1)
        });
    sentences.chain(["--help has more".into()]).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "supd-test", bin_name = "supd-test")]
    struct Args {
        #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true, default_missing_value = "10s")]
        resolve: Option<String>,
        #[arg(long)]
        mute: Option<String>,
    }

    fn refused(words: &str) -> String {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let error = Args::try_parse_from(&words).unwrap_err();
        one_line(&explain(error, &Args::command(), &words).render().to_string())
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        assert_eq!(
            refused("supd-test --reslove"),
            "unexpected argument '--reslove' found; a similar argument exists: '--resolve'; \
             usage: supd-test --resolve[=<SPAN>]; --help has more"
        );
        assert_eq!(
            refused("supd-test --mute"),
            "a value is required for '--mute <MUTE>' but none was supplied; --help has more"
        );
    }

    #[test]
    fn a_url_that_may_be_a_secret_is_not_repeated() {
        let refused = refused("supd-test https://hooks.example/s3cret");
        assert!(refused.starts_with("unexpected argument 'https://…' found; "), "{refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn a_value_without_its_equals_sign_is_told_of_it() {
        let refused = refused("supd-test --resolve 30s");
        assert!(refused.contains("a value follows --resolve after '=': --resolve=30s"), "{refused}");
    }
}

//! `--print-config`: the section of supervisord's configuration that runs supd-listen as it was called, to paste.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use supd_core::EventPattern;
use supd_core::LenMode;
use supd_core::cli::{self, Usage};
use supd_core::decoder::MAX_PAYLOAD;
use supd_core::spool::Sync;

use crate::args::{Args, DRAIN_TIMEOUT, Gaps, Output, SPOOL_KEEP, SPOOL_MAX};
use crate::wake::Way;

const DEFAULT_NAME: &str = "supd";
const SPOOLS: &str = "/var/spool/supd";

/// What a section needs beside the listener's own options.
#[derive(Debug, clap::Args)]
pub(crate) struct Wish {
    /// Print the section [eventlistener:NAME] that runs supd-listen with the options given, quoted as supervisord needs
    /// it, to paste into its configuration [default: supd]
    #[arg(
        long = "print-config",
        id = "print_config",
        value_name = "NAME",
        num_args = 0..=1,
        default_missing_value = DEFAULT_NAME,
        value_parser = section_name,
        conflicts_with = "protocol_fd",
        help_heading = "Configuration"
    )]
    name: Option<String>,

    /// Events to subscribe to, such as PROCESS_STATE, exited, tick_60 or EVENT for all
    #[arg(
        long,
        value_name = "EVENT",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = subscription,
        default_value = "PROCESS_STATE",
        requires = "print_config",
        help_heading = "Configuration"
    )]
    events: Vec<EventPattern>,
}

impl Wish {
    /// The section, where one is wished for.
    ///
    /// # Errors
    /// [`Usage`], when no section could say what the options say.
    pub(crate) fn section(&self, args: &Args) -> Result<Option<String>, Usage> {
        let Some(name) = &self.name else { return Ok(None) };
        let words = words(args)?;
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect::<Result<_, _>>()?;
        let spool = spool(args, name)?;
        let parent = Path::new(&spool).parent().unwrap_or(Path::new("/")).display();
        let mut section = String::new();
        // A String cannot fail.
        let _ = write!(
            section,
            "[eventlistener:{name}]\n\
             command={}\n\
             events={}\n\
             buffer_size=1024\n\
             autorestart=true\n\
             stdout_logfile=NONE\n\
             {}; No other listener should have the same priority: it would get the events that this one leaves unanswered, and\n\
             ; this one its. Below 999 it starts before programs of the usual priority, and stops after them.\n\
             priority={}\n\
             ; The spool is made by the listener, but {parent} has to be there, and writable for its user=. What supd-notify\n\
             ; needs goes here too: ,SUPD_SLACK_URL=\"https://…\"\n\
             environment=SUPD_SPOOL={}\n",
            words.join(" "),
            self.subscriptions(),
            // Newlines that only wake supervisord are not worth a file.
            if args.wake() == Some(Way::Stderr) { "stderr_logfile=NONE\n" } else { "" },
            priority(name),
            environment_value(&spool)?,
        );
        Ok(Some(section))
    }

    /// An event that two of them cover would be sent twice.
    fn subscriptions(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for (at, pattern) in self.events.iter().enumerate() {
            let name = pattern.to_string();
            let is_covered = |(other_at, other): (usize, &EventPattern)| {
                other.covers(&name) && (other != pattern || other_at < at)
            };
            if !self.events.iter().enumerate().any(is_covered) {
                names.push(name);
            }
        }
        names.join(",")
    }
}

/// Where the listener's spool is to be: as it was given, or a directory of the section's own.
fn spool(args: &Args, name: &str) -> Result<String, Usage> {
    args.spool.dir().map_or_else(|| Ok(format!("{SPOOLS}/{name}")), |directory| text(&absolute(directory)?))
}

/// Our own call again, without what only asks for the section.
fn words(args: &Args) -> Result<Vec<String>, Usage> {
    let mut words = vec![text(&program()?)?];
    let long = |name: &str, value: &str| format!("--{name}={value}");
    match args.len {
        LenMode::Auto => {}
        LenMode::Chars => words.push(long("len", "chars")),
        LenMode::Bytes => words.push(long("len", "bytes")),
    }
    if args.max_payload != MAX_PAYLOAD {
        words.push(long("max-payload", &args.max_payload.to_string()));
    }
    match args.gaps {
        Gaps::Auto => {}
        Gaps::On => words.push(long("gaps", "on")),
        Gaps::Off => words.push(long("gaps", "off")),
    }
    if args.spool.sync == Sync::None {
        words.push(long("spool-sync", "none"));
    }
    if cli::size(SPOOL_MAX) != Ok(args.spool.max) {
        words.push(long("spool-max", &args.spool.max.to_string()));
    }
    // Its Debug form is exact, and one that is read back.
    let span = |name: &str, given: Duration, usual: &str| {
        (cli::duration(usual) != Ok(given)).then(|| long(name, &format!("{given:?}")))
    };
    words.extend(span("spool-keep", args.spool.keep, SPOOL_KEEP));
    if args.spool.confirm_on_write {
        words.push("--confirm-on-write".to_owned());
    }
    words.extend(span("drain-timeout", args.drain_timeout, DRAIN_TIMEOUT));
    words.extend(args.wake_word().map(str::to_owned));
    words.extend(args.given_host().map(|host| long("host", host)));
    words.extend(args.verbosity.option().map(str::to_owned));
    match args.output() {
        // What begins like an option is only taken for a value behind '='.
        Output::Shell(script) if script.starts_with('-') => words.push(long("shell", script)),
        Output::Shell(script) => words.extend(["-c".to_owned(), script.to_owned()]),
        // supervisord has another directory.
        Output::File(path) => words.extend(["-o".to_owned(), text(&absolute(path)?)?]),
        Output::Program(program) => {
            words.push("--".to_owned());
            for word in program {
                words.push(text(word)?);
            }
        }
        Output::Stdout => {
            return Err(Usage(
                "print a section: say where records go, as in --print-config -c 'supd-parse --problems | supd-notify \
                 slack'"
                    .into(),
            ));
        }
    }
    Ok(words)
}

/// As we were called: by a name that is looked up in PATH, or by a path that is valid from any directory.
fn program() -> Result<OsString, Usage> {
    match std::env::args_os().next() {
        Some(path) if path.as_encoded_bytes().contains(&b'/') => absolute(Path::new(&path)),
        Some(name) => Ok(name),
        None => Ok(crate::NAME.into()),
    }
}

fn absolute(path: &Path) -> Result<OsString, Usage> {
    let absolute = std::path::absolute(path);
    absolute.map(Into::into).map_err(|error| Usage(format!("find '{}': {error}", path.display())))
}

/// supervisord reads its configuration as text.
fn text(word: &OsStr) -> Result<String, Usage> {
    word.to_str().map(str::to_owned).ok_or_else(|| {
        let shown = word.to_string_lossy();
        Usage(format!(
            "print '{shown}': supervisord's configuration is UTF-8, and this is not; give it another name"
        ))
    })
}

/// A word as it stands in a value of the configuration. What comes between has four habits:
/// - the file's reader takes `;` and `#` behind a blank for a comment, strips each line, goes on with a value in the
///   lines that are indented, and knows no other way to write a carriage return;
/// - before all else, `%(here)s` is replaced, however many `%` stand before it;
/// - then `%` begins an expansion unless it is doubled;
/// - and what is left is split as a shell does it, by Python's `shlex.split`.
///
/// So a quote that is closed and opened again, which means nothing to the last, separates what the others must not
/// see together.
fn quoted(word: &str) -> Result<String, Usage> {
    const APART: &str = "''";
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./=:,+@".contains(c)) {
        return Ok(word.to_owned());
    }
    let mut quoted = String::from("'");
    let mut rest = word.chars();
    while let Some(c) = rest.next() {
        let follows_blank = quoted.ends_with(is_space);
        match c {
            '\r' => {
                return Err(Usage(
                    "print the command: supervisord's configuration cannot hold the carriage return in it; put the \
                     script into a file, and name that"
                        .into(),
                ));
            }
            '\n' => {
                if follows_blank {
                    quoted.push_str(APART);
                }
                quoted.push_str("\n  ");
                // The next line keeps its own blanks, is not empty, and no comment.
                if rest.as_str().chars().next().is_none_or(|c| is_space(c) || ";#".contains(c)) {
                    quoted.push_str(APART);
                }
            }
            ';' | '#' if follows_blank => {
                quoted.push_str(APART);
                quoted.push(c);
            }
            '\'' => quoted.push_str(r"'\''"),
            '%' => {
                quoted.push_str("%%");
                if rest.as_str().starts_with("(here)s") {
                    quoted.push_str(APART);
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    Ok(quoted)
}

/// A value in `environment=`, where a quote cannot be written at all.
fn environment_value(value: &str) -> Result<String, Usage> {
    let after_blank = |(at, _): (usize, &str)| value[..at].ends_with(is_space);
    let is_comment = value.match_indices([';', '#']).any(after_blank);
    let is_stripped = value.starts_with('\'') || value.ends_with('\'');
    if value.contains(['"', '\n', '\r']) || is_stripped || is_comment || value.contains("%(here)s") {
        return Err(Usage(format!(
            "print SUPD_SPOOL '{value}': supervisord's environment= cannot hold such a name; choose another directory"
        )));
    }
    Ok(format!("\"{}\"", value.replace('%', "%%")))
}

/// White space as Python's `str.isspace` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// From 100 to 899, always the same for a name, and for two names hardly ever the same.
fn priority(name: &str) -> u32 {
    // FNV-1a, which needs no key and is the same everywhere.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    100 + hash % 800
}

/// A name that supervisord takes, and that can be a directory's.
fn section_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || "_-.@+".contains(c);
    match text {
        "" | "." | ".." => Err("not a name for a listener".into()),
        _ => match text.chars().find(|c| !fits(*c)) {
            Some(c) => Err(format!("{c:?} is not for a listener's name: letters, digits and _ - . @ + are")),
            None => Ok(text.to_owned()),
        },
    }
}

/// An event's name that supervisord knows, however a person wrote it.
fn subscription(text: &str) -> Result<EventPattern, String> {
    let pattern = EventPattern::parse(text)?;
    match EventPattern::exact(&pattern.to_string()) {
        Some(known) => Ok(known),
        None => Err(format!("supervisord has no {pattern}: supd-listen adds it by itself")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_plain_and_scripts_are_in_quotes() {
        for (word, expected) in [
            ("--host=db1.example.org:80", "--host=db1.example.org:80"),
            ("", "''"),
            ("supd-parse --problems | supd-notify slack", "'supd-parse --problems | supd-notify slack'"),
            ("it's", r"'it'\''s'"),
            (r#"a\b "c" $d"#, r#"'a\b "c" $d'"#),
        ] {
            assert_eq!(quoted(word).unwrap(), expected);
        }
    }

    #[test]
    fn what_supervisord_would_take_for_its_own_is_kept_apart() {
        for (word, expected) in [
            ("date +%s", "'date +%%s'"),
            ("%(here)s", "'%%''(here)s'"),
            ("a;b ;c\u{a0}#d", "'a;b '';c\u{a0}''#d'"),
            ("' ;", r"''\'' '';'"),
            ("a\nb", "'a\n  b'"),
            ("a \n\n ;b\n", "'a ''\n  ''\n  '' '';b\n  '''"),
        ] {
            assert_eq!(quoted(word).unwrap(), expected, "{word:?}");
        }
        quoted("a\rb").unwrap_err();
    }

    #[test]
    fn events_are_written_in_full_and_none_twice() {
        let subscriptions = |names: &[&str]| {
            let events = names.iter().map(|name| subscription(name).unwrap()).collect();
            Wish { name: None, events }.subscriptions()
        };
        assert_eq!(subscriptions(&["exited", "tick_60"]), "PROCESS_STATE_EXITED,TICK_60");
        assert_eq!(subscriptions(&["exited", "PROCESS_STATE", "process_state"]), "PROCESS_STATE");
        assert_eq!(subscriptions(&["tick", "EVENT"]), "EVENT");
        assert!(subscription("gap").is_err() && subscription("nothing").is_err());
    }

    #[test]
    fn a_spool_that_cannot_be_named_is_refused() {
        assert_eq!(environment_value("/a b/100%;").unwrap(), "\"/a b/100%%;\"");
        for wrong in ["/a\"b", "/a'", "/a ;b", "/%(here)s", "/a\nb"] {
            environment_value(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_priority_belongs_to_its_name() {
        assert_eq!(priority("alerts"), priority("alerts"));
        let names = ["supd", "alerts", "slack", "mail", "pager", "log", "crashes", "metrics"];
        let mut priorities: Vec<u32> = names.iter().map(|name| priority(name)).collect();
        assert!(priorities.iter().all(|priority| (100..900).contains(priority)));
        priorities.sort_unstable();
        priorities.dedup();
        assert_eq!(priorities.len(), names.len());
    }

    #[test]
    fn names_are_supervisords() {
        for name in ["alerts", "web_00", "käse", "a.b-c@d"] {
            section_name(name).unwrap();
        }
        for name in ["", "a b", "a:b", "a/b", "..", "a]", "a\n"] {
            section_name(name).expect_err(name);
        }
    }
}

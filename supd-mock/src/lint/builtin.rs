//! Commands that begin with what is no program: a shell's own command, an assignment, or a `~`.

use crate::config::words::Word;

use super::shell::Found;

/// A shell's own commands, with what supervisord has instead; most have nothing.
const BUILTINS: [(&str, &str); 22] = [
    (".", ""),
    ("[[", ""),
    ("alias", ""),
    ("case", ""),
    ("cd", "directory=…, and the command without cd"),
    ("eval", ""),
    ("exec", "leave exec out"),
    ("export", "environment=NAME=\"…\", and the command without export"),
    ("for", ""),
    ("if", ""),
    ("popd", ""),
    ("pushd", "directory=…, and the command without pushd"),
    ("set", ""),
    ("shopt", ""),
    ("source", ""),
    ("trap", ""),
    ("ulimit", ""),
    ("umask", "umask=…, and the command without umask"),
    ("unset", ""),
    ("until", ""),
    ("wait", ""),
    ("while", ""),
];

/// A finding for a first word that no program can have as its name.
pub(super) fn first_word(word: &Word) -> Option<Found> {
    let (bare, text) = (word.bare(), word.plain());
    let (problem, cure) = if bare.starts_with('~') {
        let home = bare.starts_with("~/");
        let cure = if home { "the whole path, or %(ENV_HOME)s for ~" } else { "the whole path" };
        (format!("command: '{text}' begins with ~, which only a shell replaces"), cure.to_owned())
    } else if let Some(name) = assigned(&bare) {
        let problem = format!("command: '{text}' is a shell's way to set a variable, not a program");
        (problem, format!("environment={name}=\"…\", or env in front"))
    } else {
        let own = BUILTINS.iter().find(|(name, _)| *name == bare).map(|(_, cure)| *cure);
        let cure = own.or(bare.starts_with(['(', '{']).then_some(""))?;
        let problem = format!("command: '{text}' is a shell's own, not a program");
        (problem, if cure.is_empty() { "sh -c '…'" } else { cure }.to_owned())
    };
    Some(Found { offset: word.offset, problem, cure, is_error: true })
}

/// The name in `NAME=value`.
fn assigned(bare: &str) -> Option<&str> {
    let (name, _) = bare.split_once('=')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty())
        .then_some(name)
}

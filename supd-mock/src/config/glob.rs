//! File names by pattern, as Python's `glob.glob` finds them: `*` does not find hidden files, `**` is no more than `*`.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Whether a pattern is more than one file's name.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The files that match, sorted. What cannot be read matches nothing.
pub(crate) fn matches(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = component.as_os_str().to_string_lossy();
        found = match component {
            Component::Normal(_) if is_pattern(&part) => {
                found.iter().flat_map(|directory| list(directory, &part)).collect()
            }
            _ => found.into_iter().map(|path| path.join(component)).collect(),
        };
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    found
}

fn list(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = Path::new(".");
    let pattern: Vec<char> = pattern.chars().collect();
    let entries = fs::read_dir(if directory.as_os_str().is_empty() { here } else { directory });
    let names = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
    let fits = |name: &str| {
        let name: Vec<char> = name.chars().collect();
        name.starts_with(&['.']) <= pattern.starts_with(&['.']) && fits(&pattern, &name)
    };
    names.filter(|name| name.to_str().is_some_and(fits)).map(|name| directory.join(name)).collect()
}

/// Python's `fnmatch`.
fn fits(pattern: &[char], name: &[char]) -> bool {
    match (pattern.first(), name.first()) {
        (None, first) => first.is_none(),
        (Some('*'), _) => (0..=name.len()).any(|skip| fits(&pattern[1..], &name[skip..])),
        (Some(_), None) => false,
        (Some('?'), _) => fits(&pattern[1..], &name[1..]),
        (Some('['), Some(c)) => match set(&pattern[1..]) {
            Some((set, rest)) => holds(set, *c) && fits(rest, &name[1..]),
            None => *c == '[' && fits(&pattern[1..], &name[1..]),
        },
        (Some(wanted), Some(c)) => wanted == c && fits(&pattern[1..], &name[1..]),
    }
}

/// What stands between the brackets, and what follows them. A bracket that comes first is a member.
fn set(pattern: &[char]) -> Option<(&[char], &[char])> {
    let first = usize::from(pattern.starts_with(&['!']));
    let first = first + usize::from(pattern.get(first) == Some(&']'));
    let end = first + pattern.get(first..)?.iter().position(|c| *c == ']')?;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn holds(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set {
        ['!', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let [first, rest @ ..] = set {
        (found, set) = match rest {
            ['-', last, rest @ ..] => (found || (*first..=*last).contains(&c), rest),
            _ => (found || *first == c, rest),
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    fn fits(pattern: &str, name: &str) -> bool {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        super::fits(&chars(pattern), &chars(name))
    }

    #[test]
    fn patterns_are_pythons() {
        assert!(fits("*.conf", "a.conf") && fits("a?[0-9].c*f", "ab7.conf") && fits("[!a]b", "cb"));
        assert!(fits("[]x]", "]") && fits("[", "[") && fits("a[-z]", "a-"));
        assert!(!fits("*.conf", "a.conf~") && !fits("[!a]b", "ab") && !fits("?", ""));
    }
}

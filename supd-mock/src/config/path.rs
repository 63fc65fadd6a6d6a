//! Paths as Python's os.path has them: names, whatever the file system says.

use std::path::{Component, Path, PathBuf};

use super::{Environment, users};

/// `os.path.abspath`.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    let absolute = std::path::absolute(if path.as_os_str().is_empty() { Path::new(".") } else { path });
    for component in absolute.as_deref().unwrap_or(path).components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::Normal(name) => normal.push(name),
            _ => {}
        }
    }
    normal
}

/// The directory that a file stands in, for `%(here)s`.
pub(crate) fn here(file: &Path) -> String {
    absolute(file.parent().unwrap_or(Path::new(""))).to_string_lossy().into_owned()
}

/// `os.path.expanduser`: `~` and `~user` at the beginning.
pub(crate) fn expanduser(path: &str, environment: &Environment) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (user, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let home = if user.is_empty() { environment.get("HOME").cloned() } else { users::home(user) };
    home.map_or_else(|| path.to_owned(), |home| home.trim_end_matches('/').to_owned() + rest)
}

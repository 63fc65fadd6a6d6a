//! The machine's users and groups, by name or number.

use std::fs;
use std::process::{Command, Stdio};

use super::datatypes::integer;

/// Whether there is such a user; supervisord refuses a `user=` that it cannot find.
///
/// # Errors
/// A message when there is none.
pub(crate) fn user(name: &str) -> Result<String, String> {
    known("passwd", name).then(|| name.to_owned()).ok_or_else(|| format!("there is no user '{name}'"))
}

/// `user` or `user:group`, both known here.
///
/// # Errors
/// A message that names the one that is not.
pub(crate) fn owner(text: &str) -> Result<(), String> {
    let (owner, group) = text.split_once(':').map_or((text, None), |(owner, group)| (owner, Some(group)));
    user(owner)?;
    match group {
        Some(group) if !known("group", group) => Err(format!("there is no group '{group}'")),
        _ => Ok(()),
    }
}

/// A user's number, and that of its main group.
pub(crate) fn ids(name: &str) -> Option<(u32, u32)> {
    let file = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_meant = |line: &&str| line.split(':').next() == Some(name) || line.split(':').nth(2) == Some(name);
    let line = file.lines().find(is_meant).map(str::to_owned).or_else(|| {
        let output = Command::new("getent").args(["passwd", name]).stdin(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()
    })?;
    let mut fields = line.trim_end().split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// A user's home directory.
pub(crate) fn home(name: &str) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(5).map(str::to_owned)
}

fn known(database: &str, name: &str) -> bool {
    let number = integer(name).ok().map(|number| number.to_string());
    let (field, wanted) = number.as_deref().map_or((0, name), |number| (2, number));
    let file = fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    if file.lines().any(|line| line.split(':').nth(field) == Some(wanted)) {
        return true;
    }
    if wanted.is_empty() || wanted.starts_with('-') {
        return false;
    }
    // Directories such as LDAP are asked through the C library, which getent does for us: 2 means that it found nothing.
    let mut getent = Command::new("getent");
    let status = getent.args([database, wanted]).stdin(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.code() != Some(2))
}

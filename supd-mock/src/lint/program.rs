//! Programs that supervisord would not find on this machine, or not be able to run.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::ProcessConfig;

/// Why supervisord would not find the program, or not run it; from get_execv_args in supervisor's process.py.
pub(super) fn missing(
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

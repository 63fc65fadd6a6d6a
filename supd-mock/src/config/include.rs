//! `[include]`: further files, found from the first one's directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::Expansions;
use super::fault::{Fault, Origin};
use super::ini::Ini;
use super::keys::Keys;
use super::text::split;
use super::{glob, path};

/// What supervisord passes over without a word.
#[derive(Debug)]
pub(crate) enum Missed {
    /// No file has this name, or fits this pattern.
    Nothing { at: Origin, pattern: String },
    /// A file that cannot be read.
    Unreadable { at: Origin, file: PathBuf, error: io::Error },
}

/// Reads what the `[include]` section names. An included file includes no others.
pub(super) fn read(
    ini: &mut Ini,
    main: &Path,
    expansions: &Expansions,
    faults: &mut Vec<Fault>,
) -> Vec<Missed> {
    if ini.section("include").is_none() {
        return Vec::new();
    }
    ini.expand_here(&path::here(main));
    let (files, value) = {
        let section = ini.section("include").expect("it was there a moment ago");
        let mut keys = Keys::new(ini, section, expansions, faults);
        if keys.raw("files").is_none() {
            keys.section_fault("no files=", "files=conf.d/*.conf");
        }
        (keys.text("files").unwrap_or_default(), keys.raw("files").cloned())
    };
    let directory = main.parent().unwrap_or(Path::new(""));
    let mut missed = Vec::new();
    let patterns = files.split('\n').enumerate();
    for (line, pattern) in patterns.flat_map(|(line, text)| split(text).map(move |pattern| (line, pattern))) {
        let at = value.as_ref().expect("what names files is a value").at_line(line);
        let found = glob::matches(&directory.join(pattern));
        if found.is_empty() {
            missed.push(Missed::Nothing { at: at.clone(), pattern: pattern.to_owned() });
        }
        for file in found {
            match text(&file, faults) {
                Ok(text) => ini.read(&Arc::from(file.as_path()), &text, faults),
                Err(error) => {
                    missed.push(Missed::Unreadable { at: at.clone(), file: file.clone(), error });
                }
            }
            ini.expand_here(&path::here(&file));
        }
    }
    missed
}

/// A file's text. Bytes that are no UTF-8 are a fault; the rest is read all the same.
pub(super) fn text(file: &Path, faults: &mut Vec<Fault>) -> io::Result<String> {
    let bytes = fs::read(file)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let at = Origin { file: Arc::from(file), line };
        faults.push(Fault::new(&at, "", "the line is not UTF-8").cure("save the file as UTF-8"));
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    }))
}

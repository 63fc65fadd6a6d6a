//! A program that takes mail on its standard input, as sendmail does: postfix's, exim's, msmtp.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use supd_core::describe::printable;

use super::message::Envelope;
use crate::channel::{Failure, Receipt};
use crate::program;

/// Statuses of sysexits.h after which another attempt makes no sense: the mail is wrong (usage, data), the recipient or
/// its host is unknown, nobody is allowed to, the program's configuration is wrong.
const PERMANENT: [i32; 6] = [64, 65, 67, 68, 77, 78];

/// How much of what a program says at its end is worth repeating, in bytes.
const TAIL: u64 = 500;

/// The program.
pub(super) struct Sendmail {
    pub(super) program: PathBuf,
}

impl Sendmail {
    /// Hands the mail over: `PROGRAM -i -f FROM -- TO…`.
    pub(super) fn send(
        &self,
        mail: &lettre::Message,
        envelope: &Envelope,
        timeout: Duration,
    ) -> Result<Receipt, Failure> {
        let failed = |error: std::io::Error| Failure::temporary(format!("make a file in memory: {error}"));
        let mut said = program::file("stderr").map_err(failed)?;
        let mut command = Command::new(&self.program);
        // A dot alone on a line is text; a recipient is no option.
        command.arg("-i").arg("-f").arg(&envelope.from.email).arg("--");
        command.args(envelope.to.iter().map(|to| &to.email));
        command.stderr(said.try_clone().map_err(failed)?);
        let ended = program::run(&mut command, text(mail).as_bytes(), timeout)?;
        let words = match last_words(&mut said) {
            Some(said) => format!("{}: {said}", ended.words),
            None => ended.words,
        };
        match ended.status {
            0 => Ok(Receipt(words)),
            status if PERMANENT.contains(&status) => Err(Failure::permanent(words)),
            _ => Err(Failure::temporary(words)),
        }
    }
}

/// The mail as a file has it, with the line ends of the system.
pub(super) fn text(mail: &lettre::Message) -> String {
    String::from_utf8_lossy(&mail.formatted()).replace("\r\n", "\n")
}

/// What a program said at its end, on one line: msmtp gives the reason in its last line but one.
fn last_words(said: &mut std::fs::File) -> Option<String> {
    let length = said.seek(SeekFrom::End(0)).ok()?;
    said.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    said.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let lines: Vec<_> =
        tail.lines().map(|line| printable(line.trim())).filter(|line| !line.is_empty()).collect();
    Some(lines.join("; ")).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::message::compose;
    use super::*;
    use crate::parcel::parcel;

    fn send(script: &str) -> Result<Receipt, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("sendmail");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let envelope = Envelope {
            from: "supd@example.org".parse().unwrap(),
            to: vec!["-oQ/tmp@example.org".parse().unwrap(), "b@example.org".parse().unwrap()],
            subject_prefix: None,
        };
        let mail =
            compose(&parcel(r#"{"eventname":"TICK_5"}"#), &envelope, &crate::wording::Wording::default())
                .unwrap();
        let result = Sendmail { program: program.clone() }.send(&mail, &envelope, Duration::from_secs(20));
        let shorter = |words: String| words.replace(program.to_str().unwrap(), "sendmail");
        match result {
            Ok(Receipt(words)) => Ok(Receipt(shorter(words))),
            Err(Failure::Permanent { reason }) => Err(Failure::permanent(shorter(reason))),
            Err(Failure::Temporary { reason, .. }) => Err(Failure::temporary(shorter(reason))),
        }
    }

    #[test]
    fn a_recipient_is_no_option_and_the_mail_has_the_systems_line_ends() {
        let script = r#"test "$*" = '-i -f supd@example.org -- -oQ/tmp@example.org b@example.org' || exit 1
            grep -q '^Subject: ' && ! grep -q "$(printf '\r')" || exit 2"#;
        assert_eq!(send(script), Ok(Receipt("'sendmail' ended with status 0".into())));
    }

    #[test]
    fn a_status_says_whether_another_attempt_makes_sense_and_its_last_words_why() {
        let told = |reason: &str| reason.to_owned();
        assert_eq!(
            send("echo first >&2; printf 'no\\033 such user\\n\\n' >&2; exit 67"),
            Err(Failure::permanent(told("'sendmail' ended with status 67: first; no\\u001b such user")))
        );
        for status in [1, 69, 70, 71, 73, 74, 75, 76] {
            let reason = format!("'sendmail' ended with status {status}");
            assert_eq!(send(&format!("exit {status}")), Err(Failure::temporary(reason)));
        }
    }
}

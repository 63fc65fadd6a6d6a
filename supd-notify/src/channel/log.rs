//! A line on standard error, which supervisord keeps in the listener's log.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Deserialize;
use supd_core::Kind;
use supd_core::describe::{self, printable};

use super::{Audience, Channel, Failure, Receipt};
use crate::message::{self, Message};
use crate::parcel::Parcel;
use crate::wording::{self, Wording};

/// Write a line for each record to standard error
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {}

#[derive(Default)]
pub(crate) struct Log {
    wording: Wording,
}

impl Log {
    pub(crate) fn new(_args: &Args, wording: &wording::Options) -> anyhow::Result<Self> {
        let wording = Wording::compile(wording, |value| printable(value).into_owned())?;
        Ok(Self { wording })
    }
}

impl Channel for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(line(parcel, &self.wording))
    }

    fn deliver(&mut self, parcel: &Parcel, _timeout: Duration) -> Result<Receipt, Failure> {
        let line = line(parcel, &self.wording) + "\n";
        io::stderr()
            .write_all(line.as_bytes())
            .map(|()| Receipt("written to standard error".into()))
            .map_err(|error| Failure::temporary(format!("write standard error: {error}")))
    }
}

/// One line, unless a template says otherwise.
fn line(parcel: &Parcel, wording: &Wording) -> String {
    let message = Message::of(parcel);
    let title = wording.title(parcel).unwrap_or_else(|| title(parcel, &message));
    let body = wording.body(parcel).or_else(|| message.text.map(|text| body(parcel, &text)));
    match body.filter(|body| !body.is_empty()) {
        Some(body) => format!("{title}: {body}"),
        None => title,
    }
}

fn title(parcel: &Parcel, message: &Message) -> String {
    let record = parcel.record();
    let time = record.ts.as_deref().map_or(String::new(), |ts| format!("{ts} "));
    let severity = message.severity.name();
    let lately = match parcel.background().lately {
        Some((count, span)) if count > 1 => format!(", {count} times in {}", message::last(span)),
        _ => String::new(),
    };
    let details = describe::details(record);
    printable(&format!("{time}{severity} {}{lately}{details}", message.title)).into_owned()
}

fn body(parcel: &Parcel, text: &str) -> String {
    let is_digest = parcel.record().kind() == Kind::Digest;
    printable(&if is_digest { text.replace('\n', "; ") } else { text.to_owned() }).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::{Background, parcel};

    #[test]
    fn one_line_whatever_the_process_wrote() {
        let log = parcel(
            r#"{"ts":"T","host":"h","eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":1,"data":"x\ny\u001b[2J"}"#,
        );
        assert_eq!(line(&log, &Wording::default()), "T info a on h wrote to stdout (pid 1): x\\ny\\u001b[2J");
    }

    #[test]
    fn a_template_says_all_of_the_line_and_values_cannot_act() {
        let log = parcel(
            r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"a\u001b[2J\nb","groupname":"a","data":"x\ny"}"#,
        );
        let options = toml::from_str("title = '{{ processname }}!'\nbody = '{{ data }}'").unwrap();
        let channel = Log::new(&Args {}, &options).unwrap();
        assert_eq!(channel.preview(&log).unwrap(), "a\\u001b[2J\\nb!: x\\ny");
        let options = toml::from_str("title = '{{ severity }} {{ eventname }}'\nbody = ''").unwrap();
        let channel = Log::new(&Args {}, &options).unwrap();
        assert_eq!(channel.preview(&log).unwrap(), "info PROCESS_LOG_STDOUT");
    }

    #[test]
    fn how_often_lately_and_what_a_digest_lists_stand_in_the_line() {
        let lately = Some((4, Duration::from_secs(3_600)));
        let crash = parcel(r#"{"eventname":"PROCESS_STATE_EXITED","processname":"a","groupname":"a","expected":false,"pid":1,"exitstatus":-9}"#)
            .with(Background { lately, ..Background::default() });
        assert_eq!(
            line(&crash, &Wording::default()),
            "error a exited unexpectedly, 4 times in the last hour (pid 1, killed by SIGKILL (9))"
        );
        let digest = parcel(
            r#"{"eventname":"SUPD_DIGEST","count":3,"severity":"error","events":[{"processname":"a","what":"x","count":2},{"processname":"b","what":"y"}]}"#,
        );
        assert_eq!(line(&digest, &Wording::default()), "error 3 events of 2 processes: a: x 2 times; b: y");
    }
}

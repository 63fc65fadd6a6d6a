//! A line on standard error, which supervisord keeps in the listener's log.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Deserialize;
use supd_core::Kind;
use supd_core::describe::{self, printable};

use super::{Audience, Channel, Failure, Receipt};
use crate::message::Message;
use crate::parcel::Parcel;

/// Write a line for each record to standard error
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {}

pub(crate) struct Log;

impl Channel for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(line(parcel))
    }

    fn deliver(&mut self, parcel: &Parcel, _timeout: Duration) -> Result<Receipt, Failure> {
        let line = line(parcel) + "\n";
        io::stderr()
            .write_all(line.as_bytes())
            .map(|()| Receipt("written to standard error".into()))
            .map_err(|error| Failure::temporary(format!("write standard error: {error}")))
    }
}

fn line(parcel: &Parcel) -> String {
    let record = parcel.record();
    let message = Message::of(parcel);
    let time = record.ts.as_deref().map_or(String::new(), |ts| format!("{ts} "));
    let text = message.text.map_or(String::new(), |text| format!(": {text}"));
    let text = if record.kind() == Kind::Digest { text.replace('\n', "; ") } else { text };
    let severity = message.severity.name();
    printable(&format!("{time}{severity} {}{}{text}", message.title, describe::details(record))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    #[test]
    fn one_line_whatever_the_process_wrote() {
        let log = parcel(
            r#"{"ts":"T","host":"h","eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":1,"data":"x\ny\u001b[2J"}"#,
        );
        assert_eq!(line(&log), "T info a on h wrote to stdout (pid 1): x\\ny\\u001b[2J");
    }
}

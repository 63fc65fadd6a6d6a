//! A line on standard error, which supervisord keeps in the listener's log.

use std::io::{self, Write as _};
use std::time::Duration;

use supd_core::Record;
use supd_core::describe::{self, printable};

use super::{Channel, Failure};
use crate::message::Message;
use crate::queue::Letter;

/// Write a line for each record to standard error
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) struct Log;

impl Channel for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn preview(&self, letter: &Letter) -> Result<String, Failure> {
        Ok(line(&letter.record))
    }

    fn deliver(&mut self, letter: &Letter, _timeout: Duration) -> Result<(), Failure> {
        let line = line(&letter.record) + "\n";
        io::stderr()
            .write_all(line.as_bytes())
            .map_err(|error| Failure::temporary(format!("write standard error: {error}")))
    }
}

fn line(record: &Record) -> String {
    let message = Message::of(record);
    let time = record.ts.as_deref().map_or(String::new(), |ts| format!("{ts} "));
    let text = message.text.map_or(String::new(), |text| format!(": {text}"));
    let severity = message.severity.name();
    printable(&format!("{time}{severity} {}{}{text}", message.title, describe::details(record))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::letter;
    use super::*;

    #[test]
    fn one_line_whatever_the_process_wrote() {
        let log = letter(
            r#"{"ts":"T","host":"h","eventname":"PROCESS_LOG_STDOUT","processname":"a","groupname":"a","pid":1,"data":"x\ny\u001b[2J"}"#,
        );
        assert_eq!(line(&log.record), "T info a on h wrote to stdout (pid 1): x\\ny\\u001b[2J");
    }
}

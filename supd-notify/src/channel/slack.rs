//! Slack's incoming webhooks, and those of Mattermost and Rocket.Chat, which take the same.

use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Value, json};
use supd_core::cli::Usage;
use supd_core::describe::{Severity, acts, printable};

use super::{Audience, Channel, Failure, Receipt};
use crate::http::Endpoint;
use crate::message::Message;
use crate::parcel::Parcel;
use crate::secret::{self, Source};

const EXAMPLES: &str = "\
Examples:
  supd-mock generate | supd-parse --problems | supd-notify --dry-run slack
  command=supd-listen -c 'supd-parse --problems | supd-notify slack'
  environment=SUPD_SLACK_URL=\"https://hooks.slack.com/services/…\"
(the last two in an [eventlistener:…] section of supervisord.conf)";

/// Send to a Slack channel by an incoming webhook (Mattermost's and Rocket.Chat's work too)
///
/// Create an incoming webhook (Slack: api.slack.com/messaging/webhooks) and put its URL, which is a secret, into the
/// variable SUPD_SLACK_URL or into a file.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// File that holds the webhook's URL, instead of the variable SUPD_SLACK_URL
    #[arg(long = "url-file", value_name = "FILE")]
    url: Option<Source>,
}

pub(crate) struct Slack {
    /// `None` for a dry run without a URL.
    endpoint: Option<Endpoint>,
}

impl Slack {
    pub(crate) fn new(args: &Args, dry_run: bool) -> anyhow::Result<Self> {
        let endpoint = match secret::read("URL", args.url.as_ref(), "SUPD_SLACK_URL") {
            Ok(Some(url)) => Some(Endpoint::new(url, None)?),
            _ if dry_run => None,
            Err(error) => return Err(error),
            Ok(None) => bail!(Usage(
                "slack: the webhook's URL is missing: set SUPD_SLACK_URL, or put it into a file and give --url-file FILE"
                    .into()
            )),
        };
        Ok(Self { endpoint })
    }
}

impl Channel for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn audience(&self) -> Audience {
        Audience::People
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(payload(&Message::of(parcel)).to_string())
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        let endpoint = self.endpoint.as_ref().ok_or_else(|| Failure::permanent("there is no URL"))?;
        endpoint.post(self.preview(parcel)?.as_bytes(), timeout)
    }
}

/// Attachments rather than blocks: all three services draw them.
fn payload(message: &Message) -> Value {
    let (colour, emoji) = look(message.severity);
    let title = format!("{emoji} {}", escape(&message.title));
    let field =
        |(label, value): &(&str, String)| json!({"title": label, "value": escape(value), "short": true});
    let mut attachment = json!({
        "color": colour,
        "fallback": title,
        "fields": message.facts.iter().map(field).collect::<Vec<_>>(),
        "mrkdwn_in": ["text"],
    });
    if let Some(text) = &message.text {
        // A code block ends at three backquotes, so there must not be three in a row.
        let text = escape(text).replace("```", "`\u{200b}`\u{200b}`");
        attachment["text"] = format!("```\n{text}\n```").into();
    }
    // A name such as *web* is a name, not bold.
    json!({"text": title, "mrkdwn": false, "attachments": [attachment]})
}

/// A colour and an emoji.
pub(super) fn look(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Critical => ("#8b0000", "🔥"),
        Severity::Error => ("#d9302c", "🔴"),
        Severity::Warning => ("#e8a317", "🟠"),
        Severity::Good => ("#2eb67d", "🟢"),
        Severity::Info => ("#8d8d8d", "⚪"),
    }
}

/// What Slack's syntax asks for, and what keeps Mattermost from taking a process's text for a mention or a link.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("@\u{200b}"),
            ']' => escaped.push_str("]\u{200b}"),
            '\n' | '\t' => escaped.push(c),
            c if acts(c) => escaped.push_str(&printable(c.encode_utf8(&mut [0; 4]))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn payload_of(json: &str) -> Value {
        payload(&Message::of(&parcel(json)))
    }

    #[test]
    fn a_crash_names_process_host_pid_and_time() {
        let payload = payload_of(
            r#"{"ts":"2026-01-05T08:00:00.250Z","host":"db1","eventname":"PROCESS_STATE_EXITED","processname":"web_00","groupname":"web","from_state":"RUNNING","expected":false,"pid":7}"#,
        );
        assert_eq!(payload["text"], "🔴 web:web_00 on db1 exited unexpectedly");
        let attachment = &payload["attachments"][0];
        assert_eq!(attachment["fields"][3], json!({"title": "Pid", "value": "7", "short": true}));
        assert_eq!(attachment["fields"][4]["value"], "2026-01-05 08:00:00 UTC");
        assert_eq!(attachment.get("text"), None);
    }

    #[test]
    fn what_a_process_says_can_call_nobody_and_leave_no_block() {
        let payload = payload_of(
            r#"{"eventname":"PROCESS_LOG_STDOUT","processname":"<!here>","groupname":"g","data":"@all ``` <http://x|y> [a](b) &\u0007"}"#,
        );
        assert_eq!(payload["text"], "⚪ g:&lt;!here&gt; wrote to stdout");
        assert_eq!(
            payload["attachments"][0]["text"],
            "```\n@\u{200b}all `\u{200b}`\u{200b}` &lt;http://x|y&gt; [a]\u{200b}(b) &amp;\\u0007\n```"
        );
    }
}

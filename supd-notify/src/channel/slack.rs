//! Slack's incoming webhooks, and those of Mattermost and Rocket.Chat, which take the same.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use supd_core::describe::{acts, printable};

use super::{Audience, Channel, Failure, Receipt};
use crate::http::Endpoint;
use crate::message::{self, Message};
use crate::parcel::Parcel;
use crate::secret::{self, Source};
use crate::wording::{self, Wording};

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
    endpoint: Endpoint,
    wording: Wording,
}

impl Slack {
    pub(crate) fn new(args: &Args, wording: &wording::Options, dry_run: bool) -> anyhow::Result<Self> {
        let url = secret::read("URL", args.url.as_ref(), "SUPD_SLACK_URL");
        let cure = "set SUPD_SLACK_URL, or put it into a file and give --url-file FILE";
        let endpoint = Endpoint::of_channel("slack", url, Ok(None), cure, dry_run)?;
        Ok(Self { endpoint, wording: Wording::compile(wording, escape_markup)? })
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
        Ok(payload(parcel, &self.wording).to_string())
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        self.endpoint.post(self.preview(parcel)?.as_bytes(), timeout)
    }
}

/// Attachments rather than blocks: all three services draw them.
fn payload(parcel: &Parcel, wording: &Wording) -> Value {
    let message = Message::of(parcel);
    let emoji = message.severity.emoji();
    let own_title = wording.title(parcel);
    // A name such as *web* is a name, not bold; a template may well want something bold.
    let mrkdwn = own_title.is_some();
    let title = own_title.unwrap_or_else(|| format!("{emoji} {}", escape(&message.title)));
    let mut attachment =
        json!({"color": message::colour(message.severity), "fallback": title, "mrkdwn_in": ["text"]});
    match wording.body(parcel) {
        Some(body) if body.is_empty() => return json!({"text": title, "mrkdwn": mrkdwn}),
        Some(body) => attachment["text"] = body.into(),
        None => {
            let field = |(label, value): &(&str, String)| json!({"title": label, "value": escape(value), "short": true});
            attachment["fields"] = message.facts.iter().map(field).collect();
            if let Some(text) = &message.text {
                // A code block ends at three backquotes, so there must not be three in a row.
                let text = escape(text).replace("```", "`\u{200b}`\u{200b}`");
                attachment["text"] = format!("```\n{text}\n```").into();
            }
        }
    }
    json!({"text": title, "mrkdwn": mrkdwn, "attachments": [attachment]})
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

/// A value in the middle of markup: what would make it bold, struck out, code or a quotation stands alone, which is the only
/// escape that there is. An underscore inside a word means nothing to Slack, and names are full of them.
fn escape_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut last = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let acts = match c {
            '*' | '~' | '`' => true,
            '_' => !(last.is_alphanumeric() && next.is_alphanumeric()),
            _ => false,
        };
        if acts {
            escaped.extend(['\u{200b}', c, '\u{200b}']);
        } else {
            escaped.push_str(&escape(c.encode_utf8(&mut [0; 4])));
        }
        last = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn payload_of(json: &str) -> Value {
        payload(&parcel(json), &Wording::default())
    }

    fn worded(title: &str, body: &str, json: &str) -> Value {
        let options = toml::from_str(&format!("title = '{title}'\nbody = '{body}'")).unwrap();
        payload(&parcel(json), &Wording::compile(&options, escape_markup).unwrap())
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

    #[test]
    fn a_template_is_markup_and_its_values_are_not() {
        let crash = r#"{"eventname":"PROCESS_STATE_EXITED","processname":"*web_00* _x_ <!here> @all ``` ~y~","groupname":"g","pid":7}"#;
        let payload = worded("*{{ processname }}* <!channel>", "`{{ pid }}` {{ text }}", crash);
        assert_eq!(
            payload["text"],
            "*\u{200b}*\u{200b}web_00\u{200b}*\u{200b} \u{200b}_\u{200b}x\u{200b}_\u{200b} &lt;!here&gt; @\u{200b}all \
             \u{200b}`\u{200b}\u{200b}`\u{200b}\u{200b}`\u{200b} \u{200b}~\u{200b}y\u{200b}~\u{200b}* <!channel>"
        );
        assert_eq!((&payload["mrkdwn"], &payload["attachments"][0]["text"]), (&json!(true), &json!("`7`")));
        assert_eq!(payload["attachments"][0].get("fields"), None);
    }

    #[test]
    fn a_body_of_nothing_leaves_the_title_alone() {
        let payload = worded("{{ emoji }} {{ title }}", "", r#"{"eventname":"TICK_5"}"#);
        assert_eq!(payload, json!({"text": "⚪ supervisor ticked", "mrkdwn": true}));
    }

    #[test]
    fn a_recovery_is_green_and_a_digest_lists_its_events() {
        let recovered = payload_of(
            r#"{"host":"db1","eventname":"SUPD_RECOVERED","processname":"web","groupname":"web","downtime":303,"count":12}"#,
        );
        assert_eq!(recovered["text"], "🟢 web on db1 recovered after 5m 3s");
        assert_eq!(recovered["attachments"][0]["color"], "#2eb67d");
        let digest = payload_of(
            r#"{"host":"db1","eventname":"SUPD_DIGEST","count":3,"severity":"critical","events":[{"processname":"<a>","what":"x","count":2},{"processname":"b","what":"y"}]}"#,
        );
        assert_eq!(digest["text"], "🔥 3 events of 2 processes on db1");
        assert_eq!(digest["attachments"][0]["text"], "```\n&lt;a&gt;: x 2 times\nb: y\n```");
    }
}

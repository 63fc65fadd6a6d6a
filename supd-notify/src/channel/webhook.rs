//! Any HTTP endpoint that takes JSON: the record as it is, or what a template makes of it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::{Audience, Channel, Failure, Receipt};
use crate::http::Endpoint;
use crate::parcel::Parcel;
use crate::secret::{self, Source};
use crate::template::Document;

const EXAMPLES: &str = "\
Examples:
  supd-parse --problems | supd-notify webhook --url http://localhost:8080/events
  supd-mock generate | supd-parse --unexpected |
    supd-notify webhook --dry-run --template '{\"text\": \"{{ title }}\"}'";

/// Post each record as JSON to a URL
///
/// The body is the record as it came, or what a MiniJinja template makes of it. A template stands for a JSON document;
/// values are escaped for the strings they stand in: {"text": "{{ title }}", "pid": {{ pid|tojson }}}. It knows the
/// record's keys, and title, text, severity, emoji, facts (of label and value) and lately; of several events count, first_ts,
/// last_ts and events.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The URL; one that is a secret belongs into --url-file or the variable SUPD_WEBHOOK_URL
    #[arg(long, value_name = "URL", conflicts_with = "url_file")]
    url: Option<Address>,

    /// File that holds the URL
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    url_file: Option<Source>,

    /// File that holds a token, sent as 'Authorization: Bearer …'; or the variable SUPD_WEBHOOK_TOKEN
    #[arg(long = "token-file", value_name = "FILE")]
    #[serde(default = "secret::none")]
    token: Option<Source>,

    /// Template of the body
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "template_file")]
    template: Option<String>,

    /// File that holds the template
    #[arg(long, value_name = "FILE")]
    template_file: Option<PathBuf>,
}

/// A URL that is no secret, or where one that is stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a URL, or where it stands: { env = \"VARIABLE\" } or { file = \"PATH\" }"
)]
enum Address {
    Plain(String),
    Secret(Source),
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self::Plain(url.to_owned())
    }
}

pub(crate) struct Webhook {
    endpoint: Endpoint,
    template: Option<Document>,
}

impl Webhook {
    pub(crate) fn new(args: &Args, dry_run: bool) -> anyhow::Result<Self> {
        let url = match &args.url {
            Some(Address::Plain(url)) => Ok(Some(url.clone().into())),
            Some(Address::Secret(source)) => secret::read("URL", Some(source), "SUPD_WEBHOOK_URL"),
            None => secret::read("URL", args.url_file.as_ref(), "SUPD_WEBHOOK_URL"),
        };
        let token = secret::read("token", args.token.as_ref(), "SUPD_WEBHOOK_TOKEN");
        let cure = "give --url URL or, where it is a secret, set SUPD_WEBHOOK_URL or give --url-file FILE";
        let endpoint = Endpoint::of_channel("webhook", url, token, cure, dry_run)?;
        let source = match &args.template_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("read template file '{}'", path.display()))?,
            ),
            None => args.template.clone(),
        };
        Ok(Self { endpoint, template: source.map(Document::compile).transpose()? })
    }
}

impl Webhook {
    fn body<'a>(&self, parcel: &'a Parcel) -> Result<Cow<'a, [u8]>, Failure> {
        match &self.template {
            Some(template) => match template.render(parcel) {
                Ok(text) => Ok(text.into_bytes().into()),
                Err(error) => Err(Failure::permanent(format!("{error:#}"))),
            },
            None => Ok(parcel.line().into()),
        }
    }
}

impl Channel for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.body(parcel)?).into_owned())
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        self.endpoint.post(&self.body(parcel)?, timeout)
    }
}

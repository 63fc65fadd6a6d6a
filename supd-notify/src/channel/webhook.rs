//! Any HTTP endpoint that takes JSON: the record as it is, or what a template makes of it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use supd_core::cli::Usage;

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
    endpoint: Option<Endpoint>,
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
        let endpoint = match (url, token) {
            (Ok(Some(url)), Ok(token)) => Some(Endpoint::new(url, token)?),
            _ if dry_run => None,
            (Err(error), _) | (_, Err(error)) => return Err(error),
            (Ok(None), _) => bail!(Usage(
                "webhook: the URL is missing: give --url URL, --url-file FILE or SUPD_WEBHOOK_URL".into()
            )),
        };
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

impl Channel for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn audience(&self) -> Audience {
        Audience::Programs
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        match &self.template {
            Some(template) => {
                template.render(parcel).map_err(|error| Failure::permanent(format!("{error:#}")))
            }
            None => Ok(String::from_utf8_lossy(parcel.line()).into_owned()),
        }
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        let endpoint = self.endpoint.as_ref().ok_or_else(|| Failure::permanent("there is no URL"))?;
        endpoint.post(self.preview(parcel)?.as_bytes(), timeout)
    }
}

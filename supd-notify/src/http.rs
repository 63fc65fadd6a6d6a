//! One HTTP request, and what its answer means for another attempt.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use supd_core::cli::Usage;
use supd_core::describe::printable;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use crate::channel::{Failure, Receipt};

/// How much of a server's answer is worth repeating.
const MAX_ANSWER: u64 = 300;

/// A place to post to, or to ask, whose address may be a secret.
pub(crate) struct Endpoint {
    agent: Agent,
    url: SecretString,
    token: Option<SecretString>,
}

impl Endpoint {
    /// # Errors
    /// [`Usage`] when the URL is none; the message does not hold it.
    pub(crate) fn new(url: SecretString, token: Option<SecretString>) -> anyhow::Result<Self> {
        let uri: Option<Uri> = url.expose_secret().parse().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str);
        if token.as_ref().is_some_and(|token| token.expose_secret().contains(|c: char| c.is_control())) {
            bail!(Usage("the token is more than one line".into()));
        }
        if !matches!(scheme, Some("http" | "https")) || uri.is_none_or(|uri| uri.host().is_none()) {
            bail!(Usage("the URL is not one such as https://host/path".into()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A moved webhook is for its owner to look at; the secret does not go to wherever an answer points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("supd-notify/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), url, token })
    }

    /// Where a channel posts to. A dry run, which sends nothing, needs no secrets: without them it is a host that cannot be.
    ///
    /// # Errors
    /// What kept a secret from being read; [`Usage`] when there is no URL, with what to do about it, or it is none.
    pub(crate) fn of_channel(
        channel: &'static str,
        url: anyhow::Result<Option<SecretString>>,
        token: anyhow::Result<Option<SecretString>>,
        cure: &str,
        dry_run: bool,
    ) -> anyhow::Result<Self> {
        match (url, token) {
            (Ok(Some(url)), Ok(token)) => Self::new(url, token).context(channel),
            // Of RFC 6761.
            _ if dry_run => Self::new("https://dry-run.invalid".to_owned().into(), None),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(None), _) => bail!(Usage(format!("{channel}: the URL is missing: {cure}"))),
        }
    }

    /// Posts a JSON document.
    pub(crate) fn post(&self, body: &[u8], timeout: Duration) -> Result<Receipt, Failure> {
        let mut request = self
            .agent
            .post(self.url.expose_secret())
            .header("Content-Type", "application/json; charset=utf-8")
            .config()
            .timeout_global(Some(timeout))
            .build();
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose_secret()));
        }
        self.judge(request.send(body), timeout)
    }

    /// Asks for the document at this place, of which only the status matters.
    pub(crate) fn get(&self, timeout: Duration) -> Result<Receipt, Failure> {
        let request = self.agent.get(self.url.expose_secret()).config().timeout_global(Some(timeout)).build();
        self.judge(request.call(), timeout)
    }

    fn judge(
        &self,
        sent: Result<Response<Body>, ureq::Error>,
        timeout: Duration,
    ) -> Result<Receipt, Failure> {
        let mut response =
            sent.map_err(|error| Failure::temporary(self.redact(&in_words(&error, timeout))))?;
        let status = response.status();
        let mut answer = Vec::new();
        // Half an answer is worth repeating too, so an error on the way is none.
        let _ = response.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut answer);
        let reason = match String::from_utf8_lossy(&answer).trim() {
            "" => format!("the server answered {status}"),
            answer => format!("the server answered {status}: {}", printable(answer)),
        };
        let mut reason = self.redact(&reason);
        if answer.len() as u64 == MAX_ANSWER {
            self.cut_begun_secret(&mut reason);
        }
        if status.is_success() {
            return Ok(Receipt(reason));
        }
        Err(match status.as_u16() {
            408 | 425 | 429 | 500.. => {
                Failure::Temporary { reason, retry_after: retry_after(response.headers()) }
            }
            // Nothing gets better by saying it again.
            _ => Failure::Permanent { reason },
        })
    }

    /// A server, or a library, may repeat what it was asked.
    fn redact(&self, text: &str) -> String {
        self.secrets(|secrets| secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…")))
    }

    /// An answer that was cut may end within a secret.
    fn cut_begun_secret(&self, text: &mut String) {
        let begun = self.secrets(|secrets| {
            let ends_with_part_of = |secret: &str| {
                let ends = secret.char_indices().map(|(end, _)| end).rev();
                ends.filter(|&end| end > 3).find(|&end| text.ends_with(&secret[..end]))
            };
            secrets.filter_map(ends_with_part_of).max()
        });
        if let Some(begun) = begun {
            text.truncate(text.len() - begun);
            text.push('…');
        }
    }

    /// Hands out everything that nobody may see.
    fn secrets<T>(&self, take: impl FnOnce(&mut dyn Iterator<Item = &str>) -> T) -> T {
        let url = self.url.expose_secret();
        let uri: Option<Uri> = url.parse().ok();
        let path = uri.as_ref().and_then(Uri::path_and_query).map_or("", |path| path.as_str());
        let token = self.token.as_ref().map_or("", |token| token.expose_secret());
        // A part alone is a secret too when it is long enough to be one.
        let parts = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= 8);
        let whole = [url, path, token].into_iter().filter(|secret| secret.len() > 3);
        take(&mut whole.chain(parts))
    }
}

/// What went wrong before there was an answer.
fn in_words(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {timeout:.1?}"),
        ureq::Error::HostNotFound => "the host's name is not known".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("Retry-After")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Duration::try_from(date.duration_since(Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
        Endpoint::new(url.to_owned().into(), None)
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for wrong in
            ["hooks.example/T0/secret", "ftp://host/secret", "https://", "https:///secret", "secret secret"]
        {
            let error = endpoint(wrong).err().unwrap();
            assert!(error.is::<Usage>() && !format!("{error:#}").contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn an_answer_that_repeats_the_address_does_not_give_it_away() {
        let endpoint = endpoint("https://hooks.example/T0/s3cret?x=1").unwrap();
        let answer = "no such hook https://hooks.example/T0/s3cret?x=1 (/T0/s3cret?x=1)";
        assert_eq!(endpoint.redact(answer), "no such hook … (…)");
        let endpoint =
            Endpoint::new("https://hooks.example/services/T0000/longs3cret".to_owned().into(), None).unwrap();
        assert_eq!(endpoint.redact("unknown: longs3cret"), "unknown: …");
    }

    #[test]
    fn an_answer_that_was_cut_ends_before_a_secret_that_it_begins() {
        let url = "https://hooks.example/services/T0000/longs3cret".to_owned();
        let endpoint = Endpoint::new(url.into(), Some("t0ken".to_owned().into())).unwrap();
        let cut = |text: &str| {
            let mut text = text.to_owned();
            endpoint.cut_begun_secret(&mut text);
            text
        };
        assert_eq!(cut("unknown: longs3c"), "unknown: …");
        assert_eq!(cut("unknown: https://hooks.example/services/T0000/lo"), "unknown: …");
        assert_eq!(cut("bad t0ke"), "bad …");
        assert_eq!(cut("so it is too lon"), "so it is too lon");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let header = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("Retry-After", value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(header("17"), Some(Duration::from_secs(17)));
        assert!(header("Fri, 01 Jan 2100 00:00:00 GMT").unwrap() > Duration::from_secs(86_400));
        assert_eq!(header("Sun, 06 Nov 1994 08:49:37 GMT"), None, "it has passed");
        assert_eq!(header("soon"), None);
    }
}

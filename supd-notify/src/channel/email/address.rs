//! Where mail comes from and goes to, as options and a configuration say it.

use std::net::Ipv6Addr;
use std::str::FromStr;

use lettre::message::{Mailbox, Mailboxes};
use rustls::pki_types::ServerName;
use serde::Deserialize;

/// `mail.example.org:587`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("the name of a host, not a URL: mail.example.org:587".into());
        }
        let (host, port) = match text.rsplit_once(':') {
            // An address of IPv6 alone.
            _ if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| format!("'{port}' is no port"))?))
            }
            _ => (text, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match ServerName::try_from(host) {
            Ok(_) => Ok(Self { host: host.to_owned(), port }),
            Err(_) => Err(format!("'{host}' is no host's name")),
        }
    }
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// One address, with or without a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Sender(pub(super) Mailbox);

impl FromStr for Sender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match &addresses(text)?[..] {
            [one] => Ok(Self(one.clone())),
            _ => Err("more than one address".to_owned()),
        }
    }
}

impl TryFrom<String> for Sender {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Addresses with commas between them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Recipients(pub(super) Vec<Mailbox>);

impl FromStr for Recipients {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        addresses(text).map(Self)
    }
}

impl TryFrom<String> for Recipients {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// At least one address.
fn addresses(text: &str) -> Result<Vec<Mailbox>, String> {
    let text = text.trim();
    let parsed: Result<Mailboxes, _> = text.parse();
    let addresses: Vec<Mailbox> =
        parsed.map_err(|_| "no address such as ops@example.org")?.into_iter().collect();
    if addresses.is_empty() || text.contains(char::is_control) {
        return Err("no address such as ops@example.org".to_owned());
    }
    // Most servers take no others, and would refuse each mail.
    match addresses.iter().find(|address| !address.email.to_string().is_ascii()) {
        Some(address) => Err(format!("'{}' is not ASCII", address.email)),
        None => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_with_or_without_a_port() {
        let server = |text: &str| text.parse::<Server>().map(|server| (server.host, server.port));
        assert_eq!(server("mail.example.org"), Ok(("mail.example.org".into(), None)));
        assert_eq!(server("mail.example.org:25"), Ok(("mail.example.org".into(), Some(25))));
        assert_eq!(server("[::1]:25"), Ok(("::1".into(), Some(25))));
        assert_eq!(server("[::1]"), Ok(("::1".into(), None)));
        assert_eq!(server("::1"), Ok(("::1".into(), None)));
        for wrong in ["", ":25", "host:", "host:smtp", "host:65536", "smtp://host", "a b", "user@host"] {
            server(wrong).unwrap_err();
        }
    }

    #[test]
    fn addresses_are_taken_whole_or_not_at_all() {
        let count = |text: &str| addresses(text).map(|addresses| addresses.len());
        assert_eq!(count("ops@example.org"), Ok(1));
        assert_eq!(count(" \"Ops, all\" <ops@example.org>, dev@example.org "), Ok(2));
        for wrong in [
            "",
            "ops",
            "ops@example.org; dev@example.org",
            "a@example.org\r\nBcc: b@example.org",
            "\"a\r\nBcc: b@example.org\" <a@example.org>",
            "ops@bücher.example",
            "a@example.org,,b@example.org",
        ] {
            count(wrong).unwrap_err();
        }
        assert!("a@example.org, b@example.org".parse::<Sender>().is_err());
    }
}

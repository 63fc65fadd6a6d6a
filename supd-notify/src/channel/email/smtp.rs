//! Mail to a server by SMTP, one connection a mail.
//!
//! An attempt: `look up -> connect -> STARTTLS -> AUTH -> MAIL -> RCPT… -> DATA -> text -> QUIT`. lettre speaks; what each
//! answer means for another attempt is decided here. 4yz is temporary and 5yz is not, as RFC 5321 says. What comes before
//! an answer (names, connections, certificates) is temporary: somebody may be at work on it, and nothing is lost.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use rustls::CertificateError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use supd_core::describe::printable;

use crate::channel::{Failure, Receipt};

/// The most that is waited for the answer to QUIT, which tells nothing.
const QUIT: Duration = Duration::from_secs(1);

const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Security {
    /// From STARTTLS on, before anything else is said; usually port 587
    #[default]
    Starttls,
    /// From the beginning; usually port 465
    Tls,
    /// Not at all; usually port 25
    None,
}

impl Security {
    /// The port where servers wait for that.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// A user and the password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// A mail server, and how to speak with it.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Security,
    pub(super) parameters: TlsParameters,
    pub(super) login: Option<Login>,
}

/// What a server did with a mail.
struct Accepted {
    answer: String,
    /// Why some of the recipients do not get it.
    refused: Vec<Failure>,
}

/// The time of an attempt.
#[derive(Clone, Copy)]
struct Clock {
    timeout: Duration,
    deadline: Instant,
}

/// Hands a mail to a server. It is delivered when the server has taken it for one recipient at least: a mailbox that is
/// full for a day must not keep the others from what comes after. Those that were refused are said.
pub(super) fn send(
    relay: &Arc<Relay>,
    mail: &lettre::Message,
    timeout: Duration,
) -> Result<Receipt, Failure> {
    let clock = Clock { timeout, deadline: Instant::now() + timeout };
    let (report, outcome) = mpsc::channel();
    let attempt = {
        let (relay, envelope, text) = (Arc::clone(relay), mail.envelope().clone(), mail.formatted());
        // A thread that is left behind when the time is up: a lookup knows no time limit, and a server that sends a byte now
        // and then keeps each read within its own.
        move || report.send(relay.attempt(&envelope, &text, clock))
    };
    let started = thread::Builder::new().name("smtp".into()).spawn(attempt);
    started.map_err(|error| Failure::temporary(format!("start a thread: {error}")))?;
    let outcome = outcome.recv_timeout(timeout).unwrap_or_else(|_| Err(clock.up()));
    let accepted = outcome.map_err(|failure| failure.reworded(|reason| relay.redact(reason)))?;
    if !accepted.refused.is_empty() {
        log::warn!("deliver to email: {}; the others get it", relay.redact(&listed(&accepted.refused)));
    }
    Ok(Receipt(relay.redact(&format!("the server answered {}", accepted.answer))))
}

impl Relay {
    fn attempt(
        &self,
        envelope: &lettre::address::Envelope,
        text: &[u8],
        clock: Clock,
    ) -> Result<Accepted, Failure> {
        let mut connection = self.connect(clock)?;
        let result = self.converse(&mut connection, envelope, text, clock);
        // A mail that was taken must not look late because of a farewell.
        let patience = clock.left().map_or(Duration::ZERO, |left| (left / 2).min(QUIT));
        if !patience.is_zero() && connection.set_timeout(Some(patience)).is_ok() {
            connection.abort();
        }
        result
    }

    fn connect(&self, clock: Clock) -> Result<SmtpConnection, Failure> {
        let Self { host, port, .. } = self;
        let addresses: Vec<SocketAddr> = (host.as_str(), *port)
            .to_socket_addrs()
            .map_err(|error| Failure::temporary(format!("look up '{host}': {error}")))?
            .collect();
        // An address that does not answer must leave time for the next one.
        let share = clock.left()? / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let wrapper = (self.tls == Security::Tls).then_some(&self.parameters);
        SmtpConnection::connect(&addresses[..], Some(share), &own_name(), wrapper, None)
            .map_err(|error| clock.failure(&format!("connect to '{host}' port {port}"), &error))
    }

    fn converse(
        &self,
        connection: &mut SmtpConnection,
        envelope: &lettre::address::Envelope,
        text: &[u8],
        clock: Clock,
    ) -> Result<Accepted, Failure> {
        if self.tls == Security::Starttls {
            if !connection.can_starttls() {
                return Err(Failure::temporary(
                    "the server offers no STARTTLS, and nothing is sent unencrypted",
                ));
            }
            clock.give(connection)?;
            let upgraded = connection.starttls(&self.parameters, &own_name());
            upgraded.map_err(|error| clock.failure("the server refused STARTTLS", &error))?;
        }
        if let Some(login) = &self.login {
            authenticate(connection, login, clock)?;
        }
        clock.give(connection)?;
        let from = envelope.from();
        connection.command(Mail::new(from.cloned(), Vec::new())).map_err(|error| {
            let from: &str = from.map_or("", AsRef::as_ref);
            clock.failure(&format!("the server refused the sender <{from}>"), &error)
        })?;
        let refused = recipients(connection, envelope.to(), clock)?;
        clock.give(connection)?;
        let refusal = |error: smtp::Error| clock.failure("the server refused the mail", &error);
        connection.command(Data).map_err(refusal)?;
        clock.give(connection)?;
        let response = connection.message(text).map_err(refusal)?;
        let said: Vec<&str> = response.message().collect();
        Ok(Accepted {
            answer: printable(&format!("{} {}", response.code(), said.join(" "))).into_owned(),
            refused,
        })
    }

    /// A server may repeat what it was sent, also as it was encoded.
    fn redact(&self, text: &str) -> String {
        let Some(Login { user, password }) = &self.login else { return text.to_owned() };
        let password = password.expose_secret();
        // The longest first, or its beginning would be left.
        let encoded = [BASE64.encode(format!("\0{user}\0{password}")), BASE64.encode(password)];
        let encoded = encoded.iter().map(|text| text.trim_end_matches('='));
        let secrets = encoded.chain([password]).filter(|secret| secret.len() > 3);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

fn authenticate(connection: &mut SmtpConnection, login: &Login, clock: Clock) -> Result<(), Failure> {
    if connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
        return Err(Failure::temporary("the server offers no login by password (AUTH PLAIN or LOGIN)"));
    }
    clock.give(connection)?;
    let credentials = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
    let wrong = |error: &smtp::Error| error.status().is_some_and(|code| code.to_string() == "535");
    match connection.auth(&MECHANISMS, &credentials) {
        Ok(_) => Ok(()),
        Err(error) if wrong(&error) => Err(clock.failure("the server refused the password", &error)),
        Err(error) => Err(clock.failure("the server refused the login", &error)),
    }
}

/// Names the recipients; those that the server refuses, unless it refuses all.
fn recipients(
    connection: &mut SmtpConnection,
    recipients: &[Address],
    clock: Clock,
) -> Result<Vec<Failure>, Failure> {
    let mut refused = Vec::new();
    for to in recipients {
        clock.give(connection)?;
        if let Err(error) = connection.command(Rcpt::new(to.clone(), Vec::new())) {
            let failure = clock.failure(&format!("the server refused <{to}>"), &error);
            if error.status().is_none() {
                return Err(failure);
            }
            refused.push(failure);
        }
    }
    if refused.len() < recipients.len() {
        return Ok(refused);
    }
    let all = listed(&refused);
    let worth_another = refused.iter().any(|failure| matches!(failure, Failure::Temporary { .. }));
    Err(if worth_another { Failure::temporary(all) } else { Failure::permanent(all) })
}

fn listed(failures: &[Failure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Clock {
    fn left(self) -> Result<Duration, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.up()) } else { Ok(left) }
    }

    /// What is left is for the next step.
    fn give(self, connection: &mut SmtpConnection) -> Result<(), Failure> {
        let left = self.left()?;
        connection
            .set_timeout(Some(left))
            .map_err(|error| Failure::temporary(format!("set a time limit: {error}")))
    }

    fn up(self) -> Failure {
        Failure::temporary(format!("no answer within {:.1?}", self.timeout))
    }

    /// What went wrong in a step, in words, and whether another attempt makes sense.
    fn failure(self, act: &str, error: &smtp::Error) -> Failure {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        if let Some(code) = error.status() {
            let reason = format!("{act}: {code} {}", printable(&cause));
            return if error.is_permanent() {
                Failure::permanent(reason)
            } else {
                Failure::temporary(reason)
            };
        }
        let io = io_error(error);
        let tls = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
        Failure::temporary(match (tls, io.map(io::Error::kind)) {
            (Some(rustls::Error::InvalidCertificate(error)), _) => {
                format!("the server's certificate is not trusted: {}", certificate(error))
            }
            (Some(error), _) => format!("encrypt the connection: {error}"),
            // A read whose time is up would block, in the system's words.
            (None, Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)) => return self.up(),
            _ if cause == "incomplete response" => "the server ended the connection".to_owned(),
            _ => format!("{act}: {}", printable(&cause)),
        })
    }
}

/// The system's error, or rustls's in its clothes.
fn io_error(error: &smtp::Error) -> Option<&io::Error> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "nobody known has issued it (--ca-file names a further authority)".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.join(", ");
            format!("it is not for '{}', but for {}", expected.to_str(), printable(&names))
        }
        other => printable(&other.to_string()).into_owned(),
    }
}

/// How we introduce ourselves: by the machine's name, if it can be one.
fn own_name() -> ClientId {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let usable = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    if usable { ClientId::Domain(name) } else { ClientId::default() }
}

/// Whether what is sent to this host never leaves the machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_password_does_not_give_it_away() {
        let relay = Relay {
            host: "h".into(),
            port: 1,
            tls: Security::None,
            parameters: TlsParameters::new("h".into()).unwrap(),
            login: Some(Login { user: "supd".into(), password: "pässw0rd!".to_owned().into() }),
        };
        let plain = BASE64.encode("\0supd\0pässw0rd!");
        let login = BASE64.encode("pässw0rd!");
        let answer = format!("535 no: pässw0rd! {plain} {login} ({})", login.trim_end_matches('='));
        let redacted = relay.redact(&answer);
        assert!(redacted == "535 no: … …== …== (…)", "{redacted}");
    }

    #[test]
    fn only_the_machine_itself_is_loopback() {
        assert!(["localhost", "127.0.0.1", "127.9.9.9", "::1"].map(is_loopback).iter().all(|is| *is));
        assert!(
            !["localhost.example.org", "10.0.0.1", "mail", "127.0.0.1.example"]
                .map(is_loopback)
                .contains(&true)
        );
    }
}

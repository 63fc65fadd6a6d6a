//! Mail, by a server (SMTP) or by a program that takes it as sendmail does.

mod address;
mod message;
mod sendmail;
mod smtp;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use supd_core::cli::Usage;

use self::address::{Recipients, Sender, Server};
use self::message::Envelope;
use self::sendmail::Sendmail;
use self::smtp::{Login, Relay, Security};
use super::{Audience, Channel, Failure, Receipt};
use crate::parcel::Parcel;
use crate::program;
use crate::secret::{self, Source};
use crate::wording::{self, Wording};

/// Where the password is unless told otherwise.
const PASSWORD: &str = "SUPD_SMTP_PASSWORD";

const EXAMPLES: &str = "\
Examples:
  supd-parse --problems |
    supd-notify email --smtp mail.example.org --user supd --password-file /etc/supd/password \\
      --from supd@example.org --to ops@example.org,dev@example.org
  supd-parse --problems |
    supd-notify email --sendmail /usr/sbin/sendmail --from supd@example.org --to root@localhost
  supd-mock generate | supd-parse --problems | head -n 1 |
    supd-notify --dry-run email --from supd@example.org --to ops@example.org";

/// Send a mail, by a mail server or a program such as sendmail
///
/// Mails about one process are one thread; a mail that comes a second time, after a crash, has the same Message-ID. A
/// mail is delivered when one of the recipients gets it; those whom the server refuses are said. What the server refuses
/// for good (5yz: a wrong password, no such user, a full mailbox) goes to the dead letters; what it refuses for now (4yz),
/// and a server that is out of reach or has a wrong certificate, is tried again.
#[derive(Debug, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The mail server; without a port 587 (starttls), 465 (tls) or 25 (none)
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "sendmail")]
    smtp: Option<Server>,

    /// How the connection to it is encrypted [default: starttls]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "sendmail")]
    tls: Option<Security>,

    /// File with certificates of authorities (PEM) that are trusted too
    #[arg(long, value_name = "FILE", conflicts_with = "sendmail")]
    ca_file: Option<PathBuf>,

    /// The user to log in as
    #[arg(long, value_name = "NAME", conflicts_with = "sendmail")]
    user: Option<String>,

    /// File that holds the password, instead of the variable SUPD_SMTP_PASSWORD
    #[arg(long = "password-file", value_name = "FILE", conflicts_with = "sendmail")]
    password: Option<Source>,

    /// Hand mails to this program instead, which is run as PROGRAM -i -f FROM -- TO…
    #[arg(long, value_name = "PROGRAM")]
    sendmail: Option<PathBuf>,

    /// Who writes: supd@example.org or 'supd <supd@example.org>'
    #[arg(long, value_name = "ADDRESS")]
    from: Sender,

    /// Whom to write to; several with commas between them, or the option several times
    #[arg(long, value_name = "ADDRESS,…", required = true)]
    to: Vec<Recipients>,

    /// What the subject begins with
    #[arg(long, value_name = "TEXT")]
    subject_prefix: Option<String>,
}

impl Args {
    /// That the program that takes mails is not there, if so.
    pub(crate) fn oddity(&self) -> Option<String> {
        self.sendmail.as_deref().and_then(program::missing)
    }
}

/// How mails leave.
enum Way {
    Smtp(Arc<Relay>),
    Sendmail(Sendmail),
    /// Only for a dry run.
    None,
}

pub(crate) struct Email {
    way: Way,
    envelope: Envelope,
    wording: Wording,
}

impl Email {
    pub(crate) fn new(args: &Args, wording: &wording::Options, dry_run: bool) -> anyhow::Result<Self> {
        let envelope = Envelope {
            from: args.from.0.clone(),
            to: args.to.iter().flat_map(|to| to.0.clone()).collect(),
            subject_prefix: args.subject_prefix.clone(),
        };
        if envelope.to.is_empty() {
            bail!(Usage("email: whom to write to is missing: give --to ADDRESS".into()));
        }
        let way = match (&args.smtp, &args.sendmail) {
            (Some(_), Some(_)) => {
                bail!(Usage("email: give either a server (smtp) or a program (sendmail)".into()))
            }
            (Some(server), None) => Way::Smtp(Arc::new(relay(server, args, dry_run)?)),
            (None, _) if is_for_server(args) => {
                bail!(Usage(
                    "email: a login, encryption and certificates are for a server: give --smtp HOST".into()
                ))
            }
            (None, Some(program)) => Way::Sendmail(Sendmail { program: program.clone() }),
            (None, None) if dry_run => Way::None,
            (None, None) => {
                bail!(Usage(
                    "email: the mail server is missing: give --smtp HOST or --sendmail PROGRAM".into()
                ))
            }
        };
        Ok(Self { way, envelope, wording: Wording::compile(wording, message::escape_value)? })
    }

    fn compose(&self, parcel: &Parcel) -> Result<lettre::Message, Failure> {
        message::compose(parcel, &self.envelope, &self.wording)
            .map_err(|error| Failure::permanent(format!("write the mail: {error}")))
    }
}

/// Whether it says something that has no meaning without a server.
fn is_for_server(args: &Args) -> bool {
    args.tls.is_some() || args.user.is_some() || args.password.is_some() || args.ca_file.is_some()
}

fn relay(server: &Server, args: &Args, dry_run: bool) -> anyhow::Result<Relay> {
    let tls = args.tls.unwrap_or_default();
    let host = server.host.clone();
    let login = login(args, dry_run)?;
    if login.is_some() && tls == Security::None && !smtp::is_loopback(&host) {
        bail!(Usage(format!(
            "email: without encryption the password could be read on the way to '{host}': use --tls starttls or tls"
        )));
    }
    let parameters = parameters(&host, args.ca_file.as_deref())?;
    Ok(Relay { port: server.port.unwrap_or(tls.port()), host, tls, parameters, login })
}

fn login(args: &Args, dry_run: bool) -> anyhow::Result<Option<Login>> {
    let Some(user) = &args.user else {
        if args.password.is_some() {
            bail!(Usage("email: a password is no login: give --user NAME too".into()));
        }
        return Ok(None);
    };
    let password = match secret::read("password", args.password.as_ref(), PASSWORD) {
        _ if dry_run => return Ok(None),
        password => password?,
    };
    let Some(password) = password else {
        bail!(Usage(format!(
            "email: the password is missing: set {PASSWORD}, or put it into a file and give --password-file FILE"
        )));
    };
    if [user, password.expose_secret()].iter().any(|text| text.contains(char::is_control)) {
        bail!(Usage("email: user and password are one line each".into()));
    }
    Ok(Some(Login { user: user.clone(), password }))
}

/// What the server's certificate has to be like.
fn parameters(host: &str, ca_file: Option<&Path>) -> anyhow::Result<TlsParameters> {
    let builder = TlsParameters::builder(host.to_owned());
    let Some(path) = ca_file else {
        return Ok(builder.build()?);
    };
    let act = || format!("read CA file '{}'", path.display());
    let pem = std::fs::read(path).with_context(act)?;
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        bail!(Usage(format!("{}: there is no certificate in it (PEM)", act())));
    }
    let certificates = Certificate::from_pem(&pem).with_context(act)?;
    builder.add_root_certificate(certificates).build().with_context(act)
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl Channel for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn audience(&self) -> Audience {
        Audience::People
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        Ok(sendmail::text(&self.compose(parcel)?))
    }

    fn deliver(&mut self, parcel: &Parcel, timeout: Duration) -> Result<Receipt, Failure> {
        let mail = self.compose(parcel)?;
        match &self.way {
            Way::Smtp(relay) => smtp::send(relay, &mail, timeout),
            Way::Sendmail(program) => program.send(&mail, &self.envelope, timeout),
            Way::None => Err(Failure::permanent("there is no mail server")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_the_same_as_the_options() {
        let parse = |text: &str| toml::from_str::<Args>(text);
        let args = parse(
            r#"smtp = "mail.example.org:25"
            tls = "none"
            user = "supd"
            password = { env = "MAIL_PASSWORD" }
            from = "supd <supd@example.org>"
            to = ["ops@example.org", "a@example.org, b@example.org"]"#,
        );
        let args = args.unwrap();
        assert_eq!(args.to.iter().map(|to| to.0.len()).sum::<usize>(), 3);
        assert_eq!(args.password, Some(Source::Env("MAIL_PASSWORD".into())));
        for wrong in [
            "from = 'a@example.org'",
            "from = 'x'\nto = ['a@example.org']",
            "from = 'a@example.org'\nto = []\nport = 25",
        ] {
            parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn what_cannot_work_or_gives_the_password_away_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let password = dir.path().join("password");
        std::fs::write(&password, "s3cret\n").unwrap();
        let new = |more: &str, dry_run: bool| {
            let text = format!("from = 'a@example.org'\nto = ['b@example.org']\n{more}")
                .replace("PASSWORD", &format!("password = {{ file = '{}' }}", password.display()));
            Email::new(&toml::from_str(&text).unwrap(), &wording::Options::default(), dry_run).map(|_| ())
        };
        for wrong in [
            "",
            "smtp = 'h'\nsendmail = '/x'",
            "sendmail = '/x'\nuser = 'u'",
            "sendmail = '/x'\ntls = 'tls'",
            "smtp = 'h'\nPASSWORD",
            "smtp = 'h'\nuser = 'u'\ntls = 'none'\nPASSWORD",
            "smtp = 'h'\nuser = \"u\\u0000\"\nPASSWORD",
            "smtp = 'h'\nuser = 'u'\npassword = { env = 'SUPD_NOT_SET' }",
        ] {
            let error = new(wrong, false).unwrap_err();
            assert!(error.is::<Usage>() && !error.to_string().contains("s3cret"), "{wrong}: {error:#}");
        }
        new("smtp = 'localhost'\nuser = 'u'\ntls = 'none'\nPASSWORD", false).unwrap();
        new("smtp = 'h'\nuser = 'u'\nPASSWORD", false).unwrap();
        new("smtp = 'h'\nuser = 'u'\npassword = { env = 'SUPD_NOT_SET' }", true).unwrap();
        new("", true).unwrap();
        let error = new("smtp = 'h'\nca_file = '/dev/null'", false).unwrap_err();
        assert!(error.to_string().contains("no certificate"), "{error:#}");
    }
}

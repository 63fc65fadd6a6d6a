//! How supervisord is woken: by something to read.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, addr::SocketAddrArg};
use supd_core::stdio;

use crate::replies::Replies;

/// How long a connection over the network may take; over loopback it takes microseconds.
const CONNECTING: Duration = Duration::from_millis(10);

/// What the command line says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// Connect to supervisord's socket, and close again
    Socket,
    /// Write a newline to standard error, where supervisord listens too
    Stderr,
}

/// How supervisord is woken. Displayed as part of a sentence: `by its socket '/run/supervisor.sock'`.
#[derive(Debug)]
pub(super) struct Means {
    door: Door,
    said: bool,
}

#[derive(Debug)]
enum Door {
    Unix(String),
    /// The first that lets us in.
    Tcp(Vec<SocketAddr>),
    Stderr,
}

impl Means {
    /// # Errors
    /// Why it cannot be woken in this way.
    pub(super) fn find(way: Way, replies: &Replies) -> anyhow::Result<Self> {
        let door = match way {
            Way::Socket => {
                let url = std::env::var("SUPERVISOR_SERVER_URL").context("read SUPERVISOR_SERVER_URL")?;
                door(&url)?
            }
            Way::Stderr => {
                ensure!(stdio::is_fifo(io::stderr()), "standard error is not supervisord's pipe");
                ensure!(
                    !replies.go_to(io::stderr()),
                    "standard error is where supervisord waits for replies"
                );
                Door::Stderr
            }
        };
        if let Door::Unix(path) = &door {
            rustix::fs::access(path.as_str(), Access::WRITE_OK)
                .with_context(|| format!("connect to '{path}' (with user=, try --wake=stderr)"))?;
        }
        Ok(Self { door, said: false })
    }

    /// Gives supervisord something to read. That this fails is said once: it will not be better the next time, and
    /// without it events only come later.
    pub(super) fn wake(&mut self) {
        if let Err(error) = self.door.knock()
            && !self.said
        {
            self.said = true;
            log::debug!("wake supervisord {self}: {error}");
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.door {
            Door::Unix(path) => write!(f, "by its socket '{path}'"),
            Door::Tcp(addresses) => {
                let first = addresses.first().expect("there is no door without an address");
                write!(f, "by its port at {first}")
            }
            Door::Stderr => f.write_str("by standard error"),
        }
    }
}

impl Door {
    fn knock(&self) -> io::Result<()> {
        match self {
            Self::Unix(path) => {
                let address = SocketAddrUnix::new(path.as_str())?;
                connect_and_close(AddressFamily::UNIX, &address)
            }
            Self::Tcp(addresses) => {
                let mut outcome = Ok(());
                for address in addresses {
                    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                    outcome = connect_and_close(family, address);
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            }
            Self::Stderr => {
                let stderr = io::stderr();
                let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
                stdio::poll(&mut fds, Some(Instant::now()))?;
                // When it is full, supervisord has enough to read.
                if fds[0].revents().contains(PollFlags::OUT) {
                    rustix::io::write(&stderr, b"\n")?;
                }
                Ok(())
            }
        }
    }
}

/// supervisord accepts the connection in one turn of its poll, and sees its end in the next.
fn connect_and_close(family: AddressFamily, address: &impl SocketAddrArg) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        // There are more connections than supervisord has accepted, so it is awake.
        Err(Errno::AGAIN) => Ok(()),
        // If it were closed now, it might never have been one.
        Err(Errno::INPROGRESS) => {
            stdio::poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(Instant::now() + CONNECTING))?;
            Ok(rustix::net::sockopt::socket_error(&socket)??)
        }
        result => Ok(result?),
    }
}

/// Where supervisord listens, from its SUPERVISOR_SERVER_URL, `unix:///run/supervisor.sock` or `http://localhost:9001`.
fn door(url: &str) -> anyhow::Result<Door> {
    if let Some(path) = url.strip_prefix("unix://") {
        return Ok(Door::Unix(path.to_owned()));
    }
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("'{url}' is neither unix:// nor http://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').ok_or_else(|| anyhow!("'{url}' has no port"))?;
    let port = port.parse().with_context(|| format!("read the port of '{url}'"))?;
    let hosts = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(host) if !host.is_unspecified() => {
            ensure!(is_local(host), "{host} is not an address of this machine");
            vec![host]
        }
        // Looking a name up can take long, and it is this machine's.
        _ => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    };
    Ok(Door::Tcp(hosts.into_iter().map(|host| (host, port).into()).collect()))
}

/// Only this machine's own addresses can be bound to.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        match door(url) {
            Ok(Door::Tcp(addresses)) => addresses.iter().map(ToString::to_string).collect(),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_name_or_no_address_in_particular_is_loopback() {
        for url in [
            "http://localhost:9001",
            "http://db1.example.org:9001/",
            "http://0.0.0.0:9001",
            "http://u:p@x:9001",
        ] {
            assert_eq!(addresses(url), ["127.0.0.1:9001", "[::1]:9001"], "{url}");
        }
    }

    #[test]
    fn an_address_is_taken_if_it_is_ours() {
        assert_eq!(addresses("http://127.0.0.1:9001"), ["127.0.0.1:9001"]);
        // From TEST-NET-3, which nobody has.
        for wrong in ["http://203.0.113.7:9001", "http://localhost", "http://localhost:x", "ftp://x", ""] {
            door(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        assert!(matches!(door("unix:///run/a b.sock"), Ok(Door::Unix(path)) if path == "/run/a b.sock"));
    }
}

//! An HTTP server that takes most of what it gets, and refuses, forgets or hangs up on the rest.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use fastrand::Rng;

use crate::harness::until;

pub(super) struct Moody {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_calm: AtomicBool,
    is_over: AtomicBool,
    /// Connections that are open.
    busy: AtomicUsize,
    /// How many were only to see that all before them have been accepted.
    probes: AtomicUsize,
    /// What was answered with 200, by path, a line each.
    told: Mutex<BTreeMap<String, String>>,
}

impl Moody {
    pub(super) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            let mut rng = Rng::with_seed(seed);
            move || {
                for connection in listener.incoming() {
                    if shared.is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    shared.busy.fetch_add(1, Ordering::SeqCst);
                    let (shared, mut rng) = (Arc::clone(&shared), rng.fork());
                    thread::spawn(move || {
                        // A client that was killed does not wait for its answer.
                        let _ = connection.and_then(|connection| shared.serve(connection, &mut rng));
                        shared.busy.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// From now on it takes everything.
    pub(super) fn calm(&self) {
        self.shared.is_calm.store(true, Ordering::SeqCst);
    }

    /// Waits until everything has been taken in that somebody sent who has ended.
    pub(super) fn settle(&self) {
        let before = self.shared.probes.load(Ordering::SeqCst);
        drop(TcpStream::connect(self.address).unwrap());
        let is_quiet = || {
            self.shared.probes.load(Ordering::SeqCst) > before && self.shared.busy.load(Ordering::SeqCst) == 0
        };
        until("all connections are closed", is_quiet);
    }

    /// What came for this path and was taken.
    pub(super) fn told(&self, path: &str) -> String {
        self.shared.told.lock().unwrap().get(path).cloned().unwrap_or_default()
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Answers one request after another until the client leaves.
    fn serve(&self, connection: TcpStream, rng: &mut Rng) -> std::io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        let mut is_probe = true;
        while let Some((path, body)) = request(&mut reader)? {
            is_probe = false;
            let mood = if self.is_calm.load(Ordering::SeqCst) { u8::MAX } else { rng.u8(..120) };
            let (status, header) = match mood {
                0..5 => ("503 Service Unavailable", ""),
                5 => ("429 Too Many Requests", "Retry-After: 1\r\n"),
                6 => ("429 Too Many Requests", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
                7 => ("429 Too Many Requests", "Retry-After: when pigs fly\r\n"),
                8..11 => ("404 Not Found", ""),
                // Reads on until the client has had enough.
                11 => {
                    reader.read_to_end(&mut Vec::new())?;
                    return Ok(());
                }
                12 | 13 => return Ok(()),
                _ => {
                    *self.told.lock().unwrap().entry(path).or_default() += &(body + "\n");
                    ("200 OK", "")
                }
            };
            (&connection)
                .write_all(format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\n\r\n").as_bytes())?;
        }
        self.probes.fetch_add(usize::from(is_probe), Ordering::SeqCst);
        Ok(())
    }
}

/// The path and the body of the next request; nothing when the client has left.
fn request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, String)>> {
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    Ok(Some((path, String::from_utf8_lossy(&body).into_owned())))
}

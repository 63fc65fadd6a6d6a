//! A real HTTP server on loopback that keeps what it gets and answers as it is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use tiny_http::{Header, Response, Server};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) authorization: Option<String>,
}

/// An answer: status, body, headers.
pub(crate) type Answer = (u16, &'static str, &'static [(&'static str, &'static str)]);

pub(crate) struct Receiver {
    server: Arc<Server>,
    received: Arc<Mutex<Vec<Received>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Answers 200 to everything, after these answers have been given.
    pub(crate) fn start(first: &[Answer]) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), first)
    }

    /// An address at which nothing listens, for one that is started later. Not 127.0.0.1, where the connections of others
    /// could take the port in the meantime.
    pub(crate) fn address() -> SocketAddr {
        TcpListener::bind(("127.0.0.2", 0)).unwrap().local_addr().unwrap()
    }

    /// As [`Self::start`], at this address.
    pub(crate) fn start_at(address: SocketAddr, first: &[Answer]) -> Self {
        let server = Arc::new(Server::http(address).unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut answers = Vec::from(first).into_iter();
        let thread = std::thread::spawn({
            let (server, received) = (Arc::clone(&server), Arc::clone(&received));
            move || {
                for mut request in server.incoming_requests() {
                    let mut body = String::new();
                    request.as_reader().read_to_string(&mut body).unwrap();
                    let header = |name: &'static str| {
                        request
                            .headers()
                            .iter()
                            .find(|header| header.field.equiv(name))
                            .map(|h| h.value.to_string())
                    };
                    let authorization = header("Authorization");
                    received.lock().unwrap().push(Received {
                        method: request.method().to_string(),
                        path: request.url().to_owned(),
                        body,
                        authorization,
                    });
                    let (status, text, headers) = answers.next().unwrap_or((200, "ok", &[]));
                    let mut response = Response::from_string(text).with_status_code(status);
                    for (name, value) in headers {
                        response.add_header(Header::from_bytes(*name, *value).unwrap());
                    }
                    // A client that was killed does not wait for its answer.
                    let _ = request.respond(response);
                }
            }
        });
        Self { server, received, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.server_addr())
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The `text` of every Slack payload that arrived.
    pub(crate) fn slack_texts(&self) -> Vec<String> {
        let text = |received: &Received| {
            let payload: Value = serde_json::from_str(&received.body).unwrap();
            payload["text"].as_str().unwrap().to_owned()
        };
        self.received().iter().map(text).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

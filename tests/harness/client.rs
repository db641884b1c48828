//! A caller: requests over one connection from a chosen place, answers as they come.
//!
//! Does not retry, follow, pool or decompress: what the gate sent is what the test sees. Dropping
//! an answer that is still coming closes the connection, which is how a caller leaves.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::netns::Namespace;
use crate::probe;
use crate::sse::Events;

/// A connection, for one request after the other.
pub struct Client {
    requests: SendRequest<Full<Bytes>>,
    driver: Arc<Driver>,
    host: String,
}

/// An answer whose head is here.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    driver: Arc<Driver>,
}

/// An answer that is here to its last byte.
#[derive(Debug)]
pub struct Complete {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Moves the connection's bytes for as long as somebody holds it.
pub(crate) struct Driver {
    _task: JoinSet<()>,
}

/// A request under construction.
pub struct Call {
    method: &'static str,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Client {
    /// Connects from `place`. Needs a runtime, and lives on it.
    pub async fn open(place: &Namespace, to: SocketAddr) -> anyhow::Result<Self> {
        let stream = probe::connect(place, to).await;
        let stream = stream.with_context(|| format!("connect from {place} to {to}"))?;
        Self::over(stream, &to.to_string()).await
    }

    /// Speaks over a connection that stands already.
    pub async fn over(stream: TcpStream, host: &str) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // The request or body in flight gets the error too.
            let _ended = connection.await;
        });
        Ok(Self {
            requests,
            driver: Arc::new(Driver { _task: task }),
            host: host.to_owned(),
        })
    }

    pub async fn send(&mut self, call: Call) -> anyhow::Result<Answer> {
        self.requests
            .ready()
            .await
            .context("the gate closed the connection")?;
        let mut request = Request::builder().method(call.method).uri(&call.path);
        if !call
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request = request.header("host", &self.host);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(call.body))
            .context("build the request")?;
        let response = self
            .requests
            .send_request(request)
            .await
            .context("wait for a head")?;
        let (head, body) = response.into_parts();
        let driver = Arc::clone(&self.driver);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            driver,
        })
    }
}

impl Call {
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str, body: &Value) -> Self {
        Self {
            body: body.to_string().into(),
            ..Self::new("POST", path)
        }
        .header("content-type", "application/json")
    }

    /// A streamed chat completion below `base` of `tokens` tokens, or of as many as somebody
    /// lets it have.
    pub fn chat(base: &str, tokens: Option<u32>) -> Self {
        let mut body = json!({
            "model": "scripted", "stream": true, "messages": [{"role": "user", "content": "hi"}],
        });
        if let Some(tokens) = tokens {
            body["max_tokens"] = json!(tokens);
        }
        Self::post(&format!("{base}/chat/completions"), &body)
    }

    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over a connection of its own.
    pub async fn send(self, place: &Namespace, to: SocketAddr) -> anyhow::Result<Answer> {
        Client::open(place, to).await?.send(self).await
    }

    /// Sends it over a connection of its own and reads the whole answer.
    pub async fn complete(self, place: &Namespace, to: SocketAddr) -> anyhow::Result<Complete> {
        self.send(place, to).await?.complete().await
    }
}

impl Answer {
    pub async fn complete(self) -> anyhow::Result<Complete> {
        let body = self
            .body
            .collect()
            .await
            .context("read the body")?
            .to_bytes();
        Ok(Complete {
            status: self.status,
            headers: self.headers,
            body,
        })
    }

    pub fn events(self) -> Events {
        Events::new(self.body, self.driver)
    }
}

impl Complete {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, `null` when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

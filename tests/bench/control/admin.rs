//! One kept connection to an admin socket: what is measured is the gate, not the making of clients.

use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

pub(super) struct Admin {
    socket: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    _connection: JoinSet<()>,
}

impl Admin {
    /// Reached from every network namespace.
    pub(super) fn at(socket: PathBuf) -> Self {
        Self {
            socket,
            open: Mutex::new(None),
        }
    }

    /// Asks, and makes the connection first where there is none.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        let mut open = self.open.lock().await;
        let is_there = open.as_ref().is_some_and(|open| !open.sender.is_closed());
        if !is_there {
            *open = Some(self.connect().await?);
        }
        let open = open.as_mut().context("just made")?;
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gate")
            .body(Full::new(body))?;
        let answer = open.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }

    async fn connect(&self) -> anyhow::Result<Open> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _told_by_the_sender = connection.await;
        });
        Ok(Open {
            sender,
            _connection: driver,
        })
    }
}

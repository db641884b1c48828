//! Bytes to the gate that no HTTP library would send, and all bytes that come back.
//!
//! Does not parse. An answer is over when the gate closes, or when it has been quiet: a gate that
//! keeps the connection open for a next request would otherwise hold the test forever.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::netns::Namespace;
use crate::probe;

/// How long a silent gate is listened to.
const QUIET: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Heard {
    pub bytes: Vec<u8>,
    pub close: Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The gate ended the connection in order.
    Orderly,
    /// The gate reset it.
    Reset,
    /// It still stands.
    Open,
}

/// Sends `bytes` from `place` to `to` and listens.
pub async fn exchange(place: &Namespace, to: SocketAddr, bytes: &[u8]) -> io::Result<Heard> {
    let mut stream = probe::connect(place, to).await?;
    // A gate that has refused already may not read on: what it said still counts.
    let _refused_early = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let close = loop {
        match timeout(QUIET, stream.read_buf(&mut heard)).await {
            Ok(Ok(0)) => break Close::Orderly,
            Ok(Ok(_more)) => {}
            Ok(Err(_reset)) => break Close::Reset,
            Err(_elapsed) => break Close::Open,
        }
    };
    Ok(Heard {
        bytes: heard,
        close,
    })
}

impl Heard {
    /// The status code of the first answer.
    pub fn status(&self) -> Option<u16> {
        self.text()
            .strip_prefix("HTTP/1.1 ")?
            .get(..3)?
            .parse()
            .ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

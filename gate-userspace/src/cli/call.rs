//! One question to the admin API and its answer: HTTP/1.1 over the Unix socket or loopback TCP.
//!
//! Does not retry: whoever repeats a question that makes a token says so with an idempotency key.
//! Each question has its own connection, which ends with it.

mod question;
mod answer;
mod download;
mod stream;

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

pub(super) use download::Download;
pub(super) use question::{Question, whole_seconds};
pub(super) use stream::Events;

use super::{fault::Fault, settle::Endpoint};

/// The gate, as `gatectl` talks to it.
#[derive(Debug)]
pub(super) struct Gate {
    endpoint: Endpoint,
    timeout: Duration,
    /// What was typed, for hints; argv never holds a secret.
    command: String,
}

/// An answered connection; dropping it hangs up.
struct Call {
    response: Response<Incoming>,
    connection: JoinSet<()>,
}

impl Gate {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration, command: String) -> Self {
        Self {
            endpoint,
            timeout,
            command,
        }
    }

    /// What was typed, so that a hint can repeat it.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks and returns the JSON answer.
    pub(super) async fn ask(&self, question: Question) -> Result<Value, Fault> {
        let patience = self.timeout + question.patience;
        timeout(patience, self.ask_patiently(question))
            .await
            .unwrap_or_else(|_elapsed| Err(self.silent(patience)))
    }

    /// Asks for a stream of events.
    pub(super) async fn follow(&self, path: &str) -> Result<Events, Fault> {
        let question = Question::get(path);
        let call = timeout(self.timeout, self.call(question))
            .await
            .unwrap_or_else(|_elapsed| Err(self.silent(self.timeout)))?;
        if call.response.status() != StatusCode::OK {
            return Err(answer::refusal(call).await);
        }
        Ok(Events::new(call.response.into_body(), call.connection))
    }

    /// Asks for a file.
    pub(super) async fn download(&self, question: Question) -> Result<Download, Fault> {
        // It is made before the first byte comes, which takes as long as the store is large.
        let call = self.call(question).await?;
        if call.response.status().is_success() {
            Ok(Download::new(call))
        } else {
            Err(answer::refusal(call).await)
        }
    }

    async fn ask_patiently(&self, question: Question) -> Result<Value, Fault> {
        let call = self.call(question).await?;
        if !call.response.status().is_success() {
            return Err(answer::refusal(call).await);
        }
        let body = answer::read(call).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|cause| {
            Fault::refused("the answer is not JSON")
                .because(cause)
                .hint(format!("is {} the admin socket of a gate?", self.place()))
        })
    }

    async fn call(&self, question: Question) -> Result<Call, Fault> {
        let request = self.request(question);
        let opened = match &self.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                open(stream.map_err(|cause| self.cannot_reach(cause, Some(path)))?).await
            }
            Endpoint::Tcp { authority, tls, .. } => {
                let stream = TcpStream::connect(authority).await;
                let stream = stream.map_err(|cause| self.cannot_reach(cause, None))?;
                match tls {
                    None => open(stream).await,
                    Some(tls) => {
                        let connector = TlsConnector::from(Arc::clone(&tls.config));
                        let shaken = connector.connect(tls.name.clone(), stream).await;
                        open(shaken.map_err(|cause| self.not_believed(cause))?).await
                    }
                }
            }
        };
        let (mut sender, connection) = opened.map_err(|cause| self.broken(cause))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|cause| self.broken(cause))?;
        Ok(Call {
            response,
            connection,
        })
    }

    fn request(&self, question: Question) -> Request<Full<Bytes>> {
        let has_body = question.body.is_some();
        let body = Bytes::from(question.body.unwrap_or_default());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = question.method;
        *request.uri_mut() = question
            .path
            .parse()
            .expect("paths are made of names that are safe in paths");
        let headers = request.headers_mut();
        let host = match &self.endpoint {
            Endpoint::Unix(_) => "localhost",
            Endpoint::Tcp { authority, .. } => authority,
        };
        let mut put = |name, text: &str, sensitive| {
            let mut value = HeaderValue::from_str(text).expect("parsed to be visible ASCII");
            value.set_sensitive(sensitive);
            headers.insert(name, value);
        };
        put(header::HOST, host, false);
        if let Endpoint::Tcp { token, .. } = &self.endpoint {
            put(
                header::AUTHORIZATION,
                &format!("Bearer {}", token.reveal()),
                true,
            );
        }
        if has_body {
            put(header::CONTENT_TYPE, "application/json", false);
        }
        if let Some(key) = &question.idempotency_key {
            put(HeaderName::from_static("idempotency-key"), key, false);
        }
        request
    }

    fn place(&self) -> String {
        match &self.endpoint {
            Endpoint::Unix(path) => path.display().to_string(),
            Endpoint::Tcp { authority, .. } => authority.clone(),
        }
    }

    fn cannot_reach(&self, cause: io::Error, socket: Option<&Path>) -> Fault {
        let hint = match (cause.kind(), socket) {
            (io::ErrorKind::PermissionDenied, Some(_)) => format!(
                "the socket belongs to group `gate`; try `sudo -g gate {}`",
                self.command
            ),
            (io::ErrorKind::NotFound, Some(_)) => {
                "is gated running here? start it with `gated`, or name its socket with `--socket PATH`"
                    .to_owned()
            }
            (io::ErrorKind::ConnectionRefused, Some(_)) => {
                "gated left this socket behind; start it again with `gated`".to_owned()
            }
            (_, Some(_)) => "name the admin socket with `--socket PATH`".to_owned(),
            (_, None) => "is the TCP admin listener on? see `[admin] listen`".to_owned(),
        };
        Fault::unreachable(format!("cannot reach the gate at {}", self.place()))
            .because(cause)
            .hint(hint)
    }

    fn not_believed(&self, cause: io::Error) -> Fault {
        Fault::unreachable(format!("no TLS with the gate at {}", self.place()))
            .because(cause)
            .hint("`--ca FILE` names the authority that signed its certificate, in PEM")
    }

    fn broken(&self, cause: hyper::Error) -> Fault {
        Fault::unreachable(format!("the gate at {} broke off", self.place()))
            .because(cause)
            .hint("nothing says whether the change was made: `gatectl status` shows what stands")
    }

    fn silent(&self, after: Duration) -> Fault {
        Fault::unreachable(format!(
            "the gate at {} did not answer within {}",
            self.place(),
            humantime::format_duration(after)
        ))
        .hint(format!("give it longer: `{} --timeout 2m`", self.command))
    }
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn open<S>(stream: S) -> Result<(Sender, JoinSet<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = JoinSet::new();
    // The sender reports a broken connection; the driver's own error says the same again.
    connection.spawn(async move {
        let _told_by_the_sender = driver.await;
    });
    Ok((sender, connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_reach_the_socket_is_told_why_and_what_to_type() {
        let endpoint = Endpoint::Unix("/run/gate/admin.sock".into());
        let gate = Gate::new(endpoint, Duration::ZERO, "gatectl status".into());
        let rows = [
            (
                io::ErrorKind::PermissionDenied,
                "`sudo -g gate gatectl status`",
            ),
            (io::ErrorKind::NotFound, "is gated running here?"),
            (io::ErrorKind::ConnectionRefused, "start it again"),
        ];
        for (kind, want) in rows {
            let fault = gate.cannot_reach(kind.into(), Some(Path::new("/run/gate/admin.sock")));
            let hint = fault.hint_text().unwrap_or_default();
            assert!(hint.contains(want), "{kind}: {hint}");
        }
    }
}

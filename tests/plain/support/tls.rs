//! A gate that speaks TLS, and callers that do.

use std::{future::Future, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use gate_userspace::tls::{self, Roots, Server};
use harness::authority::Authority;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Gate, Maker};

/// A gate whose certificate an authority of its own vouches for.
pub(crate) struct Secure {
    pub(crate) gate: Gate,
    pub(crate) server: Arc<Server>,
    pub(crate) authority: Authority,
}

impl Secure {
    pub(crate) fn start(maker: Maker) -> Self {
        let authority = Authority::new().unwrap();
        let files = authority.files(&["localhost"]).unwrap();
        let files = tls::Pem {
            certificate: files.certificate,
            key: files.key,
        };
        let server = Server::load(files, &[tls::H2, tls::HTTP11]).unwrap();
        let server = Arc::new(server);
        let shown = Arc::clone(&server);
        let gate = maker
            .set(|settings| settings.listen[0].tls = Some(shown))
            .start();
        Self {
            gate,
            server,
            authority,
        }
    }

    /// A connection on which one of these versions was agreed on, if any.
    pub(crate) async fn connect(
        &self,
        versions: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let roots = Roots::File(self.authority.root());
        shake(self.gate.address, &roots, versions).await
    }

    pub(crate) async fn h2(&self) -> Shared {
        let stream = self.connect(&[tls::H2]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(tls::H2));
        let builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        let ended = spawn(async move {
            let _told_elsewhere = connection.await;
        });
        Shared { sender, ended }
    }

    pub(crate) async fn h1(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect(&[tls::HTTP11]).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        spawn(async move {
            let _told_elsewhere = connection.await;
        });
        sender
    }
}

/// A connection that many calls share.
pub(crate) struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    ended: tokio::task::JoinHandle<()>,
}

impl Shared {
    pub(crate) async fn call(
        &self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.clone().send_request(request).await
    }

    /// Resolves when the gate has closed the connection.
    pub(crate) async fn ended(self) {
        self.ended.await.unwrap();
    }
}

/// A call over HTTP/2, where the target says the host.
pub(crate) fn call(method: &str, path: &str, token: &str) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .header("authorization", format!("Bearer {token}"));
    let body = if method == "POST" { "{}" } else { "" };
    request.body(Full::from(body)).unwrap()
}

/// All of an answer.
pub(crate) async fn text(
    answer: Response<impl Body<Data = Bytes, Error = hyper::Error>>,
) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The next piece of an answer that has one.
pub(crate) async fn piece(body: &mut Incoming) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    let data = frame.into_data().unwrap();
    Some(String::from_utf8(data.to_vec()).unwrap())
}

/// What comes until the end, which must be a clean one.
pub(crate) async fn rest(body: &mut Incoming) -> String {
    let mut rest = String::new();
    while let Some(more) = piece(body).await {
        rest += &more;
    }
    rest
}

pub(crate) async fn shake(
    address: SocketAddr,
    roots: &Roots,
    versions: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(tls::client(roots, versions).unwrap());
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    connector.connect(name, stream).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runtime of one test ends with it"
)]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(work)
}

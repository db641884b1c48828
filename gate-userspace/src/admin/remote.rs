//! The API for other machines: TLS, a token with a role, and a budget for each address.
//!
//! Threat: the whole network may connect here. So a connection has little time to say who it is, no
//! body is read before a token was recognised, a wrong one costs its address as much as many right
//! ones, and what would let an operator make himself more than he is can only be asked for at the
//! socket of the host. Off unless the configuration gives it an address.

mod budget;
mod seats;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::{budget::Budget, seats::Seats};
use super::{Api, over, peer::Signed, refusal::Refusal, routes};
use crate::{secret::Digest, tls};

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;

/// What is tried again at once fails again: there are no descriptors left, as a rule.
const BREATH: Duration = Duration::from_millis(100);

/// For a handshake, and for a head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where it listens, and what it shows.
pub struct Remote {
    pub listener: TcpListener,
    pub tls: Option<Arc<tls::Server>>,
}

/// What every call needs.
#[derive(Clone)]
struct Door {
    api: Api,
    budget: Arc<Budget>,
}

/// Answers until it is told to stop; what runs then is finished within the grace of the socket's.
pub async fn serve(api: Api, remote: Remote, stop: CancellationToken) {
    let door = Door {
        api: api.clone(),
        budget: Arc::default(),
    };
    let router = routes::remote()
        .with_state(api)
        .layer(from_fn_with_state(door, recognise));
    let (room, seats) = (Arc::new(Semaphore::new(CONNECTIONS)), Seats::default());
    let mut connections = JoinSet::new();
    loop {
        let permit = Arc::clone(&room).acquire_owned();
        let (permit, stream, from) = tokio::select! {
            accepted = async { (permit.await, remote.listener.accept().await) } => match accepted {
                (Ok(permit), Ok((stream, from))) => (permit, stream, from),
                (Ok(_), Err(why)) => {
                    tracing::warn!(error = %why, "a connection to the admin listener was lost");
                    sleep(BREATH).await;
                    continue;
                }
                (Err(_closed), _) => return,
            },
            Some(_ended) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        // One address must not take every seat. Who has too many is not worth a word.
        let Some(seat) = seats.take(from.ip().to_canonical()) else {
            continue;
        };
        let (router, tls, stop) = (router.clone(), remote.tls.clone(), stop.clone());
        connections.spawn(async move {
            answer(router, stream, from, tls, &stop).await;
            drop((permit, seat));
        });
    }
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        () = over(&stop) => {}
    }
}

async fn answer(
    router: Router,
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<tls::Server>>,
    stop: &CancellationToken,
) {
    let router = router.layer(axum::Extension(From(from.ip().to_canonical())));
    let Some(tls) = tls else {
        return speak(router, stream, stop).await;
    };
    let shaking = TlsAcceptor::from(tls.config()).accept(stream);
    if let Ok(Ok(stream)) = timeout(PATIENCE, shaking).await {
        speak(router, stream, stop).await;
    }
}

async fn speak<S>(router: Router, stream: S, stop: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // A caller that broke off knows it.
        _told_the_caller = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = connection.await;
}

/// Where a connection comes from.
#[derive(Clone, Copy)]
struct From(IpAddr);

/// Asks for a token before anything else, and remembers whose it is.
async fn recognise(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(From(from)) = request.extensions().get::<From>().copied() else {
        return Refusal::no_token().into_response();
    };
    if let Err(wait) = door.budget.call(from) {
        return Refusal::too_often(wait).into_response();
    }
    let Some(signed) = signed(&door.api, request.headers()) else {
        door.budget.mistake(from);
        tracing::warn!(%from, path = request.uri().path(), "no operator's token at the admin listener");
        return Refusal::no_token().into_response();
    };
    request.extensions_mut().insert(signed);
    next.run(request).await
}

fn signed(api: &Api, headers: &HeaderMap) -> Option<Signed> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token)?;
    let operators = api.control.operators();
    let operator = operators.find(&Digest::of(token.as_bytes()))?;
    Some(Signed {
        name: operator.name.clone(),
        role: operator.role,
    })
}

//! The API for other machines: TLS, a token with a role, and a budget for each address.
//!
//! Threat: the whole network may connect here. So a connection has little time to say who it is, no
//! body is read before a token was recognised, who shows wrong ones is soon told to wait, and what
//! would let an operator make himself more than he is can only be asked for at the socket of the
//! host. A right token is never refused for a neighbour's wrong ones. Off unless the configuration
//! gives it an address.

mod budget;
mod seats;

use std::{
    net::{IpAddr, Ipv6Addr},
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
use crate::{ident::OperatorName, secret::Digest, tls};

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
    /// Of each operator: two hundred a second, a thousand at once.
    calls: Arc<Budget<OperatorName>>,
    /// Of each site: twenty at once, then four a second.
    mistakes: Arc<Budget<IpAddr>>,
}

/// An address, or of IPv6 the network that one customer has: the rest of it can be chosen freely.
#[derive(Clone, Copy)]
struct Site(IpAddr);

/// Answers until it is told to stop; what runs then is finished within the grace of the socket's.
pub async fn serve(api: Api, remote: Remote, stop: CancellationToken) {
    let door = Door {
        api: api.clone(),
        calls: Arc::new(Budget::new(200.0, 1000.0)),
        mistakes: Arc::new(Budget::new(4.0, 20.0)),
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
        let site = Site::of(from.ip());
        // One site must not take every seat. Who has too many is not worth a word.
        let Some(seat) = seats.take(site.0) else {
            continue;
        };
        let (router, tls, stop) = (router.clone(), remote.tls.clone(), stop.clone());
        connections.spawn(async move {
            answer(router, stream, site, tls, &stop).await;
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
    site: Site,
    tls: Option<Arc<tls::Server>>,
    stop: &CancellationToken,
) {
    let router = router.layer(axum::Extension(site));
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

impl Site {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64)).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// Asks for a token before anything else, and remembers whose it is.
async fn recognise(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(Site(site)) = request.extensions().get::<Site>().copied() else {
        return Refusal::no_token().into_response();
    };
    let Some(signed) = signed(&door.api, request.headers()) else {
        return match door.mistakes.take(site) {
            Ok(()) => {
                let path = request.uri().path();
                tracing::warn!(%site, path, "no operator's token at the admin listener");
                Refusal::no_token().into_response()
            }
            Err(wait) => Refusal::too_many_tokens(wait).into_response(),
        };
    };
    if let Err(wait) = door.calls.take(signed.name.clone()) {
        return Refusal::too_often(wait).into_response();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_an_address_or_the_network_of_one_customer() {
        let of = |text: &str| Site::of(text.parse().unwrap()).0.to_string();
        assert_eq!(of("10.0.0.5"), "10.0.0.5");
        assert_eq!(of("::ffff:10.0.0.5"), "10.0.0.5");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}

//! Reaching the server, or the right one of several.
//!
//! Of several all are asked at once, so that one that is gone or hangs costs no time, and of those
//! that take writes the latest in their line is chosen: a former primary may be one of them.

use std::{cmp::Reverse, future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use deadpool_postgres::Connect;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PATIENCE,
    history::{History, Server, server},
};

/// One of several that does not answer for so long is not waited for.
pub(super) const EACH: Duration = Duration::from_secs(3);
/// How long the others have once one has answered.
const GRACE: Duration = Duration::from_millis(300);

/// A connection, and the task that moves its bytes until it ends.
pub(super) type Call = (Client, JoinHandle<()>);

#[derive(Clone)]
pub(super) struct Dialer {
    /// In the order of the URL.
    pub(super) servers: Arc<[Config]>,
    /// None = the way to the server is not encrypted.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Rung by notices.
    pub(super) bell: Arc<Notify>,
    pub(super) history: Arc<History>,
}

struct Reached {
    call: Call,
    place: usize,
    server: Option<Server>,
}

impl Dialer {
    /// May take for ever: whoever waits has a limit.
    pub(super) async fn dial(&self) -> Result<Call, Error> {
        if let [only] = &*self.servers {
            return self.connect(only).await;
        }
        let servers = self.servers.iter().enumerate();
        let mut asked: FuturesUnordered<_> = servers
            .map(|(place, config)| self.reach(place, config))
            .collect();
        let (mut reached, mut failure) = (Vec::new(), None);
        let mut until = Instant::now() + PATIENCE;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, asked.next()).await {
            match answer {
                Ok(one) => {
                    reached.push(one);
                    until = until.min(Instant::now() + GRACE);
                }
                Err(why) => failure = why.or(failure),
            }
        }
        let best = reached
            .into_iter()
            .max_by_key(|one| (self.history.rank(one.server), Reverse(one.place)));
        match (best, failure) {
            (Some(best), _) => {
                self.history.arrive(best.place);
                Ok(best.call)
            }
            (None, Some(why)) => Err(why),
            (None, None) => std::future::pending().await,
        }
    }

    /// Looks whether another server has taken the place of one that hangs. Connections that stand are
    /// kept where none has: each that is left behind may occupy its server.
    pub(super) async fn look(&self) {
        if self.servers.len() > 1 {
            let looked = tokio::time::timeout(EACH + GRACE, self.dial()).await;
            if let Ok(Err(why)) = looked {
                tracing::debug!(error = %why, "no other server takes writes");
            }
        }
    }

    /// An error of none = it did not answer.
    async fn reach(&self, place: usize, config: &Config) -> Result<Reached, Option<Error>> {
        let reached = async {
            let call = self.connect(config).await?;
            let server = server(&call.0).await?;
            Ok(Reached {
                call,
                place,
                server,
            })
        };
        let reached = tokio::time::timeout(EACH, reached).await;
        reached.map_err(|_late| None)?.map_err(Some)
    }

    async fn connect(&self, config: &Config) -> Result<Call, Error> {
        if let Some(tls) = &self.tls {
            let (client, connection) = config.connect(tls.clone()).await?;
            Ok((client, drive(connection, Arc::clone(&self.bell))))
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, drive(connection, Arc::clone(&self.bell))))
        }
    }
}

impl Connect for Dialer {
    fn connect(
        &self,
        _same_for_all: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Call, Error>> + Send + '_>> {
        Box::pin(self.dial())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it ends with its client, which the pool or the listener owns"
)]
fn drive<T>(mut connection: Connection<Socket, T>, bell: Arc<Notify>) -> JoinHandle<()>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(_))) => bell.notify_one(),
                // Notices are talk of the server; later versions may add more talk.
                Some(Ok(_)) => {}
                Some(Err(why)) => return tracing::debug!(error = %why, "a connection broke"),
                None => return,
            }
        }
    })
}

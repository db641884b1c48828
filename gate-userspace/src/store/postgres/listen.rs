//! The wake-up: a connection of its own that hears of others' changes as they are committed.
//!
//! Whatever goes wrong here costs latency, never a change: the feed is read on a timer too.

use std::{future::poll_fn, pin::pin, sync::atomic::Ordering, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, NoTls, Socket, tls::MakeTlsConnect};

use super::Postgres;

pub(super) const CHANNEL: &str = "gate_changes";

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

impl Postgres {
    pub(in crate::store) async fn listen(&self) {
        loop {
            let heard = match &self.tls {
                Some(tls) => self.hear_by(tls.clone()).await,
                None => self.hear_by(NoTls).await,
            };
            if let Err(why) = heard {
                tracing::debug!(error = %why, "others' changes are polled for");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn hear_by<T>(&self, tls: T) -> Result<(), Error>
    where
        T: MakeTlsConnect<Socket>,
    {
        let (client, connection) = self.config.connect(tls).await?;
        self.hear(client, connection).await;
        self.is_listening.store(false, Ordering::Release);
        Ok(())
    }

    /// Until the connection ends.
    async fn hear<T>(&self, client: Client, mut connection: Connection<Socket, T>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let text = format!("LISTEN {CHANNEL}");
        let mut listening = pin!(client.batch_execute(&text));
        let mut is_listening = false;
        loop {
            let message = poll_fn(|cx| connection.poll_message(cx));
            tokio::select! {
                done = &mut listening, if !is_listening => {
                    is_listening = done.is_ok();
                    if !is_listening {
                        return;
                    }
                    self.is_listening.store(true, Ordering::Release);
                    // What was committed before this is heard of by looking.
                    self.bell.notify_one();
                }
                message = message => match message {
                    Some(Ok(AsyncMessage::Notification(_))) => self.bell.notify_one(),
                    // Notices are talk of the server; later versions may add more talk.
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
            }
        }
    }
}

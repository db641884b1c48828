//! Which idle connections are used again.

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::{LocalSet, spawn_local},
};

use super::{idle::Idle, pool::Slot, *};

const LARGE: usize = 1 << 20;

/// An upstream that answers before it has read, and then reads no more, holds no later call.
#[tokio::test]
async fn a_connection_that_is_still_sending_is_not_used_again() {
    let test = async {
        let slot = Slot::default();
        let (mut stuck, mut upstream) = idle().await;
        let body = Inbound::whole(vec![0; LARGE].into());
        let sent = stuck.sender.try_send_request(Request::new(body));
        let answered = async {
            upstream.read_exact(&mut [0; 16]).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            upstream.write_all(answer).await.unwrap();
        };
        let (answer, ()) = tokio::join!(sent, answered);
        assert!(answer.is_ok_and(|answer| answer.status() == 200));
        slot.put(stuck);
        assert!(slot.ready().await.is_none());
        drop(upstream);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    let test = async {
        let slot = Slot::default();
        let (idle, _upstream) = idle().await;
        slot.put(idle);
        assert!(slot.ready().await.is_some());
        assert!(slot.ready().await.is_none());
    };
    LocalSet::new().run_until(test).await;
}

async fn idle() -> (Idle, DuplexStream) {
    let (ours, theirs) = duplex(1024);
    let (sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
    let task = spawn_local(async move {
        let _either_way = connection.await;
    });
    (Idle::new(sender, task.abort_handle(), None), theirs)
}

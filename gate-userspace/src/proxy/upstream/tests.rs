//! Which connections are used again, and when one is given up.

use std::rc::Rc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::UnixStream,
    task::{LocalSet, spawn_local},
};

use super::{dial::two, idle::Idle, pool::Slot, wire::Wire, *};
use crate::fault::Unreachable;

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

/// An upstream that is gone without a word: its calls end, though no socket says so.
#[tokio::test]
async fn a_connection_that_answers_no_ping_is_given_up() {
    let test = async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        spawn_local(async move {
            theirs.write_all(&SETTINGS).await.unwrap();
            while theirs.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        });
        let shared = Rc::new(two(Wire::Unix(ours), None).await.unwrap());
        let stream = shared.place().unwrap();
        let request = Request::get("http://upstream/").body(Inbound::whole(Bytes::new()));
        let answer = stream.sender().try_send_request(request.unwrap()).await;
        assert!(answer.is_err());
        assert!(!shared.stands());
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn what_speaks_no_http2_is_told_apart() {
    let test = async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        theirs.write_all(answer).await.unwrap();
        let made = two(Wire::Unix(ours), None).await;
        assert!(matches!(made, Err(Unreachable::NotHttp2)));
    };
    LocalSet::new().run_until(test).await;
}

/// A frame of SETTINGS that leaves everything as it is (RFC 9113 section 6.5).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn idle() -> (Idle, DuplexStream) {
    let (ours, theirs) = duplex(1024);
    let (sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
    let task = spawn_local(async move {
        let _either_way = connection.await;
    });
    (Idle::new(sender, task.abort_handle(), None), theirs)
}

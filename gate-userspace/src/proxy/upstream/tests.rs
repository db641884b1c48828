//! Which idle connections are used again.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::{LocalSet, spawn_local},
};

use super::*;

const LARGE: usize = 1 << 20;

/// An upstream that answers before it has read, and then reads no more, holds no later call.
#[tokio::test]
async fn a_connection_that_is_still_sending_is_not_used_again() {
    let test = async {
        let pool = Pool::new(1);
        let (stuck, mut upstream) = idle().await;
        let mut lease = lease(&pool, stuck);
        let body = Inbound::whole(vec![0; LARGE].into());
        let sent = exchange(Request::new(body), &mut lease, Duration::from_secs(5));
        let answered = async {
            upstream.read_exact(&mut [0; 16]).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            upstream.write_all(answer).await.unwrap();
        };
        let (answer, ()) = tokio::join!(sent, answered);
        assert!(answer.is_ok_and(|answer| answer.status() == 200));
        lease.done();
        assert!(pool.ready(0).await.is_none());
        drop(upstream);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    let test = async {
        let pool = Pool::new(1);
        let (idle, _upstream) = idle().await;
        pool.put(0, idle);
        assert!(pool.ready(0).await.is_some());
        assert!(pool.ready(0).await.is_none());
    };
    LocalSet::new().run_until(test).await;
}

async fn idle() -> (Idle, DuplexStream) {
    let (ours, theirs) = duplex(1024);
    let (sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
    let task = spawn_local(async move {
        let _either_way = connection.await;
    });
    let idle = Idle {
        sender,
        task: task.abort_handle(),
        since: Instant::now(),
    };
    (idle, theirs)
}

fn lease(pool: &Rc<Pool>, idle: Idle) -> Lease {
    Lease {
        connection: Some(idle),
        upstream: 0,
        pool: Rc::clone(pool),
        outcome: Rc::new(Cell::new(Outcome::Whole)),
    }
}

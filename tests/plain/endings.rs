//! What a revocation ends, how, and what it leaves alone.

use std::{sync::Arc, time::Duration};

use gate_userspace::{
    client::{Client, Kind, Reach},
    proxy::live::{Cut, Ended},
    settings::Mode,
    source::Source,
};

use crate::support::{
    Connection, Gate, Upstream, adopt, begin, block_on, chunk, client_id, request, wait_for_close,
};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const CHAT_B: &str = "/rollout/B/v1/chat/completions";

/// Acceptance 69 and 171.
#[test]
fn a_closed_rollout_ends_its_streams_and_no_others() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let (mut of_a, of_b) = (stream(&gate, &a, CHAT_A), stream(&gate, &b, CHAT_B));
    assert_eq!(gate.live.streams(), 2);
    let ended = gate.close("A");
    assert_eq!(
        ended,
        Ended {
            streams: 1,
            connections: 1
        }
    );
    let last = of_a.chunk().unwrap();
    let text = String::from_utf8(last).unwrap();
    assert!(
        text.starts_with("data: {\"error\":{") && text.contains("REVOKED"),
        "{text}"
    );
    assert_eq!(of_a.chunk().unwrap(), b"");
    assert_eq!(of_a.rest().0, b"");
    upstream.wait_for_closed(1);
    of_b.stream.set_nonblocking(true).unwrap();
    let open = of_b.stream.peek(&mut [0]).unwrap_err();
    assert_eq!(open.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(gate.live.streams(), 1);
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 401);
}

#[test]
fn the_last_word_is_of_the_streams_dialect() {
    for (path, start) in [
        (
            "/rollout/A/v1/messages",
            "event: error\ndata: {\"type\":\"error\",\"error\":{",
        ),
        (
            "/rollout/A/v1/responses",
            "event: error\ndata: {\"type\":\"error\",\"code\":\"REVOKED\"",
        ),
    ] {
        let upstream = endless();
        let gate = Gate::before(&upstream);
        let (a, _) = gate.two_rollouts();
        let mut connection = stream(&gate, &a, path);
        gate.close("A");
        let text = String::from_utf8(connection.chunk().unwrap()).unwrap();
        assert!(
            text.starts_with(start) && text.contains("REVOKED"),
            "{text}"
        );
    }
}

/// Acceptance 51.
#[test]
fn a_waiting_call_is_cancelled() {
    let upstream = Upstream::start(|_, to| wait_for_close(to));
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    connection.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    let mut other = gate.connect();
    other.send(request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", &a)],
        "{}",
    ));
    upstream.wait_for(2);
    assert_eq!(gate.close("A").streams, 2);
    let reply = connection.reply();
    assert_eq!(
        (reply.status, reply.text()),
        (499, r#"{"error":"Rollout cancelled"}"#)
    );
    assert_eq!(reply.kind(), "ROLLOUT_CANCELLED");
    assert_eq!(connection.rest().0, b"");
    let reply = other.reply();
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (409, "ROLLOUT_CONCLUDED")
    );
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 401);
}

#[test]
fn an_idle_connection_of_a_dead_token_is_closed() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let (mut of_a, mut of_b) = (gate.connect(), gate.connect());
    assert_eq!(
        of_a.call("POST", CHAT_A, &[("x-api-key", &a)], "{}").status,
        200
    );
    assert_eq!(
        of_b.call("POST", CHAT_B, &[("x-api-key", &b)], "{}").status,
        200
    );
    assert_eq!(
        gate.close("A"),
        Ended {
            streams: 0,
            connections: 1
        }
    );
    assert_eq!(of_a.rest().0, b"");
    assert_eq!(
        of_b.call("POST", CHAT_B, &[("x-api-key", &b)], "{}").status,
        200
    );
}

/// Nor is an ending held up by a caller that has its answer and does not close.
#[test]
fn a_caller_that_stays_after_its_answer_is_reset() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    let headers = [("x-api-key", a.as_str()), ("connection", "close")];
    assert_eq!(connection.call("POST", CHAT_A, &headers, "{}").status, 200);
    assert_eq!(connection.rest(), (Vec::new(), false));
    assert_eq!(gate.close("A").connections, 1);
    assert!(connection.stream.take_error().unwrap().is_some(), "a reset");
}

/// A connection belongs to the token that it carried last.
#[test]
fn a_shared_connection_follows_its_last_token() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let mut tunnel = gate.connect();
    assert_eq!(
        tunnel
            .call("POST", CHAT_A, &[("x-api-key", &a)], "{}")
            .status,
        200
    );
    assert_eq!(
        tunnel
            .call("POST", CHAT_B, &[("x-api-key", &b)], "{}")
            .status,
        200
    );
    assert_eq!(gate.close("A"), Ended::default());
    assert_eq!(
        tunnel
            .call("POST", CHAT_B, &[("x-api-key", &b)], "{}")
            .status,
        200
    );
}

/// No part is taken for the whole.
#[test]
fn a_body_that_is_no_stream_is_broken_off() {
    let upstream = Upstream::start(|_, to| {
        begin(to, "application/json");
        chunk(to, "{\"half\":");
        wait_for_close(to);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    connection.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    assert_eq!(connection.head().status, 200);
    connection.chunk().unwrap();
    assert_eq!(gate.close("A").streams, 1);
    assert_eq!(connection.chunk(), None);
}

/// A caller that does not read gets no time beyond the bound.
#[test]
fn a_caller_that_does_not_read_is_reset() {
    let upstream = Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        let event = format!("data: {}\n\n", "x".repeat(60_000));
        while std::io::Write::write_all(to, format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
            .is_ok()
        {}
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    connection.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    assert_eq!(connection.head().status, 200);
    // The socket is full when the gate has stopped to read from the upstream.
    let mut before = 0;
    loop {
        let now = gate.proxy.counters().bytes();
        if now > 0 && now == before {
            break;
        }
        before = now;
        // why: it must be still for a while before it counts as stuck.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(gate.close("A").connections, 1);
    assert!(connection.rest().1, "a reset");
}

/// Nor does one of the rollout's own sources that goes, or of the client's that does not count there.
#[test]
fn a_covering_token_is_bound_as_its_rollout_is() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    let secret = "0123456789abcdef0123456789abcdef";
    let (lo, other) = (gate.source("lo"), gate.source("10.0.0.5"));
    let both = vec![lo.clone(), other.clone()];
    let token = adopt(Kind::Client, secret);
    let covering = |client: &mut Client, sources: &[Source]| {
        client.reach = Reach::CoversRollouts;
        client.tokens = vec![token.clone()];
        client.sources = sources.to_vec();
    };
    gate.client(1, |client| covering(client, &both));
    gate.rollout("A", 1, |rollout| rollout.sources = both.clone());
    let mut of_a = stream(&gate, secret, CHAT_A);
    let grant = gate.grants.client(client_id(1)).unwrap();
    let mut client = Client::clone(&grant.record());
    covering(&mut client, std::slice::from_ref(&other));
    let effects = gate.grants.put_client(client);
    assert_eq!(effects.narrowed.len(), 1);
    let narrow = |tokens| block_on(gate.live.narrow(tokens, gate.grants.host()));
    assert_eq!(narrow(&effects.narrowed), Ended::default());
    let effects = gate.change("A", |rollout| rollout.sources = vec![other]);
    assert_eq!(narrow(&effects.narrowed).streams, 1);
    let text = String::from_utf8(of_a.chunk().unwrap()).unwrap();
    assert!(text.contains("REVOKED"), "{text}");
}

#[test]
fn closing_a_rollout_ends_what_a_covering_token_runs_in_it() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    let secret = "0123456789abcdef0123456789abcdef";
    gate.client(1, |client| {
        client.reach = Reach::CoversRollouts;
        client.tokens = vec![adopt(Kind::Client, secret)];
    });
    gate.rollout("A", 1, |_| {});
    gate.rollout("B", 1, |_| {});
    let mut of_a = stream(&gate, secret, CHAT_A);
    let _of_b = stream(&gate, secret, CHAT_B);
    assert_eq!(gate.close("A").streams, 1);
    assert!(
        String::from_utf8(of_a.chunk().unwrap())
            .unwrap()
            .contains("REVOKED")
    );
    assert_eq!(gate.live.streams(), 1);
}

/// A removed source ends what comes from it, and leaves the token alive.
#[test]
fn a_removed_source_ends_its_streams() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    gate.client(1, |_| {});
    let sources = vec![gate.source("lo"), gate.source("10.0.0.5")];
    let a = gate.rollout("A", 1, |rollout| rollout.sources = sources);
    let mut connection = stream(&gate, &a, CHAT_A);
    let effects = gate.change("A", |rollout| {
        rollout.sources.remove(0);
    });
    assert_eq!(effects.dead, []);
    let ended = block_on(gate.live.narrow(&effects.narrowed, gate.grants.host()));
    assert_eq!(ended.streams, 1);
    assert!(
        String::from_utf8(connection.chunk().unwrap())
            .unwrap()
            .contains("REVOKED")
    );
}

/// Acceptance 173, as far as the proxy goes.
#[test]
fn a_closed_gate_serves_nobody() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut running = stream(&gate, &a, CHAT_A);
    let mut idle = gate.connect();
    assert_eq!(idle.call("GET", "/health", &[], "").status, 200);
    gate.grants.set_mode(Mode::Closed);
    let ended = block_on(gate.live.cut_all(Cut::Panic));
    assert_eq!((ended.streams, ended.connections), (1, 2));
    assert!(
        String::from_utf8(running.chunk().unwrap())
            .unwrap()
            .contains("SERVICE_UNAVAILABLE")
    );
    let mut late = gate.connect();
    let _closed = std::io::Write::write_all(
        &mut late.stream,
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert_eq!(late.rest().0, b"");
}

/// Acceptance 159, as far as the proxy goes.
#[test]
fn draining_answers_503_and_lets_streams_end() {
    let upstream = endless();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut running = stream(&gate, &a, CHAT_A);
    gate.proxy.begin_drain();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "SERVICE_UNAVAILABLE")
    );
    assert_eq!(gate.call("GET", "/readyz", &[], "").status, 503);
    block_on(gate.workers().drain(Duration::from_millis(1)));
    assert!(
        String::from_utf8(running.chunk().unwrap())
            .unwrap()
            .contains("SERVICE_UNAVAILABLE")
    );
}

/// Revocations race with calls; none slips through.
#[test]
fn a_revocation_leaves_nothing_running() {
    let upstream = endless();
    let gate = Arc::new(Gate::before(&upstream));
    gate.client(1, |_| {});
    for round in 0..40 {
        let token = gate.rollout("A", 1, |_| {});
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (address, token) = (gate.address, token.clone());
                std::thread::spawn(move || {
                    let mut connection = Connection::open(address);
                    let headers = [("x-api-key", token.as_str()), ("connection", "close")];
                    connection.send(request("POST", CHAT_A, &headers, "{}"));
                    connection.rest()
                })
            })
            .collect();
        if round % 2 == 0 {
            std::thread::yield_now();
        } else {
            // why: another moment of the call each round.
            std::thread::sleep(Duration::from_micros(300 * round));
        }
        gate.close("A");
        for caller in callers {
            // Either refused or ended: a call that went on would never close its connection.
            let (rest, _) = caller.join().unwrap();
            let text = String::from_utf8_lossy(&rest).into_owned();
            assert!(!text.contains("[DONE]"), "{text}");
        }
    }
}

fn endless() -> Upstream {
    Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        chunk(to, "data: {\"a\":1}\n\n");
        wait_for_close(to);
    })
}

/// A stream that has begun.
fn stream(gate: &Gate, token: &str, path: &str) -> Connection {
    let mut connection = gate.connect();
    connection.send(request("POST", path, &[("x-api-key", token)], "{}"));
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.chunk().unwrap(), b"data: {\"a\":1}\n\n");
    connection
}

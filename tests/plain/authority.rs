//! The truth table of who may do what, row by row, allowed and refused.
//!
//! A row: who presents a bearer | method and path | further headers | outcome. `{name}` stands for
//! that caller's token. The outcome is a status, with `gate` behind a 2xx that the gate itself
//! answers; a refusal's type follows where the status does not say it.

mod callers;
mod table;

use std::{net::SocketAddr, time::Duration};

use gate_userspace::{
    rollout::Phase,
    settings::{FailedAuth, ListenAt, ListenSources},
};

use crate::support::{own_address, request};
use callers::{gate, provision};
use table::{Door, Table};

/// Acceptance 167: "Kinds of token".
#[test]
fn each_kind_of_token_is_good_for_its_own() {
    let upstream = callers::upstream();
    let gate = gate(&upstream).start();
    let callers = provision(&gate);
    let table = Table::new(&upstream, &callers);
    table.check(
        &Door::Tcp(gate.address),
        "
        # client token
        client   | POST /v1/chat/completions              |                             | 200
        client   | POST /v1/messages                      |                             | 200
        client   | POST /plain/run                        |                             | 200
        client   | POST /rollout/A/v1/chat/completions    |                             | 401
        client   | POST /rollout/gone/v1/chat/completions |                             | 401
        # client token that covers its rollouts
        covering | POST /v1/chat/completions              |                             | 200
        covering | POST /rollout/C/v1/chat/completions    |                             | 200
        covering | POST /rollout/A/v1/chat/completions    |                             | 404
        covering | POST /rollout/gone/v1/chat/completions |                             | 404
        covering | POST /rollout/over/v1/chat/completions |                             | 404
        # rollout token
        A        | POST /rollout/A/v1/chat/completions    |                             | 200
        A        | GET /rollout/A/anything/at/all         |                             | 200
        A        | POST /v1/chat/completions              |                             | 200
        A        | POST /v1/messages                      |                             | 200
        A        | GET /session/state                     |                             | 200
        A        | POST /rollout/B/v1/chat/completions    |                             | 401
        A        | POST /rollout/gone/v1/chat/completions |                             | 401
        A        | POST /rollout/a/v1/chat/completions    |                             | 401
        # scoped rollout tokens: model
        model    | POST /rollout/M/v1/chat/completions    |                             | 200
        model    | POST /rollout/M/v1/messages            |                             | 200
        model    | POST /rollout/M/tool                   |                             | 200
        model    | POST /session/v1/responses             |                             | 200
        model    | POST /session/tool                     |                             | 200
        model    | GET /rollout/M/state                   |                             | 401
        model    | GET /rollout/M/task                    |                             | 401
        model    | GET /session/state                     |                             | 401
        model    | GET /session/task                      |                             | 401
        model    | GET /rollout/M/other                   |                             | 401
        model    | POST /rollout/A/v1/chat/completions    |                             | 401
        # scoped rollout tokens: state
        state    | GET /rollout/M/state                   |                             | 200
        state    | GET /rollout/M/task                    |                             | 200
        state    | PUT /session/state                     |                             | 200
        state    | GET /session/task                      |                             | 200
        state    | POST /rollout/M/v1/chat/completions    |                             | 401
        state    | POST /rollout/M/tool                   |                             | 401
        state    | POST /session/v1/responses             |                             | 401
        state    | POST /session/tool                     |                             | 401
        state    | POST /v1/chat/completions              |                             | 401
        state    | GET /rollout/A/state                   |                             | 401
        # service token
        service  | GET /session/state                     | x-verifiers-state-route: S  | 200
        service  | PUT /session/state                     | x-verifiers-state-route: S  | 200
        service  | GET /session/state                     |                             | 401
        service  | GET /session/state                     | x-verifiers-state-route: A  | 401
        service  | GET /session/state                     | x-verifiers-state-route: no | 401
        service  | GET /session/task                      | x-verifiers-state-route: S  | 401
        service  | POST /session/tool                     | x-verifiers-state-route: S  | 401
        service  | POST /v1/chat/completions              | x-verifiers-state-route: S  | 401
        service  | GET /rollout/S/state                   | x-verifiers-state-route: S  | 401
        # internal token
        -        | GET /apollo/services/x                 | x-apollo-internal: {inner}  | 200
        -        | GET /apollo/services/x                 | x-apollo-internal: {inner}x | 401
        client   | GET /apollo/services/x                 | x-apollo-internal: {inner}x | 401
        -        | POST /v1/chat/completions              | x-apollo-internal: {inner}  | 401
        -        | POST /plain/run                        | x-api-key: {inner}          | 401
        # delegated key id, on a TCP listener: removed and ignored
        -        | POST /v1/chat/completions              | x-gate-delegated-key: {id}  | 401
        A        | POST /v1/chat/completions              | x-gate-delegated-key: {id}  | 200
        -        | POST /v1/chat/completions              | x-gate-delegated-key: {id}; x-gate-token: {A} | 200
        ",
    );
    table.saw_no_secret();
}

/// Acceptance 167: the rows that a Unix listener alone can tell.
#[test]
fn a_local_peer_counts_as_loopback_and_may_name_ids() {
    let upstream = callers::upstream();
    let folder = tempfile::tempdir().unwrap();
    let uid = nix::unistd::getuid().as_raw();
    for (number, trusted) in [uid, uid + 1].into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        let gate = gate(&upstream).set(|settings| {
            settings.listen[0].at = ListenAt::Unix(path.clone());
            settings.listen[0].delegates = vec![trusted];
        });
        let gate = gate.start();
        let callers = provision(&gate);
        let table = Table::new(&upstream, &callers);
        let everybody = "
        # peer, internal token, sources
        client | POST /v1/chat/completions      |                                  | 200
        -      | POST /v1/chat/completions      |                                  | 401
        -      | GET /apollo/services/x         | x-apollo-internal: {inner}       | 200
        -      | GET /apollo/services/x         | x-apollo-internal: {inner}x      | 401
        lo     | POST /v1/chat/completions      |                                  | 200
        away   | POST /v1/chat/completions      |                                  | 401
        ";
        let trusted_only = "
        # delegated key id: acts as that client, after the liveness checks
        -      | POST /v1/chat/completions      | x-gate-delegated-key: {id}       | 200
        -      | POST /coder/v1/chat/completions | x-gate-delegated-key: {id}; authorization: Bearer own; x-api-key: own | 200
        -      | POST /coder/v1/chat/completions | x-gate-delegated-key: {id}; x-coder-ai-governance-token: any; authorization: Bearer own | 200
        -      | POST /v1/files                 | x-gate-delegated-key: {id}       | 401
        -      | POST /rollout/A/v1/x           | x-gate-delegated-key: {id}       | 401
        -      | POST /v1/chat/completions      | x-gate-delegated-key: {off-id}   | 401
        -      | POST /v1/chat/completions      | x-gate-delegated-key: 05McJmDgrvc | 401
        -      | POST /v1/chat/completions      | x-gate-delegated-key: {id}; x-gate-token: {client} | 400
        ";
        let others = "
        # delegated key id from a user who is not listed: removed and ignored
        -      | POST /v1/chat/completions      | x-gate-delegated-key: {id}       | 401
        A      | POST /v1/chat/completions      | x-gate-delegated-key: {id}       | 200
        ";
        let door = Door::Unix(path);
        table.check(&door, everybody);
        table.check(&door, if trusted == uid { trusted_only } else { others });
        table.saw_no_secret();
    }
}

/// Acceptance 167: "Admission, in order", steps 2 to 9; rows in which two things are wrong show which
/// step comes first.
#[test]
fn admission_decides_in_its_order() {
    let upstream = callers::upstream();
    let gate = gate(&upstream).start();
    let callers = provision(&gate);
    gate.change("D", |rollout| rollout.phase = Phase::Draining);
    gate.change("narrow-D", |rollout| rollout.phase = Phase::Draining);
    gate.close("closed");
    gate.grants
        .drop_client(crate::support::client_id(callers::REVOKED));
    let mut running = gate.connect();
    let key = [("x-api-key", callers["capped"].as_str())];
    running.send(request("POST", "/plain/hold", &key, "{}"));
    assert_eq!(running.head().status, 200);
    let table = Table::new(&upstream, &callers);
    table.check(
        &Door::Tcp(gate.address),
        include_str!("authority/admission.txt"),
    );
    table.saw_no_secret();
}

/// Acceptance 167: admission, step 1, and what is for loopback alone.
#[test]
fn the_peers_address_decides_first() {
    let Some(own) = own_address() else { return };
    let upstream = callers::upstream();
    let far = "
        client | POST /v1/chat/completions   |                            | 200
        lo     | POST /v1/chat/completions   |                            | 401
        -      | POST /v1/chat/completions   |                            | 401
        -      | GET /health                 |                            | 200 gate
        -      | GET /apollo/services/x      | x-apollo-internal: {inner} | 401
        ";
    let shut = "
        client | POST /v1/chat/completions   |                            | 403
        -      | POST /v1/chat/completions   |                            | 403
        -      | GET /health                 |                            | 403
        client | POST /a/../b                |                            | 403
        ";
    let near = "
        client | POST /v1/chat/completions   |                            | 200
        lo     | POST /v1/chat/completions   |                            | 200
        -      | GET /apollo/services/x      | x-apollo-internal: {inner} | 200
        ";
    for (at, sources, listed, rows) in [
        ("0.0.0.0:0", ListenSources::Any, false, far),
        ("0.0.0.0:0", ListenSources::Listed, false, shut),
        ("0.0.0.0:0", ListenSources::Listed, true, far),
        // The peer is then an IPv4-mapped IPv6 address.
        ("[::]:0", ListenSources::Listed, true, far),
        ("[::]:0", ListenSources::Listed, false, shut),
    ] {
        let gate = gate(&upstream).set(|settings| {
            settings.listen[0].at = ListenAt::Tcp(at.parse().unwrap());
            settings.listen[0].sources = sources;
        });
        let gate = gate.start();
        let callers = provision(&gate);
        if listed {
            let source = gate.source(&own.to_string());
            gate.client(90, |client| client.sources = vec![source]);
        }
        let table = Table::new(&upstream, &callers);
        let port = gate.address.port();
        table.check(&Door::Tcp(SocketAddr::new(own, port)), rows);
        let loopback = SocketAddr::new([127, 0, 0, 1].into(), port);
        table.check(&Door::Tcp(loopback), near);
    }
}

/// Acceptance 167: the throttle's own answer among the refusals.
#[test]
fn further_failures_are_throttled_and_valid_tokens_never() {
    let upstream = callers::upstream();
    let gate = gate(&upstream).set(|settings| {
        settings.limits.failed_auth = FailedAuth {
            count: 2,
            per: Duration::from_mins(1),
        };
    });
    let gate = gate.start();
    let callers = provision(&gate);
    let table = Table::new(&upstream, &callers);
    table.check(
        &Door::Tcp(gate.address),
        "
        unknown | POST /v1/chat/completions | | 401
        -       | POST /v1/chat/completions | | 401
        unknown | POST /v1/chat/completions | | 429
        client  | POST /v1/chat/completions | | 200
        unknown | POST /v1/chat/completions | | 429
        ",
    );
}

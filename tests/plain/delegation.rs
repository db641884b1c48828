//! Delegation: a trusted local process names a token's id in place of presenting the token.

use std::path::PathBuf;

use gate_userspace::{
    client::Kind,
    clock::Stamp,
    ident::TokenId,
    settings::{ListenAt, ProfileName},
};

use crate::support::{Connection, Gate, Maker, PROVIDER_KEY, Reply, Upstream, mint};

const CHAT: &str = "/v1/chat/completions";
const GOVERNANCE: &str = "x-coder-ai-governance-token";

/// Acceptance 132.
#[test]
fn a_delegated_id_acts_as_its_client() {
    let upstream = Upstream::plain();
    let local = Local::before(&upstream, Some(own_uid()));
    let id = local.client(1);
    let reply = local.call(
        &id,
        &[("authorization", "Bearer own"), ("x-api-key", "own")],
    );
    assert_eq!(reply.status, 200);
    let seen = upstream.last();
    assert_eq!(
        seen.all("authorization"),
        [format!("Bearer {PROVIDER_KEY}")]
    );
    for gone in ["x-api-key", "x-gate-delegated-key", GOVERNANCE] {
        assert!(seen.all(gone).is_empty(), "{gone}");
    }
}

/// Acceptance 133.
#[test]
fn a_delegated_caller_may_bring_its_own_key() {
    let upstream = Upstream::plain();
    let local = Local::before(&upstream, Some(own_uid()));
    let id = local.client(1);
    let reply = local.call(
        &id,
        &[("authorization", "Bearer own"), (GOVERNANCE, "anything")],
    );
    assert_eq!(reply.status, 200);
    assert_eq!(upstream.last().all("authorization"), ["Bearer own"]);
    assert!(upstream.last().all(GOVERNANCE).is_empty());
}

/// Acceptance 134.
#[test]
fn an_unknown_or_dead_id_is_refused() {
    let upstream = Upstream::plain();
    let local = Local::before(&upstream, Some(own_uid()));
    let expired = local.client(2);
    local.gate.clock.advance(std::time::Duration::from_mins(1));
    for id in [expired.as_str(), "05McJmDgrvc", "not an id"] {
        assert_eq!(local.call(id, &[]).status, 403, "{id}");
    }
    assert_eq!(local.call(" ", &[]).status, 400);
    let reply = local.call(&local.client(1), &[("x-gate-token", "x")]);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (400, "INVALID_REQUEST")
    );
    assert!(upstream.seen().is_empty());
}

/// Acceptance 135.
#[test]
fn nobody_else_can_delegate() {
    let upstream = Upstream::plain();
    for trusted in [None, Some(own_uid() + 1)] {
        let local = Local::before(&upstream, trusted);
        let id = local.client(1);
        assert_eq!(local.call(&id, &[]).status, 400);
    }
    let remote = Maker::before(&upstream)
        .profile(ProfileName::Coder)
        .set(|settings| settings.listen[0].delegates = vec![own_uid()])
        .start();
    let (credential, _) = mint(Kind::Client);
    let id = credential.id.to_string();
    remote.client(1, |client| client.tokens = vec![credential]);
    let headers = [("x-gate-delegated-key", id.as_str())];
    assert_eq!(remote.call("POST", CHAT, &headers, "{}").status, 400);
    assert!(upstream.seen().is_empty());
}

/// A gate on a Unix socket.
struct Local {
    gate: Gate,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Local {
    fn before(upstream: &Upstream, trusted: Option<u32>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy.sock");
        let gate = Maker::before(upstream)
            .profile(ProfileName::Coder)
            .set(|settings| {
                settings.listen[0].at = ListenAt::Unix(path.clone());
                settings.listen[0].delegates = trusted.into_iter().collect();
                settings.routes[0].byok = true;
            })
            .start();
        Self {
            gate,
            path,
            _dir: dir,
        }
    }

    /// A client; the id of its token. Number 2 expires after a while.
    fn client(&self, number: u32) -> String {
        let (credential, _) = mint(Kind::Client);
        let id: TokenId = credential.id;
        self.gate.client(number, |client| {
            client.tokens = vec![credential];
            client.expires = (number == 2).then_some(Stamp(1_030_000));
        });
        id.to_string()
    }

    fn call(&self, id: &str, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[("x-gate-delegated-key", id)], headers].concat();
        Connection::unix(&self.path).call("POST", CHAT, &headers, "{}")
    }
}

fn own_uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

//! The callers that the rows speak of, and the gate they call.

use std::collections::BTreeMap;

use gate_userspace::{
    client::{Kind, Reach, client_owner},
    clock::Stamp,
    scope::Scope,
    secret::{Digest, UpstreamKey},
    settings::{CredentialMode, ProfileName, Route},
};

use crate::support::{Gate, Maker, Upstream, begin, client_id, mint, respond, url, wait_for_close};

/// Name of a caller -> its token.
pub(super) type Callers = BTreeMap<&'static str, String>;

/// The client that a test takes away.
pub(super) const REVOKED: u32 = 7;

const INTERNAL: &str = "internal-token-of-the-service";

/// Answers everything, and `hold` without an end.
pub(super) fn upstream() -> Upstream {
    Upstream::start(|seen, to| {
        if seen.line().contains("/hold") {
            begin(to, "text/event-stream");
            wait_for_close(to);
        } else {
            respond(to, 200, "application/json", br#"{"ok":true}"#);
        }
    })
}

/// A gate with a route for every profile.
pub(super) fn gate(upstream: &Upstream) -> Maker {
    let route = |prefix: &str, profile, byok, upstream: &str| Route {
        prefix: prefix.to_owned(),
        profile,
        upstream: upstream.parse().unwrap(),
        strip_prefix: String::new(),
        body_limit: None,
        keepalive: None,
        byok,
        global_key: false,
    };
    // `Maker::before` has one upstream; the second keeps what callers bring.
    let mut kept = Maker::before(upstream).settings.upstreams.remove(0);
    kept.name = "kept".parse().unwrap();
    kept.url = url(upstream.address, "");
    kept.credential = CredentialMode::Keep;
    Maker::before(upstream).set(|settings| {
        settings.upstreams.push(kept);
        settings.apollo_internal = Some(Digest::of(INTERNAL.as_bytes()));
        settings.listen[0].origins = vec!["https://good.example".to_owned()];
        settings.routes.extend([
            route("/session", ProfileName::VerifiersSession, false, "default"),
            route("/apollo", ProfileName::Apollo, false, "default"),
            route("/coder", ProfileName::Coder, true, "default"),
            route("/coder-off", ProfileName::Coder, false, "default"),
            route("/keep", ProfileName::Openai, false, "kept"),
        ]);
    })
}

pub(super) fn provision(gate: &Gate) -> Callers {
    let mut callers = Callers::new();
    let key = UpstreamKey::new("sk-of-the-client").unwrap();
    let key = gate.keyring.seal(&client_owner(client_id(1)), &key).ok();
    let (own, token) = mint(Kind::Client);
    callers.insert("client", token);
    callers.insert("id", own.id.to_string());
    gate.client(1, |client| {
        client.key = key;
        client.tokens = vec![own];
    });
    for id in ["A", "B", "D", "closed"] {
        callers.insert(id, gate.rollout(id, 1, |_| {}));
    }
    let (model, model_token) = mint(Kind::Model);
    let (state, state_token) = mint(Kind::State);
    gate.rollout("M", 1, |rollout| rollout.tokens = vec![model, state]);
    callers.extend([("model", model_token), ("state", state_token)]);
    let narrow = |rule: &str| Scope::new(vec![rule.parse().unwrap()]);
    let scoped = gate.rollout("narrow-D", 1, |rollout| {
        rollout.scope = narrow("GET:/v1/models");
    });
    callers.insert("narrow-D", scoped);

    let covering = gate.client(2, |client| client.reach = Reach::CoversRollouts);
    callers.insert("covering", covering);
    gate.rollout("C", 2, |_| {});
    let over = |stamp| Some(Stamp(stamp));
    let lease = gate.rollout("over", 2, |rollout| rollout.expires = over(1_000_000));
    callers.insert("over", lease);
    let service = gate.client(3, |client| client.reach = Reach::Service);
    callers.insert("service", service);
    gate.rollout("S", 3, |_| {});

    let late = gate.client(4, |client| client.expires = over(1_000_000));
    let expired = gate.client(5, |client| client.tokens[0].expires = over(999_999));
    let (switched_off, off) = mint(Kind::Client);
    callers.insert("off-id", switched_off.id.to_string());
    gate.client(6, |client| {
        client.enabled = false;
        client.tokens = vec![switched_off];
    });
    let revoked = gate.client(REVOKED, |_| {});
    callers.extend([
        ("late", late),
        ("expired", expired),
        ("off", off),
        ("revoked", revoked),
        (
            "narrow",
            gate.client(8, |client| client.scope = narrow("GET:/v1/models")),
        ),
    ]);

    let here = [gate.source("10.0.0.5"), gate.source("lo")];
    let away = vec![gate.source("10.0.0.5")];
    callers.insert("away", gate.client(9, |client| client.sources = away));
    callers.insert("away-R", gate.rollout("away-R", 9, |_| {}));
    let only = vec![gate.source("lo")];
    let replaced = gate.rollout("lo-R", 9, |rollout| rollout.sources = only);
    callers.insert("lo-R", replaced);
    let both = gate.client(10, |client| client.sources = here.to_vec());
    callers.insert("lo", both);
    callers.insert("slow", gate.client(11, |client| client.rps = 1));
    callers.insert("capped", gate.client(12, |client| client.concurrency = 1));

    let (_, unknown) = mint(Kind::Client);
    let mut typo = callers["client"].clone();
    let last = typo.pop().unwrap();
    typo.push(if last == '0' { '1' } else { '0' });
    callers.extend([
        ("unknown", unknown),
        ("typo", typo),
        ("intercepted", "intercepted".to_owned()),
        ("inner", INTERNAL.to_owned()),
    ]);
    callers
}

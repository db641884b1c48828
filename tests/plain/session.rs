//! Profile `verifiers-session`: the token selects the session.

use gate_userspace::{
    client::{Kind, Reach, token_owner},
    ident::RolloutId,
    secret::UpstreamKey,
    settings::ProfileName,
};

use crate::support::{Gate, Maker, Upstream, mint};

/// Acceptance 73, 74, 75 and 78.
#[test]
fn each_kind_has_its_routes_and_each_route_its_words() {
    let upstream = Upstream::plain();
    let gate = session(&upstream);
    let (model, model_token) = mint(Kind::Model);
    let (state, state_token) = mint(Kind::State);
    gate.client(1, |_| {});
    gate.rollout("A", 1, |rollout| rollout.tokens = vec![model, state]);
    let openai = r#"{"error":{"message":"unauthorized","type":"invalid_request_error"}}"#;
    let anthropic =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"unauthorized"}}"#;
    let plain = r#"{"error":"unauthorized"}"#;
    let ok = r#"{"ok":true}"#;
    let rows = [
        (&model_token, "POST", "/v1/chat/completions", ok),
        (&model_token, "POST", "/v1/responses", ok),
        (&model_token, "POST", "/v1/messages", ok),
        (&model_token, "POST", "/v1/messages/count_tokens", ok),
        (&model_token, "GET", "/v1/models", ok),
        (&model_token, "POST", "/tool", ok),
        (&model_token, "GET", "/state", plain),
        (&model_token, "PUT", "/state", plain),
        (&model_token, "GET", "/task", plain),
        (&state_token, "GET", "/state", ok),
        (&state_token, "PUT", "/state", ok),
        (&state_token, "GET", "/task", ok),
        (&state_token, "POST", "/tool", plain),
        (&state_token, "DELETE", "/state", plain),
        (&state_token, "POST", "/v1/chat/completions", openai),
        (&state_token, "POST", "/v1/messages", anthropic),
    ];
    for (token, method, path, text) in rows {
        let reply = gate.bearer(token, method, path);
        assert_eq!(reply.text(), text, "{method} {path}");
        assert_eq!(
            reply.status,
            if text == ok { 200 } else { 401 },
            "{method} {path}"
        );
    }
    let key = [("x-api-key", model_token.as_str())];
    assert_eq!(gate.call("POST", "/v1/messages", &key, "{}").status, 200);
    let bare = [("authorization", model_token.as_str())];
    assert_eq!(
        gate.call("POST", "/v1/chat/completions", &bare, "{}")
            .status,
        200
    );
    assert_eq!(gate.call("POST", "/tool", &bare, "{}").status, 401);
}

/// Acceptance 75.
#[test]
fn a_service_names_the_rollout_whose_state_it_wants() {
    let upstream = Upstream::plain();
    let gate = session(&upstream);
    let service = gate.client(1, |client| client.reach = Reach::Service);
    gate.rollout("A", 1, |_| {});
    gate.client(2, |_| {});
    gate.rollout("B", 2, |_| {});
    let state = |method: &str, path: &str, routes: &[&str]| {
        let mut headers = vec![("x-api-key", service.as_str())];
        headers.extend(
            routes
                .iter()
                .map(|route| ("x-verifiers-state-route", *route)),
        );
        gate.call(method, path, &headers, "").status
    };
    assert_eq!(state("GET", "/state", &["A"]), 200);
    assert_eq!(state("PUT", "/state", &["A"]), 200);
    assert_eq!(upstream.last().all("x-verifiers-state-route"), ["A"]);
    for routes in [&[][..], &["nowhere"], &["B"], &["A", "A"], &["../A"]] {
        assert_eq!(state("GET", "/state", routes), 401, "{routes:?}");
    }
    for path in ["/task", "/tool", "/v1/models", "/v1/chat/completions"] {
        assert_eq!(state("GET", path, &["A"]), 401, "{path}");
    }
}

/// What stands behind has secrets of its own, one for each of the rollout's tokens.
#[test]
fn each_token_presents_its_own_key_upstream() {
    let upstream = Upstream::plain();
    let gate = session(&upstream);
    let (mut model, model_token) = mint(Kind::Model);
    let (mut state, state_token) = mint(Kind::State);
    for (credential, key) in [
        (&mut model, "secret-of-model"),
        (&mut state, "secret-of-state"),
    ] {
        let key = UpstreamKey::new(key).unwrap();
        credential.key = gate.keyring.seal(&token_owner(credential.id), &key).ok();
    }
    gate.client(1, |_| {});
    gate.rollout("A", 1, |rollout| rollout.tokens = vec![model, state]);
    assert_eq!(
        gate.bearer(&model_token, "POST", "/v1/messages").status,
        200
    );
    assert_eq!(
        upstream.last().all("authorization"),
        ["Bearer secret-of-model"]
    );
    assert_eq!(gate.bearer(&state_token, "GET", "/state").status, 200);
    assert_eq!(
        upstream.last().all("authorization"),
        ["Bearer secret-of-state"]
    );
    let id: RolloutId = "A".parse().unwrap();
    assert!(gate.grants.rollout(&id).is_some());
}

fn session(upstream: &Upstream) -> Gate {
    Maker::before(upstream)
        .profile(ProfileName::VerifiersSession)
        .start()
}

//! The interception server of verifiers behind the gate: who reaches which session.
//!
//! Its own secrets never leave the host; what a sandbox holds are the gate's tokens.

use harness::client::{Call, Complete};
use serde_json::json;

use crate::sandbox::UPSTREAM_KEY;
use crate::training::{ELSEWHERE, HERE, Rollout, SERVICE_SECRET, Training};

#[tokio::test]
async fn model_token_reaches_its_own_session_in_every_dialect() {
    let Some(mut training) = Training::start().await else {
        return;
    };
    let one = training.open("one", HERE).await;
    let other = training.open("other", HERE).await;
    let given = training.environment(&one).await;
    for (script, whole) in [("openai.py", "chat"), ("anthropic.py", "message")] {
        let Some(mut sdk) = training.sdk(script, &given) else {
            return;
        };
        assert_eq!(sdk.ask(whole).await, json!({"text": "t0 t1 t2 t3 "}));
        let streamed = sdk.ask("stream").await;
        assert_eq!(streamed, json!({"text": "t0 t1 t2 t3 t4 "}), "{script}");
    }
    assert_eq!(training.turns(&one).await, 4);
    assert_eq!(training.turns(&other).await, 0);
    let seen = String::from_utf8_lossy(&training.scene.provider.journal().raw()).into_owned();
    assert!(seen.contains(UPSTREAM_KEY));
    for secret in secrets(&[&one, &other]) {
        assert!(!seen.contains(&secret), "a secret of the sandbox's side");
        assert!(!training.scene.gated.log().text().contains(&secret));
    }
}

#[tokio::test]
async fn state_token_reaches_state_and_task_and_nothing_else() {
    let Some(mut training) = Training::start().await else {
        return;
    };
    let rollout = training.open("one", HERE).await;
    let (model, state) = (rollout.token("model"), rollout.token("state"));
    for path in ["/state", "/task"] {
        let granted = training.call(Call::get(path).bearer(&state)).await;
        assert_eq!(from(&granted), (200, Some("upstream")), "{path}");
        assert!(granted.json().is_object(), "{path}: {}", granted.text());
        let refused = training.call(Call::get(path).bearer(&model)).await;
        assert_eq!(from(&refused), (401, Some("gate")), "{path}");
        assert_eq!(refused.json(), json!({"error": "unauthorized"}));
    }
    let put = Call::new("PUT", "/state").body("{}").bearer(&state);
    assert_eq!(training.call(put).await.json(), json!({"ok": true}));
    let chat = Call::chat("/v1", Some(1)).bearer(&state);
    assert_eq!(from(&training.call(chat).await), (401, Some("gate")));
    let tool = |token: &str| {
        let call = json!({"tool_call_id": "c", "name": "n", "arguments": {}});
        Call::post("/tool", &call).bearer(token)
    };
    let asked = training.call(tool(&model)).await;
    assert_eq!(asked.header("x-gate-source"), Some("upstream"));
    assert_ne!(asked.status, 401, "{}", asked.text());
    let refused = training.call(tool(&state)).await;
    assert_eq!(from(&refused), (401, Some("gate")));
}

/// Acceptance 75, with the real server's own check of the same secret behind it.
#[tokio::test]
async fn service_token_reaches_the_state_of_its_own_clients_rollouts() {
    let Some(mut training) = Training::start().await else {
        return;
    };
    let ctl = training.scene.gated.ctl();
    let add = "client add tools --service --upstream-key-stdin --output token";
    let service = ctl.run(add, SERVICE_SECRET).await.unwrap();
    let service = service.stdout.trim().to_owned();
    let own = training.open_routed("tools", HERE).await;
    let stranger = training.open_routed("trainer", HERE).await;
    let state = |route: Option<&str>| {
        let call = Call::get("/state").bearer(&service);
        match route {
            Some(route) => call.header("x-verifiers-state-route", route),
            None => call,
        }
    };
    let granted = training.call(state(Some(&own.route))).await;
    assert_eq!(from(&granted), (200, Some("upstream")));
    assert!(granted.json().is_object(), "{}", granted.text());
    for route in [None, Some("no-such-trace"), Some(stranger.route.as_str())] {
        let refused = training.call(state(route)).await;
        assert_eq!(from(&refused), (401, Some("gate")), "{route:?}");
    }
    let task = Call::get("/task")
        .bearer(&service)
        .header("x-verifiers-state-route", &own.route);
    assert_eq!(from(&training.call(task).await), (401, Some("gate")));
    training.close_on_gate(&own).await;
    let ended = training.call(state(Some(&own.route))).await;
    assert_eq!(from(&ended), (401, Some("gate")));
    let log = training.scene.gated.log().text();
    assert!(!log.contains(&service) && !log.contains(SERVICE_SECRET));
}

#[tokio::test]
async fn what_is_not_a_token_of_this_sandbox_opens_no_session() {
    let Some(mut training) = Training::start().await else {
        return;
    };
    let own = training.open("own", HERE).await;
    let sibling = training.open("sibling", ELSEWHERE).await;
    let mut mistyped = own.token("model");
    mistyped.replace_range(20..21, if &mistyped[20..21] == "x" { "y" } else { "x" });
    let [server_model, server_state] = own.server_secrets.clone();
    let rows = [
        ("mistyped", mistyped),
        ("a sibling's", sibling.token("model")),
        ("a sibling's state", sibling.token("state")),
        ("the server's", server_model),
        ("the server's state", server_state),
        ("the placeholder", "intercepted".to_owned()),
    ];
    let given = training.environment(&own).await;
    for (what, token) in &rows {
        for (script, word) in [("openai.py", "chat"), ("anthropic.py", "message")] {
            let mut wrong = given.clone();
            wrong.insert("OPENAI_API_KEY".into(), token.clone());
            wrong.insert("ANTHROPIC_API_KEY".into(), token.clone());
            let Some(mut sdk) = training.sdk(script, &wrong) else {
                return;
            };
            let refused = sdk.ask(word).await;
            assert_eq!(
                (&refused["error"], &refused["status"]),
                (&json!("AuthenticationError"), &json!(401)),
                "{what} token, {script}: {refused}"
            );
        }
        let state = training.call(Call::get("/state").bearer(token)).await;
        assert_eq!(from(&state), (401, Some("gate")), "{what} token");
    }
    assert_eq!(training.turns(&own).await, 0);
    assert_eq!(training.turns(&sibling).await, 0);
    assert_eq!(training.scene.provider.journal().connections(), 0);
}

#[tokio::test]
async fn session_ends_with_the_rollout_on_either_side() {
    let Some(mut training) = Training::start().await else {
        return;
    };
    let kept = training.open("kept", HERE).await;
    let ended = training.open("ended", HERE).await;
    let revoked = training.open("revoked", HERE).await;
    training.close_on_server(&ended).await;
    training.close_on_gate(&revoked).await;
    for (rollout, source) in [(&ended, "upstream"), (&revoked, "gate")] {
        let chat = Call::chat("/v1", Some(1)).bearer(&rollout.token("model"));
        let state = Call::get("/state").bearer(&rollout.token("state"));
        for call in [chat, state] {
            assert_eq!(from(&training.call(call).await), (401, Some(source)));
        }
    }
    assert_eq!(training.turns(&revoked).await, 0);
    let chat = Call::chat("/v1", Some(1)).bearer(&kept.token("model"));
    assert_eq!(from(&training.call(chat).await), (200, Some("upstream")));
    assert_eq!(training.turns(&kept).await, 1);
}

/// The status, and who said so.
fn from(answer: &Complete) -> (u16, Option<&str>) {
    (answer.status.as_u16(), answer.header("x-gate-source"))
}

/// Everything that must not get to the provider or into a log.
fn secrets(rollouts: &[&Rollout]) -> Vec<String> {
    let of = |rollout: &&Rollout| {
        let tokens = ["model", "state"].map(|kind| rollout.token(kind));
        [tokens, rollout.server_secrets.clone()].concat()
    };
    rollouts.iter().flat_map(of).collect()
}

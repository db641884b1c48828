//! The shapes that scripts and other programs rely on.

use serde_json::json;

use super::*;

#[test]
fn the_documented_body_opens_a_rollout() {
    let body = json!({"rollout":"r1","client":"trainer","sources":["10.0.0.5/32@veth7"],
        "sources_anywhere":[],"host":"","ttl_seconds":3600,"upstream":"interception",
        "tokens":{"model":{"upstream_key":"sk-1"}},"scope":["POST:/v1/messages"]});
    let open: RolloutOpen = serde_json::from_value(body).unwrap();
    assert_eq!(open.host, None);
    assert_eq!(open.upstream.unwrap().as_str(), "interception");
    assert_eq!(
        open.tokens[&TokenKind::Model]
            .upstream_key
            .as_ref()
            .unwrap()
            .reveal(),
        "sk-1"
    );
}

#[test]
fn an_unknown_key_is_refused() {
    let add = serde_json::from_value::<ClientAdd>(json!({"client":"a","ttl":1}));
    assert!(add.unwrap_err().to_string().contains("unknown field `ttl`"));
}

#[test]
fn debug_shows_no_secret() {
    let body = json!({"client":"a","token":"top-secret-token","upstream_key":"sk-secret"});
    let add: ClientAdd = serde_json::from_value(body).unwrap();
    let shown = format!("{add:?}");
    assert!(
        !shown.contains("secret-token") && !shown.contains("sk-"),
        "{shown}"
    );
    let env = variables(
        Some("http://h"),
        "",
        Some(&Secret::new("top-secret".into())),
    );
    assert!(!format!("{env:?}").contains("top-secret"));
}

#[test]
fn a_moment_reads_back() {
    let moment = Moment(crate::clock::Stamp(1_700_000_000_123));
    assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123Z");
    assert_eq!(moment.to_string().parse::<Moment>().unwrap(), moment);
}

#[test]
fn a_sandbox_is_told_the_gate_and_its_token() {
    let token = Secret::new("gate_x".into());
    let env = variables(Some("http://10.0.0.1:8765"), "/rollout/r1", Some(&token));
    let value = |name: &str| env[name].reveal().to_owned();
    assert_eq!(
        value("OPENAI_BASE_URL"),
        "http://10.0.0.1:8765/rollout/r1/v1"
    );
    assert_eq!(
        value("ANTHROPIC_BASE_URL"),
        "http://10.0.0.1:8765/rollout/r1"
    );
    assert_eq!(value("ANTHROPIC_API_KEY"), "gate_x");
    assert_eq!(value("OPENAI_TIMEOUT"), "3600");
}

//! The exact bodies that callers of each profile compare.

use super::*;

#[test]
fn refusals_keep_the_bodies_that_callers_know() {
    let rows = [
        (
            ProfileName::Verifiers,
            Type::Unauthorized,
            401,
            r#"{"error":"Unauthorized"}"#,
        ),
        (
            ProfileName::Verifiers,
            Type::RolloutNotFound,
            404,
            r#"{"error":"Rollout not found"}"#,
        ),
        (
            ProfileName::Verifiers,
            Type::RolloutCancelled,
            499,
            r#"{"error":"Rollout cancelled"}"#,
        ),
        (
            ProfileName::Openai,
            Type::Unauthorized,
            401,
            r#"{"error":{"message":"Invalid API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        ),
        (
            ProfileName::Plain,
            Type::BodyTooLarge,
            413,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"body_too_large"}}"#,
        ),
        (
            ProfileName::Openai,
            Type::RolloutCancelled,
            409,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"rollout_concluded"}}"#,
        ),
        (
            ProfileName::Anthropic,
            Type::Unauthorized,
            401,
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        ),
    ];
    for (profile, kind, status, body) in rows {
        let shape = of(profile).refuse(&refusal(kind));
        assert_eq!(shape.status, status, "{profile:?} {kind:?}");
        assert_eq!(shape.body, body, "{profile:?} {kind:?}");
    }
}

/// Acceptance 88 and 145.
#[test]
fn the_concurrency_cap_is_429_in_plain_alone() {
    for (profile, status) in [(ProfileName::Plain, 429), (ProfileName::Openai, 503)] {
        let cap = Refusal {
            is_cap: true,
            ..refusal(Type::ServiceUnavailable)
        };
        assert_eq!(of(profile).refuse(&cap).status, status, "{profile:?}");
    }
}

fn refusal(kind: Type) -> Refusal<'static> {
    Refusal {
        kind,
        message: "m",
        is_cap: false,
        is_absent: false,
        details: None,
        tail: "/v1/chat/completions",
    }
}

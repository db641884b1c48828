//! `anthropic`: the Anthropic API behind a gate token.

use super::{Profile, Refusal, Shape, concluded, quoted};
use crate::{fault::Type, settings::ProfileName};

pub(super) struct Anthropic;

impl Profile for Anthropic {
    fn name(&self) -> ProfileName {
        ProfileName::Anthropic
    }

    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages/count_tokens"),
            ("GET", "/v1/models*"),
        ]
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        let kind = concluded(refusal.kind);
        let message = if kind == Type::Unauthorized {
            "invalid x-api-key"
        } else {
            refusal.message
        };
        let (family, message) = (family(kind), quoted(message));
        Shape::json(
            kind,
            format!(r#"{{"type":"error","error":{{"type":"{family}","message":{message}}}}}"#),
        )
    }
}

pub(crate) fn family(kind: Type) -> &'static str {
    match kind {
        Type::Unauthorized | Type::AuthError | Type::Revoked => "authentication_error",
        Type::Forbidden => "permission_error",
        Type::RolloutNotFound => "not_found_error",
        Type::RateLimit => "rate_limit_error",
        Type::BodyTooLarge => "request_too_large",
        Type::ServiceUnavailable => "overloaded_error",
        Type::UpstreamTimeout => "timeout_error",
        Type::Billing => "billing_error",
        Type::RolloutConcluded
        | Type::RolloutCancelled
        | Type::InvalidRequest
        | Type::HeadTooLarge => "invalid_request_error",
        Type::KeyUnavailable
        | Type::ClientMisconfigured
        | Type::ConnectionError
        | Type::UpstreamBroken
        | Type::InternalError => "api_error",
    }
}

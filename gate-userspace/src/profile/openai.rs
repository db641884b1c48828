//! `openai`: the `OpenAI` API behind a gate token.

use super::{Profile, Refusal, Shape, concluded, quoted};
use crate::{fault::Type, settings::ProfileName};

pub(super) struct Openai;

impl Profile for Openai {
    fn name(&self) -> ProfileName {
        ProfileName::Openai
    }

    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/completions"),
            ("POST", "/v1/responses"),
            ("POST", "/v1/embeddings"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/*"),
        ]
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        envelope(concluded(refusal.kind), refusal.message)
    }
}

/// `{"error":{"message","type","code"}}`, which `plain` shares.
pub(super) fn envelope(kind: Type, message: &str) -> Shape {
    let (message, code) = if kind == Type::Unauthorized {
        ("Invalid API key", "invalid_api_key".to_owned())
    } else {
        (message, kind.as_str().to_ascii_lowercase())
    };
    let family = match kind.status() {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    // Written out, because callers compare the order of keys byte by byte.
    let message = quoted(message);
    Shape::json(
        kind,
        format!(r#"{{"error":{{"message":{message},"type":"{family}","code":"{code}"}}}}"#),
    )
}

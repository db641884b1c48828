//! `verifiers-session`: an interception server whose secrets select the session; no id in the path.
//!
//! Model, state and service tokens are kinds: what each is good for is decided in `proxy::kinds`.

use super::{Profile, Refusal, Shape, Sight, concluded, quoted};
use crate::{
    fault::{Denied, Type},
    proxy::present::{Carriers, Presented},
    settings::{CredentialMode, ProfileName},
};

pub(super) struct Session;

impl Profile for Session {
    fn name(&self) -> ProfileName {
        ProfileName::VerifiersSession
    }

    /// `OpenAI` routes also take a secret without a scheme, as those servers do.
    fn present(&self, sight: &Sight<'_>) -> Result<Presented, Denied> {
        match sight.tail {
            _ if sight.mode == CredentialMode::Keep => Carriers::beside_own(sight.headers),
            "/v1/chat/completions" | "/v1/responses" => Carriers::read_bare(sight.headers)?.one(),
            _ => Carriers::read(sight.headers)?.one(),
        }
    }

    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/completions"),
            ("POST", "/v1/responses"),
            ("POST", "/v1/embeddings"),
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages/count_tokens"),
            ("GET", "/v1/models*"),
            ("GET", "/state"),
            ("PUT", "/state"),
            ("GET", "/task"),
            ("POST", "/tool"),
        ]
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        let kind = concluded(refusal.kind);
        let message = if kind == Type::Unauthorized {
            quoted("unauthorized")
        } else {
            quoted(refusal.message)
        };
        let family = r#""type":"invalid_request_error""#;
        let body = match refusal.tail {
            "/state" | "/task" | "/tool" => format!(r#"{{"error":{message}}}"#),
            tail if tail.starts_with("/v1/messages") => {
                format!(r#"{{"type":"error","error":{{{family},"message":{message}}}}}"#)
            }
            _ => format!(r#"{{"error":{{"message":{message},{family}}}}}"#),
        };
        Shape::json(kind, body)
    }
}

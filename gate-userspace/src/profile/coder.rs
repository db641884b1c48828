//! `coder`: its governance header, else a bearer, else `x-api-key`.
//!
//! With the governance header the caller brings a provider credential of its own (BYOK), which stays;
//! without it the gate's key is put in place of what the caller presented.

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Profile, Refusal, Shape, Sight, concluded, quoted};
use crate::{
    fault::{Denied, Type},
    ident::TokenId,
    proxy::present::{API_KEY, Carriers, Credential, Own, Presented},
    secret::Shown,
    settings::ProfileName,
};

pub(super) struct Coder;

const GOVERNANCE: HeaderName = HeaderName::from_static("x-coder-ai-governance-token");

/// What only this system's own parts may say to each other.
static OWN: [HeaderName; 7] = [
    GOVERNANCE,
    HeaderName::from_static("x-coder-ai-governance-request-id"),
    HeaderName::from_static("x-coder-agent-firewall-session-id"),
    HeaderName::from_static("x-coder-agent-firewall-sequence-number"),
    HeaderName::from_static("coder-session-token"),
    HeaderName::from_static("x-ai-bridge-actor-id"),
    HeaderName::from_static("x-ai-bridge-actor-metadata-username"),
];

impl Profile for Coder {
    fn name(&self) -> ProfileName {
        ProfileName::Coder
    }

    fn present(&self, sight: &Sight<'_>) -> Result<Presented, Denied> {
        let Some(governance) = brought(sight)? else {
            return Carriers::read(sight.headers)?.one();
        };
        let shown = Shown::read(governance.as_bytes()).ok_or(Denied::Malformed)?;
        let shown = Carriers::gate_with(sight.headers, Some(shown))?;
        let shown = shown.ok_or(Denied::NoCredential)?;
        Ok(beside_own(Credential::Token(shown), sight))
    }

    /// The governance header then says only that the caller brings its own; its value is ignored.
    fn delegated(&self, sight: &Sight<'_>, id: TokenId) -> Result<Presented, Denied> {
        let credential = Credential::Delegated(id);
        Ok(match brought(sight)? {
            Some(_) => beside_own(credential, sight),
            None => Presented::of(credential),
        })
    }

    /// The routes of all its providers, behind the provider's prefix.
    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/responses"),
            ("*", "/v1/responses/*"),
            ("*", "/v1/conversations"),
            ("*", "/v1/conversations/*"),
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages/count_tokens"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/*"),
            ("*", "/api/event_logging/*"),
            ("POST", "/chat/completions"),
            ("POST", "/responses"),
            ("GET", "/models"),
            ("GET", "/models/*"),
            ("*", "/agents/*"),
            ("*", "/mcp/*"),
            ("GET", "/.well-known/*"),
        ]
    }

    fn body_limit(&self) -> u64 {
        32 << 20
    }

    fn strips(&self) -> &'static [HeaderName] {
        &OWN
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        let kind = concluded(refusal.kind);
        if kind != Type::Unauthorized {
            return Shape::json(kind, json(kind, refusal));
        }
        let (status, text) = if refusal.is_absent {
            (StatusCode::BAD_REQUEST, "no authentication key provided")
        } else {
            (StatusCode::FORBIDDEN, "unauthorized")
        };
        Shape {
            status,
            is_json: false,
            ..Shape::json(kind, text)
        }
    }
}

/// Non-blank presence of the governance header makes a call BYOK, which a route must allow.
fn brought<'a>(sight: &Sight<'a>) -> Result<Option<&'a HeaderValue>, Denied> {
    let value = sight.headers.get(GOVERNANCE);
    let value = value.filter(|value| !value.as_bytes().trim_ascii().is_empty());
    if value.is_some() && !sight.byok {
        return Err(Denied::ByokOff);
    }
    Ok(value)
}

/// Of two own credentials, the one goes that the provider's dialect does not look at.
fn beside_own(credential: Credential, sight: &Sight<'_>) -> Presented {
    let has = |name| sight.headers.contains_key(name);
    let has_both = has(API_KEY) && has(header::AUTHORIZATION);
    let superfluous = if sight.tail.starts_with("/v1/messages") {
        header::AUTHORIZATION
    } else {
        API_KEY
    };
    Presented {
        credential,
        own: Own::Stays,
        drops: has_both.then_some(superfluous),
    }
}

fn json(kind: Type, refusal: &Refusal<'_>) -> String {
    let message = if kind == Type::RateLimit {
        "You've been rate limited. Please try again later."
    } else if refusal.is_cap {
        "AI Gateway is currently at capacity. Please try again later."
    } else {
        refusal.message
    };
    format!(r#"{{"message":{}}}"#, quoted(message))
}

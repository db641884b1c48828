//! `apollo`: the key stands in the body's `api_key`, on upgrades in the query.
//!
//! The one profile that reads a body, up to its limit; and the one that puts a provider's refusals
//! into the gate's words, because its callers look at `type` and at nothing else.

use http::HeaderName;
use serde_json::{Map, Value};

use super::{Profile, Refusal, Shape, Sight, concluded};
use crate::{
    fault::{Denied, Type},
    proxy::{
        field,
        present::{Carriers, Credential, Presented},
    },
    secret::Shown,
    settings::ProfileName,
};

pub(super) struct Apollo;

/// What the service presents to itself.
const INTERNAL: HeaderName = HeaderName::from_static("x-apollo-internal");

static OWN: [HeaderName; 1] = [INTERNAL];

impl Profile for Apollo {
    fn name(&self) -> ProfileName {
        ProfileName::Apollo
    }

    /// `X-Gate-Token`, else the service's own, else the body's key, else the query's. Text that is
    /// no string is no key.
    fn present(&self, sight: &Sight<'_>) -> Result<Presented, Denied> {
        let internal = sight.headers.get(INTERNAL);
        let internal = internal.filter(|value| !value.as_bytes().trim_ascii().is_empty());
        if let Some(value) = internal {
            let shown = Shown::read(value.as_bytes()).ok_or(Denied::Malformed)?;
            return Ok(Presented::of(Credential::Internal(shown.digest)));
        }
        let in_body = sight.field.and_then(field::Field::text);
        let in_query = || sight.query.and_then(field::in_query);
        let given = in_body.or_else(in_query);
        let given = match given {
            Some(text) => Some(Shown::read(text.as_bytes()).ok_or(Denied::Malformed)?),
            None => None,
        };
        match Carriers::gate_with(sight.headers, given)? {
            Some(shown) => Ok(Presented::of(Credential::Token(shown))),
            None if sight.global_key => Ok(Presented::of(Credential::None)),
            None => Err(Denied::NoCredential),
        }
    }

    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[("*", "/services/*")]
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn maps_provider(&self) -> bool {
        true
    }

    fn lends_upstream_key(&self) -> bool {
        false
    }

    fn strips(&self) -> &'static [HeaderName] {
        &OWN
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        let kind = concluded(refusal.kind);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all other types keep their message"
        )]
        let message = match kind {
            Type::Unauthorized => "Missing or invalid API key",
            Type::ClientMisconfigured => "Client has no API key configured",
            Type::AuthError => "Authentication failed",
            _ => refusal.message,
        };
        Shape::json(kind, envelope(kind, message, refusal.details.as_ref()))
    }
}

/// `{"code","type","message","details"?}`, in this order.
pub(crate) fn envelope(kind: Type, message: &str, details: Option<&Value>) -> String {
    let (code, name, message) = (kind.status(), kind.as_str(), super::quoted(message));
    let details = match details {
        Some(details) => format!(r#","details":{details}"#),
        None => String::new(),
    };
    format!(r#"{{"code":{code},"type":"{name}","message":{message}{details}}}"#)
}

/// The `details` of one member.
pub(crate) fn detail(name: &str, value: impl Into<Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.into())]))
}

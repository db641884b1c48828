//! The only translator: what stopped a call becomes the answer that its caller understands.
//!
//! The log learns why; the caller of a rejected credential does not. Every answer says who gave it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tracing::{debug, warn};

use super::{Worker, body::Body};
use crate::{
    fault::{Blame, Cut, Denied, Fault, Stop, Type},
    profile::{self, Profile, Refusal, detail},
};

pub(crate) const GATE: HeaderValue = HeaderValue::from_static("gate");
pub(crate) const UPSTREAM: HeaderValue = HeaderValue::from_static("upstream");

const ERROR: HeaderName = HeaderName::from_static("x-gate-error");
const SOURCE: HeaderName = HeaderName::from_static("x-gate-source");

/// The refusal in the words of the caller's profile.
pub(crate) fn to(stop: &Stop, profile: &dyn Profile, tail: &str) -> (Type, Response<Body>) {
    tell(stop);
    let message = message(stop);
    let refusal = Refusal {
        kind: kind(stop),
        message: &message,
        is_cap: matches!(stop, Stop::Denied(Denied::TooMany)),
        is_absent: matches!(stop, Stop::Denied(Denied::NoCredential)),
        details: details(stop),
        tail,
    };
    let shape = profile.refuse(&refusal);
    let mut response = json(shape.status, Body::Whole(shape.body));
    let headers = response.headers_mut();
    if !shape.is_json {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
    }
    headers.insert(ERROR, HeaderValue::from_static(shape.kind.as_str()));
    if let Some(seconds) = retry_after(stop) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    (shape.kind, response)
}

/// A refusal in bytes, where there is no call to answer and the connection ends with it.
pub(crate) fn raw(worker: &Worker, stop: &Stop) -> Vec<u8> {
    let (kind, response) = to(stop, profile::unrouted(), "");
    worker.row.refuse(None, kind);
    let (parts, body) = response.into_parts();
    let body = match &body {
        Body::Whole(bytes) => bytes.as_ref(),
        Body::Relay(_) => &[],
    };
    let mut raw = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        raw.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let length = format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    raw.extend([length.as_bytes(), body].concat());
    raw
}

/// An answer of the gate itself.
pub(crate) fn json(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    mark(headers, GATE);
    response
}

/// What every answer carries.
pub(crate) fn mark(headers: &mut HeaderMap, source: HeaderValue) {
    headers.insert(SOURCE, source);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

/// The last word of a stream.
pub(crate) fn cut_message(why: Cut) -> &'static str {
    match why {
        Cut::Revoked | Cut::LeaseOver => "the credential was revoked",
        Cut::Closed => "the rollout was closed",
        Cut::Narrowed => "the credential is no longer good from this source",
        Cut::Panic => "the gate is closed",
        Cut::Draining => "the gate is shutting down",
    }
}

/// What only the log may know.
pub(crate) fn reason(stop: &Stop) -> String {
    match stop {
        Stop::Denied(denied) => denied.to_string(),
        Stop::Fault(fault) => fault.to_string(),
        Stop::Cut(why) => cut_message(*why).to_owned(),
    }
}

fn kind(stop: &Stop) -> Type {
    match stop {
        Stop::Denied(denied) => denied.kind(),
        Stop::Fault(fault) => fault.kind(),
        Stop::Cut(Cut::Panic | Cut::Draining) => Type::ServiceUnavailable,
        Stop::Cut(Cut::Revoked | Cut::Closed | Cut::LeaseOver | Cut::Narrowed) => {
            Type::RolloutCancelled
        }
    }
}

/// What the caller is told, where its profile has no wording of its own.
fn message(stop: &Stop) -> Cow<'static, str> {
    match stop {
        Stop::Denied(denied) => match denied {
            Denied::Draining => "rollout concluded".into(),
            Denied::NoSuchRollout => "rollout not found".into(),
            Denied::Unlisted => "this source is not on the list".into(),
            Denied::Host => "this host name is not served here".into(),
            Denied::Origin => "this browser origin is not on the list".into(),
            Denied::ByokOff => "Bring Your Own Key (BYOK) mode is not enabled.".into(),
            Denied::Throttled { .. } => "too many failed authentications".into(),
            Denied::TooFast { .. } => "rate limit reached".into(),
            Denied::TooMany => "too many calls at once".into(),
            Denied::NoCredential
            | Denied::Malformed
            | Denied::TwoCredentials
            | Denied::Misplaced
            | Denied::Unknown(_)
            | Denied::Revoked
            | Denied::Expired
            | Denied::Disabled
            | Denied::WrongKind
            | Denied::WrongRollout
            | Denied::OutOfScope
            | Denied::WrongSource => "unauthorized".into(),
        },
        Stop::Fault(Fault::Connect { cause, .. }) => {
            format!("the upstream cannot be reached: {}", cause.cause()).into()
        }
        Stop::Fault(fault) => fault.to_string().into(),
        Stop::Cut(why) => cut_message(*why).into(),
    }
}

/// What a program may want to know beside the type.
fn details(stop: &Stop) -> Option<serde_json::Value> {
    if let Some(seconds) = retry_after(stop) {
        return Some(detail("retry_after", seconds));
    }
    match stop {
        Stop::Fault(Fault::Connect { cause, .. }) => Some(detail("cause", cause.cause())),
        Stop::Denied(_) | Stop::Fault(_) | Stop::Cut(_) => None,
    }
}

fn retry_after(stop: &Stop) -> Option<u32> {
    match stop {
        Stop::Denied(Denied::Throttled { retry_after } | Denied::TooFast { retry_after }) => {
            Some((*retry_after).max(1))
        }
        Stop::Denied(Denied::TooMany) => Some(1),
        Stop::Fault(Fault::ProviderRate { retry_after }) => Some(*retry_after),
        Stop::Denied(_) | Stop::Fault(_) | Stop::Cut(_) => None,
    }
}

fn hint(fault: &Fault) -> Option<&'static str> {
    let Fault::Connect { cause, .. } = fault else {
        return None;
    };
    cause.hint()
}

fn tell(stop: &Stop) {
    match stop {
        Stop::Denied(denied) => debug!(reason = %denied, "refused"),
        Stop::Cut(why) => debug!(reason = why.as_str(), "ended"),
        Stop::Fault(fault) => {
            let cause = std::error::Error::source(fault).map(tracing::field::display);
            let hint = hint(fault);
            match fault.blame() {
                Blame::Client => debug!(reason = %fault, cause, "request refused"),
                Blame::Upstream => {
                    warn!(reason = %fault, cause, hint, "upstream failed");
                }
                Blame::Gate => warn!(reason = %fault, cause, "request not served"),
            }
        }
    }
}

//! What the gate answers to anybody: whether it runs and whether it is ready, and nothing else.
//!
//! Exactly these paths, `GET` and `HEAD`, on every listener; never below a rollout's path.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::{Proxy, body::Body, head::Head, origin::Origin, respond};
use crate::settings::Mode;

/// The answer that needs no credential, if this call is one that gets it.
pub(crate) fn answer(proxy: &Proxy, head: &Head, origin: &Origin) -> Option<Response<Body>> {
    if let Origin::Preflight(..) = origin {
        let mut response = respond::json(StatusCode::NO_CONTENT, Body::Whole(Bytes::new()));
        response.headers_mut().remove(http::header::CONTENT_TYPE);
        return Some(response);
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return None;
    }
    let is_ready = match head.path() {
        "/" | "/health" | "/v1/health" | "/livez" | "/healthz" | "/status" => true,
        "/readyz" => proxy.is_serving().is_ok() && proxy.grants.mode() != Mode::Closed,
        _ => return None,
    };
    let (status, body) = if is_ready {
        (StatusCode::OK, r#"{"status":"ok"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not ready"}"#)
    };
    Some(respond::json(
        status,
        Body::Whole(Bytes::from_static(body.as_bytes())),
    ))
}

//! The one place that turns a refusal into an HTTP answer.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::wire::{Error, ErrorBody};
use crate::control::Refused;

/// Status, kind, message and hint of a no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: ErrorBody,
}

impl Refusal {
    fn new(status: StatusCode, kind: &str, message: String, hint: &str) -> Self {
        let (kind, hint) = (kind.to_owned(), hint.to_owned());
        Self {
            status,
            body: ErrorBody {
                kind,
                message,
                hint,
            },
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message.into(), "")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        let hint = "send fewer at once";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint)
    }

    pub(super) fn root_only(what: &str) -> Self {
        let message = format!("{what} is for root alone");
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, "try sudo")
    }

    pub(super) fn key_reused() -> Self {
        let message = "this Idempotency-Key came with another question before".to_owned();
        let hint = "use a new key for a new question";
        Self::new(
            StatusCode::CONFLICT,
            "idempotency_key_reused",
            message,
            hint,
        )
    }

    pub(super) fn ring(why: String) -> Self {
        let hint = "`gatectl status` says how the rings stand";
        Self::new(StatusCode::CONFLICT, "packet_ring", why, hint)
    }

    pub(super) fn key_file(why: String) -> Self {
        let hint = "append a key to where the master keys come from: openssl rand -base64 32";
        Self::new(StatusCode::CONFLICT, "key_file", why, hint)
    }

    pub(super) fn no_path() -> Self {
        let message = "there is no such path".to_owned();
        Self::new(StatusCode::NOT_FOUND, "no_path", message, "")
    }

    pub(super) fn no_method() -> Self {
        let message = "this path has no such method".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "no_method", message, "")
    }

    pub(super) fn in_item(mut self, index: usize) -> Self {
        self.body.message = format!("item {index}: {}", self.body.message);
        self
    }
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        let status = StatusCode::from_u16(why.status()).expect("all of them are statuses");
        Self::new(status, why.kind(), chain(&why), &why.hint())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Error { error: self.body })).into_response()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

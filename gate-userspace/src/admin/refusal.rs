//! The one place that turns a refusal into an HTTP answer.

use std::time::Duration;

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};

use super::wire::{Error, ErrorBody};
use crate::{control::Refused, operator::Role};

/// Status, kind, message and hint of a no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: ErrorBody,
    /// In seconds.
    retry_after: Option<u64>,
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
            retry_after: None,
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

    pub(super) fn here_only() -> Self {
        let message = "this is asked for at the admin socket of its host alone".to_owned();
        let hint = "run gatectl on that host, without --url";
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, hint)
    }

    pub(super) fn role(has: Role, needed: Role) -> Self {
        let message = format!("an operator with role `{has}` may not do this");
        let hint = format!("ask with a token of role `{needed}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, &hint)
    }

    pub(super) fn no_token() -> Self {
        let message = "no operator's token was presented".to_owned();
        let hint = "send `Authorization: Bearer TOKEN`; `gatectl admin token add` makes one";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message, hint)
    }

    pub(super) fn too_often(wait: Duration) -> Self {
        let hint = "open and close many rollouts in one call";
        Self::later(wait, "this operator asks too often", hint)
    }

    pub(super) fn too_many_tokens(wait: Duration) -> Self {
        let hint = "`gatectl admin token list` at the host says who has one";
        Self::later(wait, "too many wrong tokens came from this address", hint)
    }

    fn later(wait: Duration, message: &str, hint: &str) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            retry_after: Some(wait.as_secs() + 1),
            ..Self::new(status, "too_often", message.to_owned(), hint)
        }
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
        let answer = (self.status, Json(Error { error: self.body }));
        match self.retry_after {
            Some(seconds) => ([(RETRY_AFTER, seconds.to_string())], answer).into_response(),
            None => answer.into_response(),
        }
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

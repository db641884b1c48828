//! Reads the JSON of a question: bounded, all of it or nothing, unknown keys refused.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// Room for some ten thousand rollouts in one call.
const LIMIT: usize = 32 * 1024 * 1024;

/// A parsed body. No body at all is an empty object.
pub(super) struct Question<T>(pub(super) T);

/// The body as it came, for those who must look at it twice.
pub(super) struct Raw(pub(super) Bytes);

/// A parsed query string.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let body = to_bytes(request.into_body(), LIMIT).await;
        body.map(Self).map_err(|_why| Refusal::too_large(LIMIT))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Question<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Raw(body) = Raw::from_request(request, state).await?;
        read(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let query = query.map_err(|why| Refusal::invalid(why.body_text()))?;
        Ok(Self(query.0))
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.trim_ascii().is_empty() {
        b"{}"
    } else {
        body
    };
    serde_json::from_slice(body).map_err(|why| Refusal::invalid(why.to_string()))
}

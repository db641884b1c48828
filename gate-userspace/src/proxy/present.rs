//! Finds the one credential that a caller presents.
//!
//! Threat: two parties that each look at another header. So what is presented twice must be the
//! same, and what is not presented is never guessed. Texts become digests while they are read; no
//! token gets a name here. Does not know whether a token is good.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{fault::Denied, secret::Shown, settings::CredentialMode};

pub(crate) const GATE_TOKEN: HeaderName = HeaderName::from_static("x-gate-token");
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credential of a call, as a digest.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    pub(crate) shown: Shown,
    /// Whether the caller's own provider credential stands beside it and stays.
    pub(crate) keeps_own: bool,
}

/// What the carriers hold, each at most one value.
pub(crate) struct Carriers {
    gate: Option<Shown>,
    bearer: Option<Shown>,
    api_key: Option<Shown>,
}

impl Carriers {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Denied> {
        Ok(Self {
            gate: same(headers, &GATE_TOKEN, whole)?,
            bearer: same(headers, &header::AUTHORIZATION, bearer)?,
            api_key: same(headers, &API_KEY, whole)?,
        })
    }

    /// The one credential there is. Where the caller's own is kept, only `X-Gate-Token` is ours.
    pub(crate) fn one(self, mode: CredentialMode) -> Result<Presented, Denied> {
        let keeps_own = mode == CredentialMode::Keep;
        let shown = match mode {
            CredentialMode::Keep => self.gate,
            CredentialMode::Replace | CredentialMode::None => {
                let found = [self.gate, self.bearer, self.api_key];
                found.into_iter().flatten().try_fold(None, agree)?
            }
        };
        let shown = shown.ok_or(Denied::NoCredential)?;
        Ok(Presented { shown, keeps_own })
    }
}

/// The same value twice is one value.
fn agree(one: Option<Shown>, other: Shown) -> Result<Option<Shown>, Denied> {
    match one {
        Some(one) if one.digest != other.digest => Err(Denied::TwoCredentials),
        _ => Ok(Some(other)),
    }
}

fn same(
    headers: &HeaderMap,
    name: &HeaderName,
    read: fn(&HeaderValue) -> Result<Option<Shown>, Denied>,
) -> Result<Option<Shown>, Denied> {
    let mut found = None;
    for value in headers.get_all(name) {
        if let Some(shown) = read(value)? {
            found = agree(found, shown)?;
        }
    }
    Ok(found)
}

fn whole(value: &HeaderValue) -> Result<Option<Shown>, Denied> {
    Shown::read(value.as_bytes())
        .map(Some)
        .ok_or(Denied::Malformed)
}

/// `Bearer TOKEN`, the scheme in any case. A tunnel's own `Basic` is not meant for us.
fn bearer(value: &HeaderValue) -> Result<Option<Shown>, Denied> {
    let text = value.as_bytes().trim_ascii();
    let end = text.iter().position(u8::is_ascii_whitespace);
    let (scheme, token) = text.split_at(end.unwrap_or(text.len()));
    if scheme.eq_ignore_ascii_case(b"basic") {
        return Ok(None);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Denied::Malformed);
    }
    Shown::read(token).map(Some).ok_or(Denied::Malformed)
}

#[cfg(test)]
mod tests;

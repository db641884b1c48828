//! Finds the one credential that a caller presents.
//!
//! Threat: two parties that each look at another header. So what is presented twice must be the
//! same, and what is not presented is never guessed. Texts become digests while they are read; no
//! token gets a name here. Does not know whether a token is good.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    fault::Denied,
    ident::TokenId,
    secret::{Digest, Shown},
};

pub(crate) const GATE_TOKEN: HeaderName = HeaderName::from_static("x-gate-token");
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(crate) const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");

/// What a call brings to say whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    pub(crate) credential: Credential,
    /// What becomes of a provider credential that the caller brought itself.
    pub(crate) own: Own,
    /// A header that would say the caller's own credential a second time.
    pub(crate) drops: Option<HeaderName>,
}

#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A token, as its digest.
    Token(Shown),
    /// A token's id, named by somebody who is trusted to do so.
    Delegated(TokenId),
    /// What the service behind the gate presents to itself.
    Internal(Digest),
    /// Nothing, where that is served with the upstream's key.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Goes,
    /// Where the upstream is one that keeps it.
    StaysIfKept,
    Stays,
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

    /// As [`Self::read`], and a bearer may come without its scheme.
    pub(crate) fn read_bare(headers: &HeaderMap) -> Result<Self, Denied> {
        Ok(Self {
            gate: same(headers, &GATE_TOKEN, whole)?,
            bearer: same(headers, &header::AUTHORIZATION, bearer_or_bare)?,
            api_key: same(headers, &API_KEY, whole)?,
        })
    }

    /// `X-Gate-Token`, which works everywhere, or what the profile found; both must be the same.
    pub(crate) fn gate_with(
        headers: &HeaderMap,
        given: Option<Shown>,
    ) -> Result<Option<Shown>, Denied> {
        let gate = same(headers, &GATE_TOKEN, whole)?;
        [gate, given].into_iter().flatten().try_fold(None, agree)
    }

    /// The one credential there is.
    pub(crate) fn one(self) -> Result<Presented, Denied> {
        let found = [self.gate, self.bearer, self.api_key];
        let one = found.into_iter().flatten().try_fold(None, agree)?;
        let shown = one.ok_or(Denied::NoCredential)?;
        Ok(Presented::of(Credential::Token(shown)))
    }

    /// Where the caller's own credential stays, only `X-Gate-Token` is ours; the rest is not read.
    pub(crate) fn beside_own(headers: &HeaderMap) -> Result<Presented, Denied> {
        let shown = Self::gate_with(headers, None)?.ok_or(Denied::NoCredential)?;
        Ok(Presented {
            own: Own::StaysIfKept,
            ..Presented::of(Credential::Token(shown))
        })
    }
}

impl Presented {
    /// A credential beside which nothing stays.
    pub(crate) fn of(credential: Credential) -> Self {
        Self {
            credential,
            own: Own::Goes,
            drops: None,
        }
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

fn bearer_or_bare(value: &HeaderValue) -> Result<Option<Shown>, Denied> {
    match bearer(value) {
        Err(Denied::Malformed) => whole(value),
        found => found,
    }
}

#[cfg(test)]
mod tests;

//! Removes the caller's credential from a request and puts the account's in its place.
//!
//! Threat: the gate's token upstream opens the gate to whoever runs the upstream; the caller's
//! credential in the wrong place opens an account; an upstream key in a log is spent by strangers.
//! Does not decide anything: it needs a [`Permit`]. The one place that opens a sealed key.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri};

use super::{
    admit::{Known, Permit, Whose},
    backend::Backend,
    field::{self, Field},
    head::Head,
    hop,
    inbound::Inbound,
    present::{API_KEY, AZURE_KEY, Credential, Own, Presented},
    request_id::REQUEST_ID,
    route::{Route, is_version},
    upgrade,
};
use crate::{
    client::{client_owner, token_owner},
    fault::Fault,
    rollout::rollout_owner,
    secret::{Keyring, Sealed, Shown, UpstreamKey},
    settings::{CredentialMode, PresentAs, WithoutKey},
};

/// A request whose inbound credential is gone and whose upstream credential is in place.
pub(crate) struct Outbound {
    request: Request<Inbound>,
    auth: Auth,
    upgrades: bool,
}

/// Whose credential the upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// The caller's own.
    Byok,
    /// One stored for this token, rollout or client.
    Centralized,
    /// The upstream's ordinary one.
    Shared,
    None,
}

/// What stands beside the head of a request.
pub(crate) struct Way<'a> {
    pub(crate) route: &'a Route,
    pub(crate) backend: &'a Backend,
    pub(crate) keyring: &'a Keyring,
    /// The peer's address as a header value.
    pub(crate) forwarded_for: &'a HeaderValue,
    /// `http` or `https`, as the caller spoke.
    pub(crate) scheme: &'static str,
    pub(crate) request_id: HeaderValue,
    /// Whether the caller wants a WebSocket.
    pub(crate) upgrades: bool,
    /// The body's key, where the profile reads it.
    pub(crate) field: Option<Field>,
}

pub(crate) fn credential(
    permit: &Permit,
    head: Head,
    body: Inbound,
    way: &Way<'_>,
) -> Result<Outbound, Fault> {
    let Head {
        method,
        uri,
        mut headers,
        ..
    } = head;
    hop::strip(&mut headers);
    headers.remove(header::EXPECT);
    for name in way.route.profile.strips() {
        headers.remove(name);
    }
    let (key, auth) = exchange(&mut headers, permit, way)?;
    let mut request = Request::new(body);
    let query = if auth == Auth::Byok || !way.route.profile.reads_body() {
        None
    } else {
        in_text(key.as_ref(), &uri, way, &mut request, &mut headers)?
    };
    if let Some(key) = key
        && let Some(name) = name(way.backend.present_as)
    {
        headers.insert(name, key);
    }
    forwarded(&mut headers, &uri, way);
    if way.upgrades {
        upgrade::ask(&mut headers);
    }
    *request.method_mut() = method;
    *request.uri_mut() = target(&uri, query.as_deref(), way)?;
    *request.headers_mut() = headers;
    Ok(Outbound {
        request,
        auth,
        upgrades: way.upgrades,
    })
}

/// Takes the caller's credential off the head, and finds the key that comes in its place.
fn exchange(
    headers: &mut HeaderMap,
    permit: &Permit,
    way: &Way<'_>,
) -> Result<(Option<HeaderValue>, Auth), Fault> {
    let kept = way.backend.credential == CredentialMode::Keep;
    let known = match permit.whose() {
        Whose::TheirOwn => return Ok((None, Auth::Byok)),
        Whose::Upstreams => None,
        Whose::Known(known) => Some(known),
    };
    if let Some(known) = known {
        let stays = match known.presented.own {
            Own::Goes => false,
            Own::StaysIfKept => kept,
            Own::Stays => true,
        };
        if stays {
            strip_ours(headers, &known.presented);
            return Ok((None, Auth::Byok));
        }
    }
    headers.remove(header::AUTHORIZATION);
    headers.remove(API_KEY);
    headers.remove(AZURE_KEY);
    match (way.backend.credential, known) {
        (CredentialMode::Keep | CredentialMode::None, _) => Ok((None, Auth::None)),
        (CredentialMode::Replace, Some(known)) => match key(known, way) {
            Err(Fault::NoKey) if way.backend.without_key == WithoutKey::Send => {
                Ok((None, Auth::None))
            }
            found => found,
        },
        (CredentialMode::Replace, None) => shared(way),
    }
}

/// Puts the key where the caller's stood in the body or the query, and leaves none there otherwise.
/// Returns the query if it changed.
fn in_text(
    key: Option<&HeaderValue>,
    uri: &Uri,
    way: &Way<'_>,
    request: &mut Request<Inbound>,
    headers: &mut HeaderMap,
) -> Result<Option<String>, Fault> {
    let key = key.filter(|_| way.backend.present_as == PresentAs::BodyApiKey);
    let key = match key {
        Some(key) => Some(key.to_str().map_err(|_why| Fault::KeyNotText)?),
        None => None,
    };
    let in_query = uri.query().filter(|query| field::in_query(query).is_some());
    let has_text = way
        .field
        .as_ref()
        .is_some_and(|field| field.text().is_some());
    let (for_body, for_query) = match in_query {
        Some(_) if !has_text => (None, key),
        Some(_) | None => (key, None),
    };
    if let Some(field) = &way.field {
        let body: Bytes = field.with(for_body);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *request.body_mut() = Inbound::whole(body);
    }
    Ok(uri.query().map(|query| field::query_with(query, for_query)))
}

impl Auth {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Byok => "byok",
            Self::Centralized => "centralized",
            Self::Shared => "shared",
            Self::None => "none",
        }
    }
}

impl Outbound {
    pub(crate) fn auth(&self) -> Auth {
        self.auth
    }

    /// Whether it asks for a WebSocket.
    pub(super) fn upgrades(&self) -> bool {
        self.upgrades
    }

    pub(super) fn into_request(self) -> Request<Inbound> {
        self.request
    }
}

/// A key as the header that carries it, made once per upstream.
pub(super) fn prepare(key: &UpstreamKey, present_as: PresentAs) -> Result<HeaderValue, Fault> {
    let text = key.expose();
    let value = match present_as {
        PresentAs::Bearer => {
            let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(7 + text.len()));
            bytes.extend_from_slice(b"Bearer ");
            bytes.extend_from_slice(text.as_bytes());
            HeaderValue::from_bytes(&bytes)
        }
        PresentAs::XApiKey | PresentAs::ApiKey | PresentAs::BodyApiKey => {
            HeaderValue::from_bytes(text.as_bytes())
        }
    };
    let mut value = value.map_err(|_why| Fault::KeyNotText)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The key of the token, else of the rollout, else of the client, else of the upstream.
fn key(known: &Known, way: &Way<'_>) -> Result<(Option<HeaderValue>, Auth), Fault> {
    let grant = &known.grant;
    let open = |owner: String, sealed: &Sealed| {
        let key = way
            .keyring
            .open(&owner, sealed)
            .map_err(Fault::KeyUnavailable)?;
        let key = prepare(&key, way.backend.present_as)?;
        Ok((Some(key), Auth::Centralized))
    };
    if let Some(sealed) = &grant.key {
        return open(token_owner(grant.token), sealed);
    }
    if let Some(rollout) = &known.rollout {
        let record = rollout.peek();
        if let Some(sealed) = &record.key {
            return open(rollout_owner(rollout.serial), sealed);
        }
    }
    let client = grant.client.peek();
    if let Some(sealed) = &client.key {
        return open(client_owner(grant.client.id), sealed);
    }
    if way.route.profile.lends_upstream_key() {
        shared(way)
    } else {
        Err(Fault::NoKey)
    }
}

fn shared(way: &Way<'_>) -> Result<(Option<HeaderValue>, Auth), Fault> {
    let key = way.backend.key.clone().ok_or(Fault::NoKey)?;
    Ok((Some(key), Auth::Shared))
}

/// The header that carries it; none where it stands in the body.
fn name(present_as: PresentAs) -> Option<HeaderName> {
    match present_as {
        PresentAs::Bearer => Some(header::AUTHORIZATION),
        PresentAs::XApiKey => Some(API_KEY),
        PresentAs::ApiKey => Some(AZURE_KEY),
        PresentAs::BodyApiKey => None,
    }
}

/// Where the caller's own credential stays, whatever still holds the gate's token goes, and so does
/// a tunnel's `Basic` where the caller's own cannot be one.
fn strip_ours(headers: &mut HeaderMap, presented: &Presented) {
    if let Some(name) = &presented.drops {
        headers.remove(name);
    }
    for name in [header::AUTHORIZATION, API_KEY, AZURE_KEY] {
        let values = headers.get_all(&name);
        if values.iter().any(|value| is_ours(value, presented)) {
            headers.remove(&name);
        }
    }
}

fn is_ours(value: &HeaderValue, presented: &Presented) -> bool {
    let bytes = value.as_bytes().trim_ascii();
    let (scheme, rest) = bytes.split_at(bytes.len().min(6));
    let token = if scheme.eq_ignore_ascii_case(b"bearer") {
        rest
    } else {
        bytes
    };
    let is_same = |shown: &Shown| match &presented.credential {
        Credential::Token(ours) => shown.digest == ours.digest,
        Credential::Delegated(_) | Credential::Internal(_) | Credential::None => false,
    };
    let is_tunnels = presented.own == Own::Stays && scheme.eq_ignore_ascii_case(b"basic ");
    is_tunnels || Shown::read(token).as_ref().is_some_and(is_same)
}

/// Says who called; what a caller said about that is gone already.
fn forwarded(headers: &mut HeaderMap, uri: &Uri, way: &Way<'_>) {
    // HTTP/2 says it in the target.
    let target = || HeaderValue::from_str(uri.authority()?.as_str()).ok();
    let host = headers.insert(header::HOST, way.backend.host_header.clone());
    if let Some(host) = host.or_else(target) {
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    headers.insert(
        HeaderName::from_static("x-forwarded-for"),
        way.forwarded_for.clone(),
    );
    headers.insert(REQUEST_ID, way.request_id.clone());
    headers.insert(
        HeaderName::from_static("x-forwarded-proto"),
        HeaderValue::from_static(way.scheme),
    );
}

/// The upstream's path, then the caller's behind `strip_prefix`; `/v1` + `/v1/x` is `/v1/x`.
fn target(uri: &Uri, query: Option<&str>, way: &Way<'_>) -> Result<Uri, Fault> {
    let path = uri.path();
    let stripped = path
        .strip_prefix(way.route.strip_prefix.as_str())
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let rest = stripped.unwrap_or(path);
    let base = way.backend.path.as_str();
    let mut parts = uri::Parts::default();
    parts.path_and_query = if base.is_empty() && rest.len() == path.len() && query.is_none() {
        uri.path_and_query().cloned()
    } else {
        let rest = base
            .rsplit_once('/')
            .filter(|(_, last)| is_version(last))
            .and_then(|(_, last)| rest.strip_prefix('/')?.strip_prefix(last))
            .filter(|after| after.is_empty() || after.starts_with('/'))
            .unwrap_or(rest);
        let query = query.or(uri.query()).unwrap_or_default();
        let mut joined = String::with_capacity(base.len() + rest.len() + query.len() + 2);
        joined.push_str(base);
        joined.push_str(rest);
        if joined.is_empty() {
            joined.push('/');
        }
        if !query.is_empty() {
            joined.push('?');
            joined.push_str(query);
        }
        let joined = joined.try_into();
        Some(joined.map_err(|_why| Fault::BadRequest("the path does not fit the upstream's"))?)
    };
    Uri::from_parts(parts).map_err(|_why| Fault::BadRequest("the path does not fit the upstream's"))
}

//! Removes the caller's credential from a request and puts the account's in its place.
//!
//! Threat: the gate's token upstream opens the gate to whoever runs the upstream; the caller's
//! credential in the wrong place opens an account; an upstream key in a log is spent by strangers.
//! Does not decide anything: it needs a [`Permit`]. The one place that opens a sealed key.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri};

use super::{
    admit::{Known, Permit},
    backend::Backend,
    head::Head,
    hop,
    inbound::Inbound,
    present::{API_KEY, Presented},
    route::{Route, is_version},
};
use crate::{
    client::{client_owner, token_owner},
    fault::Fault,
    rollout::rollout_owner,
    secret::{Keyring, Sealed, Shown, UpstreamKey},
    settings::{CredentialMode, PresentAs, WithoutKey},
};

const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");

/// A request whose inbound credential is gone and whose upstream credential is in place.
pub(crate) struct Outbound {
    request: Request<Inbound>,
    _made_here: (),
}

/// What stands beside the head of a request.
pub(crate) struct Way<'a> {
    pub(crate) route: &'a Route,
    pub(crate) backend: &'a Backend,
    pub(crate) keyring: &'a Keyring,
    /// The peer's address as a header value.
    pub(crate) forwarded_for: &'a HeaderValue,
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
    // A stranger in `audit` goes with what he brought, and never with a stored key.
    if let Some(known) = permit.known() {
        exchange(&mut headers, known, way)?;
    }
    forwarded(&mut headers, way);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target(&uri, way.route, way.backend)?;
    *request.headers_mut() = headers;
    Ok(Outbound {
        request,
        _made_here: (),
    })
}

/// The caller's credential goes, the account's comes.
fn exchange(headers: &mut HeaderMap, known: &Known, way: &Way<'_>) -> Result<(), Fault> {
    if known.presented.keeps_own && way.backend.credential == CredentialMode::Keep {
        strip_ours(headers, &known.presented);
        return Ok(());
    }
    headers.remove(header::AUTHORIZATION);
    headers.remove(API_KEY);
    headers.remove(AZURE_KEY);
    match way.backend.credential {
        CredentialMode::Replace => match key(known, way) {
            Ok(key) => _ = headers.insert(name(way.backend.present_as), key),
            Err(Fault::NoKey) if way.backend.without_key == WithoutKey::Send => {}
            Err(fault) => return Err(fault),
        },
        CredentialMode::Keep | CredentialMode::None => {}
    }
    Ok(())
}

impl Outbound {
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
        PresentAs::XApiKey | PresentAs::ApiKey => HeaderValue::from_bytes(text.as_bytes()),
    };
    let mut value = value.map_err(|_why| Fault::KeyNotText)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The key of the token, else of the rollout, else of the client, else of the upstream.
fn key(known: &Known, way: &Way<'_>) -> Result<HeaderValue, Fault> {
    let grant = &known.grant;
    let open = |owner: String, sealed: &Sealed| {
        let key = way
            .keyring
            .open(&owner, sealed)
            .map_err(Fault::KeyUnavailable)?;
        prepare(&key, way.backend.present_as)
    };
    if let Some(sealed) = &grant.key {
        return open(token_owner(grant.token), sealed);
    }
    if let Some(rollout) = &known.rollout {
        let record = rollout.record();
        if let Some(sealed) = &record.key {
            return open(rollout_owner(rollout.serial), sealed);
        }
    }
    let client = grant.client.record();
    if let Some(sealed) = &client.key {
        return open(client_owner(grant.client.id), sealed);
    }
    way.backend.key.clone().ok_or(Fault::NoKey)
}

fn name(present_as: PresentAs) -> HeaderName {
    match present_as {
        PresentAs::Bearer => header::AUTHORIZATION,
        PresentAs::XApiKey => API_KEY,
        PresentAs::ApiKey => AZURE_KEY,
    }
}

/// Where the caller's own credential stays, whatever still holds the gate's token goes, and so does
/// a tunnel's `Basic`.
fn strip_ours(headers: &mut HeaderMap, presented: &Presented) {
    for name in [header::AUTHORIZATION, API_KEY, AZURE_KEY] {
        let is_ours = headers.get_all(&name).iter().any(|value| {
            let bytes = value.as_bytes().trim_ascii();
            let (scheme, rest) = bytes.split_at(bytes.len().min(6));
            let token = if scheme.eq_ignore_ascii_case(b"bearer") {
                rest
            } else {
                bytes
            };
            scheme.eq_ignore_ascii_case(b"basic ")
                || Shown::read(token).is_some_and(|own| own.digest == presented.shown.digest)
        });
        if is_ours {
            headers.remove(&name);
        }
    }
}

/// Says who called; what a caller said about that is gone already.
fn forwarded(headers: &mut HeaderMap, way: &Way<'_>) {
    if let Some(host) = headers.insert(header::HOST, way.backend.host_header.clone()) {
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    headers.insert(
        HeaderName::from_static("x-forwarded-for"),
        way.forwarded_for.clone(),
    );
    headers.insert(
        HeaderName::from_static("x-forwarded-proto"),
        HeaderValue::from_static("http"),
    );
}

/// The upstream's path, then the caller's behind `strip_prefix`; `/v1` + `/v1/x` is `/v1/x`.
fn target(uri: &Uri, route: &Route, backend: &Backend) -> Result<Uri, Fault> {
    let path = uri.path();
    let stripped = path
        .strip_prefix(route.strip_prefix.as_str())
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let rest = stripped.unwrap_or(path);
    let base = backend.path.as_str();
    let odd = |_| Fault::BadRequest("the path does not fit the upstream's");
    let mut parts = uri::Parts::default();
    parts.path_and_query = if base.is_empty() && rest.len() == path.len() {
        uri.path_and_query().cloned()
    } else {
        let rest = base
            .rsplit_once('/')
            .filter(|(_, last)| is_version(last))
            .and_then(|(_, last)| rest.strip_prefix('/')?.strip_prefix(last))
            .filter(|after| after.is_empty() || after.starts_with('/'))
            .unwrap_or(rest);
        let mut joined = String::with_capacity(base.len() + rest.len() + 64);
        joined.push_str(base);
        joined.push_str(rest);
        if joined.is_empty() {
            joined.push('/');
        }
        if let Some(query) = uri.query() {
            joined.push('?');
            joined.push_str(query);
        }
        Some(joined.try_into().map_err(odd)?)
    };
    Uri::from_parts(parts).map_err(|_why| Fault::BadRequest("the path does not fit the upstream's"))
}

//! Headers that belong to one connection, and those that only the gate may say.
//!
//! Both ways: what stands here never crosses the gate.

use http::{HeaderMap, HeaderName, header};

const HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes hop-by-hop headers, those that `Connection` names, and those of the gate.
///
/// First of all steps: `Connection: authorization` would otherwise let a caller choose what we send.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        if HOP.contains(name) || is_ours(name.as_str()) || is_disguised(name.as_str()) {
            doomed.push(name.clone());
        }
    }
    if doomed.is_empty() {
        return;
    }
    for value in headers.get_all(header::CONNECTION) {
        let named = value.as_bytes().split(|byte| *byte == b',');
        doomed.extend(named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()));
    }
    for name in doomed {
        // Framing is the connection's own business; hyper sets it from the body.
        if name != header::CONTENT_LENGTH {
            headers.remove(name);
        }
    }
}

/// Some servers read `x_api_key` as `x-api-key`: what may not come under its own name may not come
/// under that one.
fn is_disguised(name: &str) -> bool {
    if !name.contains('_') {
        return false;
    }
    let name = name.replace('_', "-");
    is_ours(&name)
        || HOP.iter().any(|hop| *hop == name.as_str())
        || ["x-api-key", "api-key", "content-length", "host"].contains(&name.as_str())
}

/// What the gate sets, and believes from nobody.
fn is_ours(name: &str) -> bool {
    name.starts_with("x-gate-")
        || name.starts_with("x-forwarded-")
        || name == "forwarded"
        || name == "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Acceptance 81 and 175.
    #[test]
    fn what_connection_names_goes_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("x-gate-error", "forged"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x_api_key", "k"),
            ("transfer_encoding", "chunked"),
            ("own_header", "stays"),
            ("anthropic-beta", "b"),
            ("content-length", "3"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["anthropic-beta", "content-length", "own_header"]);
    }
}

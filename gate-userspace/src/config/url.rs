//! Where an upstream is: `http`, `https` or `unix`, and nothing that could be read in two ways.
//!
//! Resolves nothing. A host that no resolver and no certificate could mean is refused here, with
//! the start, and not with the first call.

use std::{net::IpAddr, path::PathBuf};

use http::Uri;

use super::{refuse::Refused, value::refused};
use crate::settings::{UpstreamAt, UpstreamUrl};

/// Bytes of a path in `sockaddr_un`, with the zero behind it.
const SUN_PATH: usize = 108;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Unix,
}

/// `http[s]://HOST[:PORT][/PATH]` or `unix:SOCKET[:/PATH]`
pub(super) fn read(key: &str, text: &str) -> Result<(Scheme, UpstreamUrl), Refused> {
    // What stands before an @ is a password, and errors are logged.
    let masked = text
        .rsplit_once('@')
        .map_or(text.to_owned(), |(_, host)| format!("..@{host}"));
    let no = |expected: &str| refused(key, &masked, expected);
    if let Some(rest) = text.strip_prefix("unix:") {
        let url = unix(rest).ok_or_else(|| {
            no("unix: and the absolute path of a socket, such as unix:/run/llm.sock or unix:/run/llm.sock:/v1")
        })?;
        return Ok((Scheme::Unix, url));
    }
    let uri: Uri = text
        .parse()
        .map_err(|_why| no("a URL such as http://127.0.0.1:9000"))?;
    let authority = uri.authority().ok_or_else(|| no("a URL with a host"))?;
    let (scheme, usual_port) = match uri.scheme_str() {
        Some("http") => (Scheme::Http, 80),
        Some("https") => (Scheme::Https, 443),
        Some(_) | None => return Err(no("a http://, https:// or unix: URL")),
    };
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(no("a URL without user, password or query"));
    }
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.parse::<IpAddr>().is_err() && !is_name(host) {
        return Err(no("a URL whose host is a name or an address"));
    }
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => usual_port,
        Some(_) | None => authority
            .port_u16()
            .filter(|port| *port != 0)
            .ok_or_else(|| no("a URL with a port from 1 to 65535"))?,
    };
    let url = UpstreamUrl {
        authority: authority.as_str().to_owned(),
        at: UpstreamAt::Tcp {
            host: host.to_owned(),
            port,
        },
        path: uri.path().trim_end_matches('/').to_owned(),
    };
    Ok((scheme, url))
}

fn unix(rest: &str) -> Option<UpstreamUrl> {
    let (socket, path) = match rest.split_once(":/") {
        Some((socket, path)) => (socket, format!("/{path}")),
        None => (rest, String::new()),
    };
    let is_socket = socket.starts_with('/')
        && !socket.ends_with('/')
        && socket.len() < SUN_PATH
        && !socket.contains('\0');
    let is_path = path.is_empty() || path.parse::<Uri>().is_ok_and(|uri| uri.query().is_none());
    (is_socket && is_path).then(|| UpstreamUrl {
        // A socket has no name; servers that look at `Host` know this one.
        authority: "localhost".to_owned(),
        at: UpstreamAt::Unix(PathBuf::from(socket)),
        path: path.trim_end_matches('/').to_owned(),
    })
}

/// Letters, digits, hyphens and underscores between dots, in the lengths that DNS has.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // An address that is none, such as 10.0.0.256, is no name either.
    let is_all_digits = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    host.len() <= 253 && !is_all_digits && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_its_form() {
        let tcp = |host: &str, port| UpstreamAt::Tcp {
            host: host.to_owned(),
            port,
        };
        let unix = || UpstreamAt::Unix("/run/llm.sock".into());
        let rows = [
            ("http://u", Scheme::Http, tcp("u", 80), "u", ""),
            (
                "http://127.0.0.1:9000/",
                Scheme::Http,
                tcp("127.0.0.1", 9000),
                "127.0.0.1:9000",
                "",
            ),
            (
                "https://api.openai.com",
                Scheme::Https,
                tcp("api.openai.com", 443),
                "api.openai.com",
                "",
            ),
            (
                "https://h_1.local:8443/v1/",
                Scheme::Https,
                tcp("h_1.local", 8443),
                "h_1.local:8443",
                "/v1",
            ),
            (
                "http://[::1]:9000/a/b",
                Scheme::Http,
                tcp("::1", 9000),
                "[::1]:9000",
                "/a/b",
            ),
            ("https://[::1]", Scheme::Https, tcp("::1", 443), "[::1]", ""),
            ("unix:/run/llm.sock", Scheme::Unix, unix(), "localhost", ""),
            (
                "unix:/run/llm.sock:/v1/",
                Scheme::Unix,
                unix(),
                "localhost",
                "/v1",
            ),
        ];
        for (text, scheme, at, authority, path) in rows {
            let url = UpstreamUrl {
                authority: authority.to_owned(),
                at,
                path: path.to_owned(),
            };
            assert_eq!(read("url", text).unwrap(), (scheme, url), "{text}");
        }
    }

    #[test]
    fn what_nobody_could_mean_is_refused() {
        let long = format!("http://{}.com", "a".repeat(64));
        let deep = format!("unix:/{}", "a".repeat(108));
        for text in [
            "",
            "u:9000",
            "ftp://u",
            "http://",
            "http://u:0",
            "http://u:99999",
            "http://u:",
            "http://me:pw@u",
            "http://u?q=1",
            "http://a..b",
            "http://a%00b",
            "http://10.0.0.256",
            "http://a b",
            "http://u\0",
            "http://[fe80::1%25eth0]",
            "http://$host",
            "unix:",
            "unix:relative.sock",
            "unix:/run/",
            "unix:/run/a\0b",
            "unix:/run/a.sock:/v1?q=1",
            &long,
            &deep,
        ] {
            assert!(read("url", text).is_err(), "{text:?}");
        }
    }
}

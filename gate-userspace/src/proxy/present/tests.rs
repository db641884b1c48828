//! Which headers make one credential.

use super::*;

#[test]
fn one_credential_is_found_or_none() {
    let found = |headers: &[(&str, &str)]| present(headers, false);
    assert_eq!(found(&[]), Err(Denied::NoCredential));
    assert_eq!(
        found(&[("authorization", "Basic eA==")]),
        Err(Denied::NoCredential)
    );
    for text in ["", "Bearer", "Bearer ", "Bearer a b", "Token a", "a"] {
        assert_eq!(
            found(&[("authorization", text)]),
            Err(Denied::Malformed),
            "{text:?}"
        );
    }
    for headers in [
        &[("authorization", "Bearer a")][..],
        &[("authorization", "bEARER  a ")],
        &[("x-api-key", "a")],
        &[("x-gate-token", " a ")],
        &[
            ("authorization", "Bearer a"),
            ("x-api-key", "a"),
            ("x-gate-token", "a"),
        ],
        &[("authorization", "Bearer a"), ("authorization", "Basic x")],
        &[("authorization", "Basic x"), ("x-api-key", "a")],
    ] {
        assert_eq!(found(headers), Ok(Digest::of(b"a")), "{headers:?}");
    }
    for headers in [
        &[("authorization", "Bearer a"), ("x-api-key", "b")][..],
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
        &[("x-gate-token", "a"), ("authorization", "Bearer b")],
    ] {
        assert_eq!(found(headers), Err(Denied::TwoCredentials), "{headers:?}");
    }
}

#[test]
fn what_is_kept_is_not_ours() {
    let found = |headers: &[(&str, &str)]| present(headers, true);
    let both = [("x-gate-token", "a"), ("authorization", "Bearer own")];
    assert_eq!(found(&both), Ok(Digest::of(b"a")));
    assert_eq!(
        found(&[("authorization", "Bearer a")]),
        Err(Denied::NoCredential)
    );
}

fn present(headers: &[(&str, &str)], keeps: bool) -> Result<Digest, Denied> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let presented = if keeps {
        Carriers::beside_own(&map)?
    } else {
        Carriers::read(&map)?.one()?
    };
    let Credential::Token(shown) = presented.credential else {
        panic!("{presented:?}");
    };
    Ok(shown.digest)
}

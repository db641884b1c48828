//! What a profile finds was presented, and is the only one.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    ident::TokenId,
    profile::{self, Sight},
    proxy::{
        field::{self, Field},
        present::{Credential, GATE_TOKEN},
    },
    secret::{Digest, Shown},
    settings::{CredentialMode, ProfileName},
};

const PROFILES: [ProfileName; 7] = [
    ProfileName::Verifiers,
    ProfileName::VerifiersSession,
    ProfileName::Openai,
    ProfileName::Anthropic,
    ProfileName::Plain,
    ProfileName::Apollo,
    ProfileName::Coder,
];

/// One byte for profile and route, a line for tail and query, lines of headers, a blank one, a body.
pub fn present(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let profile = profile::of(PROFILES[usize::from(choice & 0x1f) % PROFILES.len()]);
    let (target, rest) = line(rest);
    let Ok(target) = std::str::from_utf8(target) else {
        return;
    };
    let (tail, query) = match target.split_once('?') {
        Some((tail, query)) => (tail, Some(query)),
        None => (target, None),
    };
    let (headers, body) = headers(rest);
    let Ok(field) = Field::read(&Bytes::copy_from_slice(body)) else {
        return;
    };
    if let Some(field) = &field {
        swaps(field);
    }
    let sight = Sight {
        headers: &headers,
        tail,
        query,
        mode: if choice & 0x20 == 0 {
            CredentialMode::Replace
        } else {
            CredentialMode::Keep
        },
        field: field.as_ref(),
        byok: choice & 0x40 != 0,
        global_key: choice & 0x80 != 0,
    };
    let _delegated = profile.delegated(&sight, TokenId(1));
    let Ok(presented) = profile.present(&sight) else {
        return;
    };
    let text = format!("{presented:?}");
    let found = match presented.credential {
        Credential::Token(Shown { digest, .. }) | Credential::Internal(digest) => digest,
        Credential::None => return assert!(sight.global_key && !headers.contains_key(GATE_TOKEN)),
        Credential::Delegated(_) => panic!("nobody delegated"),
    };
    let from_field = sight.field.and_then(Field::text);
    let from_query = query.and_then(field::in_query);
    let texts = [&from_field, &from_query];
    let texts = texts.into_iter().flatten().map(|text| text.as_bytes());
    let mut words = headers.values().map(HeaderValue::as_bytes).chain(texts);
    let is_it = |word: &[u8]| Digest::of(word) == found;
    assert!(
        words.any(|word| is_it(word) || is_it(behind_scheme(word))),
        "nobody presented it: {text}"
    );
    if let Credential::Token(_) = presented.credential {
        for value in headers.get_all(GATE_TOKEN) {
            assert!(is_it(value.as_bytes()), "X-Gate-Token says another one");
        }
    }
}

/// Another key in its place, or none, leaves a body of which all else reads the same.
fn swaps(field: &Field) {
    let put = field.with(Some("k\"ey"));
    let again = Field::read(&put).expect("one key").expect("an object");
    assert_eq!(again.text().as_deref(), Some("k\"ey"));
    let cut = Field::read(&field.with(None))
        .expect("one key")
        .expect("an object");
    assert!(cut.text().is_none());
    assert_eq!(cut.with(None), again.with(None));
}

fn behind_scheme(word: &[u8]) -> &[u8] {
    let word = word.trim_ascii();
    let end = word.iter().position(u8::is_ascii_whitespace);
    word.split_at(end.unwrap_or(word.len())).1
}

fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

pub(super) fn headers(mut data: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while !data.is_empty() {
        let (one, rest) = line(data);
        data = rest;
        if one.is_empty() {
            break;
        }
        let colon = one
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(one.len());
        let (name, value) = one.split_at(colon);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value)
            && headers.len() < 64
        {
            headers.append(name, value);
        }
    }
    (headers, data)
}

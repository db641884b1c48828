//! Does a token of this gate stand where what the caller brought goes upstream as it came?
//!
//! Threat: whoever runs the upstream reads it there. Looks wider than profiles do: a token in a
//! header that nobody reads leaves as well. Does not search bodies beside the key field.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, header};

use super::{
    admit::Ask,
    field::{self, Field},
    present::{API_KEY, AZURE_KEY, Credential, Own, Presented},
};
use crate::{
    grants::Grants,
    secret::{Look, Shown},
};

/// Whether a call that passes as it came would carry a token of this gate, or what was meant to be
/// one.
pub(super) fn is_in(grants: &Grants, ask: &Ask<'_>, field: Option<&Field>) -> bool {
    let is_ours = |text: &[u8]| {
        Shown::read(text).is_some_and(|shown| {
            matches!(shown.look, Look::Gate(_) | Look::Mistyped) || is_known(grants, &shown)
        })
    };
    let uri = &ask.head.uri;
    let texts = [
        field.and_then(Field::text),
        uri.query().and_then(field::in_query),
    ];
    let mut texts = texts.iter().flatten();
    let target = uri
        .path_and_query()
        .map(|target| target.as_str().as_bytes());
    texts.any(|text| is_ours(text.as_bytes()))
        || target.is_some_and(has_form)
        || (ask.head.headers.values())
            .any(|value| any_of(value, is_ours) || has_form(value.as_bytes()))
}

/// Whether what stays of a known caller's own credential is another token of this gate.
pub(super) fn is_kept(grants: &Grants, ask: &Ask<'_>, presented: &Presented) -> bool {
    if presented.own == Own::Goes {
        return false;
    }
    let is_other = |text: &[u8]| {
        let is_same = |shown: &Shown| match &presented.credential {
            Credential::Token(ours) => ours.digest == shown.digest,
            Credential::Delegated(_) | Credential::Internal(_) | Credential::None => false,
        };
        let other = Shown::read(text).filter(|shown| !is_same(shown));
        other.is_some_and(|other| is_known(grants, &other))
    };
    let carriers = [header::AUTHORIZATION, API_KEY, AZURE_KEY];
    let mut values = (carriers.iter()).flat_map(|name| ask.head.headers.get_all(name));
    values.any(|value| any_of(value, is_other))
}

fn is_known(grants: &Grants, shown: &Shown) -> bool {
    grants.find(&shown.digest).is_some() || grants.is_ended(&shown.digest)
}

/// Whether something of our own form stands anywhere in it.
fn has_form(text: &[u8]) -> bool {
    let mut words = text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    words.any(|word| {
        word.starts_with(b"gate_")
            && Shown::read(word).is_some_and(|shown| matches!(shown.look, Look::Gate(_)))
    })
}

/// Tries a value as a whole, behind its scheme, and as the two halves of a `Basic`.
fn any_of(value: &HeaderValue, is_ours: impl Fn(&[u8]) -> bool) -> bool {
    let whole = value.as_bytes().trim_ascii();
    let end = whole.iter().position(u8::is_ascii_whitespace);
    let (scheme, rest) = whole.split_at(end.unwrap_or(whole.len()));
    if is_ours(whole) || is_ours(rest) {
        return true;
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return false;
    }
    let pair = BASE64_STANDARD.decode(rest.trim_ascii());
    pair.is_ok_and(|pair| pair.splitn(2, |byte| *byte == b':').any(is_ours))
}

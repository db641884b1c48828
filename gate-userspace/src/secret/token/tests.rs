//! Pinned vectors and the ways a token can be wrong.

use serde_json::Value;

use super::*;

/// Acceptance 30: the pinned form.
#[test]
fn the_form_is_the_pinned_one() {
    let vectors = vectors();
    for vector in vectors["gate_token"].as_array().unwrap() {
        let id: [u8; 8] = hex(&vector["id_bytes_hex"]).try_into().unwrap();
        let secret: [u8; 32] = hex(&vector["secret_bytes_hex"]).try_into().unwrap();
        let token = NewToken::from_parts(id, &secret);
        assert_eq!(
            token.digest,
            Digest::from_hex(vector["sha256_hex"].as_str().unwrap()).unwrap()
        );
        assert_eq!(*token.reveal(), vector["token"].as_str().unwrap());
    }
}

/// Acceptance 94.
#[test]
fn digests_are_of_the_trimmed_text() {
    for vector in vectors()["sha256_hex_of_trimmed_token"].as_array().unwrap() {
        let digest = Digest::of(vector["token"].as_str().unwrap().as_bytes());
        assert_eq!(
            digest,
            Digest::from_hex(vector["hex"].as_str().unwrap()).unwrap()
        );
    }
}

#[test]
fn every_changed_byte_is_seen_by_the_checksum() {
    let token = NewToken::mint().unwrap();
    let id = token.id;
    let text = token.reveal();
    assert_eq!(Shown::read(text.as_bytes()).unwrap().look, Look::Gate(id));
    for at in 5..text.len() {
        let mut wrong = text.as_bytes().to_vec();
        wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
        assert_eq!(
            Shown::read(&wrong).unwrap().look,
            Look::Mistyped,
            "byte {at}"
        );
    }
}

/// Acceptance 60: equality is `subtle`'s, which looks at every byte whichever differs; that the time
/// does not tell is measured by `cargo bench --bench compare`.
#[test]
fn a_digest_differs_by_any_one_byte() {
    let digest = Digest::of(b"some token");
    for at in 0..32 {
        let mut bytes = *digest.as_bytes();
        bytes[at] ^= 1;
        assert!(Digest::from_bytes(bytes) != digest, "byte {at}");
    }
    assert!(Digest::from_bytes(*digest.as_bytes()) == digest);
}

#[test]
fn looks_tell_the_common_mistakes_apart() {
    let cases: [(&[u8], Option<Look>); 9] = [
        (b"", None),
        (b"   ", None),
        (b"x y", None),
        (b"intercepted", Some(Look::Placeholder)),
        (b"Your-API-Key", Some(Look::Placeholder)),
        (b"sk-ant-api03-abc", Some(Look::ProviderKey)),
        (b"gate_", Some(Look::Mistyped)),
        (b"gate_05McJmDgrvc_short", Some(Look::Mistyped)),
        (b"\xff\xfe", Some(Look::Foreign)),
    ];
    for (text, look) in cases {
        assert_eq!(Shown::read(text).map(|shown| shown.look), look, "{text:?}");
    }
}

/// Acceptance 30 and 31: foreign tokens are adopted, empty ones never.
#[test]
fn foreign_tokens_are_adopted_and_empty_ones_refused() {
    for text in [
        "0".repeat(64),
        "A".repeat(43),
        "b-_".repeat(8)[..22].to_owned(),
    ] {
        let token = NewToken::adopt(&text).unwrap();
        assert_eq!(token.digest, Digest::of(text.as_bytes()));
    }
    let refused = [
        "",
        " \n",
        "short",
        "intercepted",
        "with space inside",
        "sk-proj-0123456789abcdef",
    ];
    for text in refused {
        assert!(NewToken::adopt(text).is_err(), "{text:?}");
    }
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/vectors.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

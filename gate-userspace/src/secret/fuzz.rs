//! What secrets promise for any bytes.

use std::sync::LazyLock;

use super::{Digest, Keyring, Look, MasterKey, NewToken, Sealed, Shown};
use crate::ident::TokenId;

/// The key and the text of the published vector.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const VECTOR: &str = "sk-ant-gate-vector-0001";
const OWNER: &str = "client/1";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let key = MASTER.parse().expect("the vector's master key is one");
    Keyring::new(key, Vec::new())
});

/// A token's look never lies: our form means its length, its id and its digest.
pub fn token(data: &[u8]) {
    let trimmed = data.trim_ascii();
    let shown = Shown::read(data);
    let is_one_word = !trimmed.is_empty() && !trimmed.iter().any(u8::is_ascii_whitespace);
    assert_eq!(shown.is_some(), is_one_word);
    if let Some(shown) = shown {
        assert!(shown.digest == Digest::of(trimmed));
        if let Look::Gate(id) = shown.look {
            assert_eq!(trimmed.len(), 66);
            assert!(trimmed.starts_with(format!("gate_{id}_").as_bytes()));
        } else if trimmed.starts_with(b"gate_") {
            assert_eq!(shown.look, Look::Mistyped);
        }
    }
    if let Some(id) = TokenId::parse(data) {
        assert_eq!(id.to_string().as_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(adopted) = NewToken::adopt(text) {
        // Around an adopted token any white space is dropped, around a presented one only ASCII's.
        assert!(adopted.digest == Digest::of(text.trim().as_bytes()));
        assert_eq!(*adopted.reveal(), text.trim());
    }
    if let Some(digest) = Digest::from_hex(text) {
        let hex = (digest.as_bytes().iter()).flat_map(|byte| format!("{byte:02x}").into_bytes());
        assert!(hex.eq(text.bytes()));
    }
}

/// A sealed row opens to what was sealed, or not at all; no text of it is ever shown.
pub fn sealed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let row = Sealed::from_row(text.to_owned());
    assert_eq!(row.as_row(), text);
    assert_eq!(format!("{row:?}"), "Sealed(..)");
    match KEYRING.open(OWNER, &row) {
        // Whoever cannot forge a tag has the vector, however its base64 is spelled.
        Ok(key) if !row.is_plaintext() => assert_eq!(key.expose(), VECTOR),
        Ok(key) => assert_eq!(key.expose(), text.trim()),
        Err(why) => assert!(!row.is_plaintext() || text.trim().is_empty(), "{why}"),
    }
    if KEYRING.is_current(&row) {
        assert!(text.starts_with(&format!("enc:v2:{}:", KEYRING.current())));
    }
    if let Ok(key) = text.parse::<MasterKey>() {
        let again: MasterKey = key.to_base64().parse().expect("what was written reads");
        assert_eq!(again.id(), key.id());
    }
}

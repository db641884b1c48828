//! Sealing of upstream keys at rest: AES-256-GCM, bound to the row that owns the key.
//!
//! Threat: who reads the database must not read a key, and who can write it must not move a key to
//! a row of his own. Written: `enc:v2:<key id>:` + base64(`iv 12 | ciphertext | tag 16`), the
//! owner's name as associated data. Read for import: `enc:v1:` + base64(`iv | tag | ciphertext`).

mod keyring;

use std::{fmt, str::FromStr};

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce, Tag,
    aead::{Aead, AeadInPlace, Payload},
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::UpstreamKey;

pub use keyring::{Keyring, MasterKeys};

const V1: &str = "enc:v1:";
const V2: &str = "enc:v2:";
const IV: usize = 12;
const TAG: usize = 16;

/// Says which master key sealed a row: eight hex digits of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u32);

/// The key that seals all others. 32 bytes, wiped on drop.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

/// An upstream key as it lies in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<str>);

/// Why a text is no master key. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key is not base64")]
    NotBase64,
    #[error("the master key is {0} bytes long, not 32")]
    Length(usize),
    #[error("the system has no random numbers to give")]
    NoRandom,
    #[error("master key {0} seals, and this host does not hold it")]
    NotHere(KeyId),
}

/// Why a sealed key stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("the sealed key is malformed")]
    Malformed,
    #[error("the sealed key was sealed with a master key that is not here")]
    UnknownKey,
    #[error("the sealed key does not open: wrong master key, wrong owner or damaged")]
    Refused,
    #[error("the opened key is empty or not text")]
    NotText,
}

impl MasterKey {
    /// # Errors
    /// When the system has no random numbers to give.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_gone| MasterKeyError::NoRandom)?;
        Ok(Self::from_bytes(bytes))
    }

    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(bytes.as_slice()));
        Self {
            bytes,
            id: KeyId(u32::from_be_bytes([a, b, c, d])),
        }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Base64 for the key file, which only its owner may read.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(self.bytes.as_slice()))
    }

    fn seal(&self, owner: &str, text: &str) -> Result<Sealed, MasterKeyError> {
        let mut iv = [0; IV];
        getrandom::fill(&mut iv).map_err(|_gone| MasterKeyError::NoRandom)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: owner.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(Nonce::from_slice(&iv), payload)
            .expect("AES-GCM refuses only texts of 64 GiB and more");
        let blob = [iv.as_slice(), &sealed].concat();
        Ok(Sealed(
            format!("{V2}{}:{}", self.id, STANDARD.encode(blob)).into(),
        ))
    }

    fn open(&self, owner: &str, blob: &[u8]) -> Result<UpstreamKey, UnsealError> {
        let (iv, sealed) = blob.split_at_checked(IV).ok_or(UnsealError::Malformed)?;
        let payload = Payload {
            msg: sealed,
            aad: owner.as_bytes(),
        };
        let text = self
            .cipher()
            .decrypt(Nonce::from_slice(iv), payload)
            .map_err(|_why| UnsealError::Refused)?;
        to_key(&Zeroizing::new(text))
    }

    /// The tag stands before the text, and there is no associated data.
    fn seal_v1(&self, text: &str) -> Result<Sealed, MasterKeyError> {
        let mut iv = [0; IV];
        getrandom::fill(&mut iv).map_err(|_gone| MasterKeyError::NoRandom)?;
        let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
        let tag = self
            .cipher()
            .encrypt_in_place_detached(Nonce::from_slice(&iv), b"", &mut sealed)
            .expect("AES-GCM refuses only texts of 64 GiB and more");
        let blob = [iv.as_slice(), tag.as_slice(), sealed.as_slice()].concat();
        Ok(Sealed(format!("{V1}{}", STANDARD.encode(blob)).into()))
    }

    fn open_v1(&self, blob: &[u8]) -> Result<UpstreamKey, UnsealError> {
        let (iv, rest) = blob.split_at_checked(IV).ok_or(UnsealError::Malformed)?;
        let (tag, sealed) = rest.split_at_checked(TAG).ok_or(UnsealError::Malformed)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        self.cipher()
            .decrypt_in_place_detached(Nonce::from_slice(iv), b"", &mut text, Tag::from_slice(tag))
            .map_err(|_why| UnsealError::Refused)?;
        to_key(&text)
    }
}

/// Takes base64 of 32 bytes, standard or url-safe, padded or not, white space around it ignored.
impl FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if text.contains(['-', '_']) {
            alphabet::URL_SAFE
        } else {
            alphabet::STANDARD
        };
        let bytes = GeneralPurpose::new(&alphabet, lenient)
            .decode(text.trim())
            .map_err(|_why| MasterKeyError::NotBase64)?;
        let bytes = Zeroizing::new(bytes);
        let exact: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_why| MasterKeyError::Length(bytes.len()))?;
        Ok(Self::from_bytes(Zeroizing::new(exact)))
    }
}

impl Sealed {
    /// What a row of the store holds: `enc:v2:`, `enc:v1:`, or a plain text of older systems.
    pub fn from_row(text: String) -> Self {
        Self(text.into())
    }

    pub fn as_row(&self) -> &str {
        &self.0
    }

    /// The key itself, of a row that lies in the clear.
    pub fn plaintext(&self) -> Option<UpstreamKey> {
        if self.is_plaintext() {
            UpstreamKey::new(&self.0)
        } else {
            None
        }
    }

    /// Whether the row lies in the clear, as older systems allowed.
    pub fn is_plaintext(&self) -> bool {
        !self.0.starts_with(V1) && !self.0.starts_with(V2)
    }
}

/// A row may be plain text, so it is never shown.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = UnsealError;

    fn from_str(text: &str) -> Result<Self, UnsealError> {
        // As it is written, and nothing that only means the same: a sign, capitals, fewer digits.
        u32::from_str_radix(text, 16)
            .map(Self)
            .ok()
            .filter(|id| id.to_string() == text)
            .ok_or(UnsealError::Malformed)
    }
}

fn unbase64(text: &str) -> Result<Vec<u8>, UnsealError> {
    let blob = STANDARD
        .decode(text.trim())
        .map_err(|_why| UnsealError::Malformed)?;
    if blob.len() < IV + TAG {
        Err(UnsealError::Malformed)
    } else {
        Ok(blob)
    }
}

fn to_key(text: &Zeroizing<Vec<u8>>) -> Result<UpstreamKey, UnsealError> {
    let text = std::str::from_utf8(text).map_err(|_why| UnsealError::NotText)?;
    UpstreamKey::new(text).ok_or(UnsealError::NotText)
}

#[cfg(test)]
mod tests;

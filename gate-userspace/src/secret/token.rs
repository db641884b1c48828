//! The token form `gate_<id>_<secret><crc>`, and the digest that stands for any token.
//!
//! Does not look anything up. Tokens of other systems are digests too: they only lack an id.

use std::{fmt, hash::Hash};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Unusable, usable};
use crate::{base62, ident::TokenId};

const PREFIX: &[u8] = b"gate_";
const LENGTH: usize = 5 + 11 + 1 + 43 + 6;

/// SHA-256 of a token's text without surrounding white space. Equality is constant-time.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

/// What a caller presented: its digest, and what it looks like to somebody who must diagnose it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub digest: Digest,
    pub look: Look,
}

/// The outside of a presented credential; holds nothing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Our form, checksum right.
    Gate(TokenId),
    /// Our form, checksum wrong: mistyped or cut.
    Mistyped,
    /// One of the well-known stand-ins, such as `intercepted`.
    Placeholder,
    /// A provider's key form, sent to the gate by mistake.
    ProviderKey,
    /// Anything else; an adopted token of another system looks like this.
    Foreign,
}

/// A token just made or adopted. Its text can be had once.
pub struct NewToken {
    pub id: TokenId,
    pub digest: Digest,
    text: Zeroizing<String>,
}

impl Digest {
    /// ASCII white space around the text does not count: that is all the published forms agree on.
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text.trim_ascii()).into())
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the 64 lowercase hex digits that other systems store.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Shown {
    /// Hashes what was presented. `None` when nothing is left after trimming, or white space is inside.
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() || text.iter().any(u8::is_ascii_whitespace) {
            return None;
        }
        Some(Self {
            digest: Digest::of(text),
            look: Look::at(text),
        })
    }
}

impl Look {
    fn at(text: &[u8]) -> Self {
        if let Some(body) = text.strip_prefix(PREFIX) {
            return Self::ours(text, body);
        }
        if usable::is_placeholder(text) {
            Self::Placeholder
        } else if text.starts_with(b"sk-") {
            Self::ProviderKey
        } else {
            Self::Foreign
        }
    }

    fn ours(text: &[u8], body: &[u8]) -> Self {
        let right = text.len() == LENGTH
            && body.get(11) == Some(&b'_')
            && text
                .split_at_checked(LENGTH - 6)
                .is_some_and(|(before, crc)| {
                    base62::is_digits(crc)
                        && base62::decode(crc) == Some(u64::from(crc32fast::hash(before)))
                });
        match body.get(..11).and_then(TokenId::parse) {
            Some(id) if right => Self::Gate(id),
            Some(_) | None => Self::Mistyped,
        }
    }
}

impl NewToken {
    /// A fresh token from the system's random numbers.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
    pub fn mint() -> Result<Self, getrandom::Error> {
        let mut id = [0; 8];
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self::from_parts(id, &secret))
    }

    /// A token that another system made. It keeps its text; its id is ours unless it is of our form.
    ///
    /// # Errors
    /// When it is empty, a placeholder, too short, or has white space inside.
    pub fn adopt(text: &str) -> Result<Self, Unusable> {
        let text = usable(text)?;
        let shown = Shown::read(text.as_bytes()).ok_or(Unusable::WhiteSpace)?;
        let id = match shown.look {
            Look::Gate(id) => id,
            Look::Mistyped => return Err(Unusable::Mistyped),
            Look::Placeholder => return Err(Unusable::Placeholder),
            Look::ProviderKey => return Err(Unusable::ProviderKey),
            Look::Foreign => {
                let mut id = [0; 8];
                getrandom::fill(&mut id).map_err(|_gone| Unusable::NoRandom)?;
                TokenId(u64::from_be_bytes(id))
            }
        };
        Ok(Self {
            id,
            digest: shown.digest,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    fn from_parts(id: [u8; 8], secret: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        let id_digits: [u8; 11] = base62::encode(id);
        let secret_digits: Zeroizing<[u8; 43]> = Zeroizing::new(base62::encode(*secret));
        text.push_str("gate_");
        text.extend(id_digits.iter().map(|digit| char::from(*digit)));
        text.push('_');
        text.extend(secret_digits.iter().map(|digit| char::from(*digit)));
        let crc: [u8; 6] = base62::encode(crc32fast::hash(text.as_bytes()).to_be_bytes());
        text.extend(crc.iter().map(|digit| char::from(*digit)));
        Self {
            id: TokenId(u64::from_be_bytes(id)),
            digest: Digest::of(text.as_bytes()),
            text,
        }
    }

    /// The text, to be shown to its owner once and then forgotten.
    pub fn reveal(self) -> Zeroizing<String> {
        self.text
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewToken({})", self.id)
    }
}

#[cfg(test)]
mod tests;

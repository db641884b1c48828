//! Tokens and keys on their way in: minted or adopted, sealed for their owner.

use super::{Adopted, Desk, Refused, answer::Minted};
use crate::{
    client::{Credential, Kind, token_owner},
    clock::Stamp,
    secret::{NewToken, Sealed, UpstreamKey},
};

/// The two halves of a new token: what is kept, and what is shown once.
pub(super) struct Pair {
    pub(super) kept: Credential,
    pub(super) shown: Minted,
}

impl Desk {
    pub(super) fn token(
        &self,
        kind: Kind,
        adopted: Option<Adopted>,
        key: Option<&UpstreamKey>,
        now: Stamp,
    ) -> Result<Pair, Refused> {
        let is_adopted = adopted.is_some();
        let token = match adopted {
            Some(Adopted(text)) => NewToken::adopt(&text)?,
            None => NewToken::mint()?,
        };
        if self.grants.find(&token.digest).is_some() {
            return Err(Refused::TokenTaken);
        }
        let kept = Credential {
            id: token.id,
            digest: token.digest,
            kind,
            expires: None,
            key: self.seal(&token_owner(token.id), key)?,
            created: now,
            adopted: is_adopted,
        };
        Ok(Pair {
            kept,
            shown: Minted::new(token, kind),
        })
    }

    pub(super) fn seal(
        &self,
        owner: &str,
        key: Option<&UpstreamKey>,
    ) -> Result<Option<Sealed>, Refused> {
        let sealed = key.map(|key| self.keyring.seal(owner, key));
        Ok(sealed.transpose()?)
    }
}

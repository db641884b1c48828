//! Does every stored upstream key open? Names the owners of those that do not.

use super::Desk;
use crate::{
    client::{Credential, client_owner, token_owner},
    rollout::rollout_owner,
    secret::{Sealed, UnsealError},
};

/// How one stored key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck {
    /// `client NAME`, `rollout ID` or `token ID`.
    pub owner: String,
    pub opens: Opens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    Yes,
    /// It is not sealed at all.
    Plaintext,
    No(UnsealError),
}

impl Desk {
    pub(super) fn check_keys(&self) -> Vec<KeyCheck> {
        let mut checks = Vec::new();
        for grant in self.grants.clients() {
            let client = grant.record();
            let owner = client_owner(client.id);
            checks.extend(self.check_key(
                format!("client {}", client.name),
                &owner,
                client.key.as_ref(),
            ));
            checks.extend(self.check_tokens(&client.tokens));
        }
        for grant in self.grants.rollouts() {
            let rollout = grant.record();
            let owner = rollout_owner(rollout.serial);
            checks.extend(self.check_key(
                format!("rollout {}", rollout.id),
                &owner,
                rollout.key.as_ref(),
            ));
            checks.extend(self.check_tokens(&rollout.tokens));
        }
        checks
    }

    fn check_tokens(&self, tokens: &[Credential]) -> Vec<KeyCheck> {
        let checks = tokens.iter().filter_map(|token| {
            self.check_key(
                format!("token {}", token.id),
                &token_owner(token.id),
                token.key.as_ref(),
            )
        });
        checks.collect()
    }

    fn check_key(&self, shown: String, owner: &str, key: Option<&Sealed>) -> Option<KeyCheck> {
        let key = key?;
        let opens = match self.keyring.open(owner, key) {
            Ok(_) if key.is_plaintext() => Opens::Plaintext,
            Ok(_) => Opens::Yes,
            Err(why) => Opens::No(why),
        };
        Some(KeyCheck {
            owner: shown,
            opens,
        })
    }
}

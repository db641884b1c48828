//! One live token and all that it may do, as the request path reads it.
//!
//! Does not decide a request: `proxy::admit` does, by asking here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use arc_swap::{ArcSwap, Guard};

use crate::{
    client::{Client, Credential, Kind},
    clock::Stamp,
    ident::{ClientId, HostName, RolloutId, RolloutSerial, TokenId},
    rollout::Rollout,
    secret::{Digest, Sealed},
    source::{Peer, Source},
};

#[derive(Debug)]
pub struct Grant {
    pub token: TokenId,
    pub digest: Digest,
    pub kind: Kind,
    pub client: Arc<ClientGrant>,
    pub rollout: Option<Arc<RolloutGrant>>,
    /// What is presented upstream for this very token.
    pub key: Option<Sealed>,
    pub(super) expires: Option<Stamp>,
    dead: AtomicBool,
    /// Seconds since 1970 of the last call that was admitted, 0 = none.
    used: AtomicI64,
    /// Whether [`super::uses`] knows that it was used since it last told.
    pub(super) is_noted: AtomicBool,
}

/// A live client. Its record is replaced as a whole when it changes.
#[derive(Debug)]
pub struct ClientGrant {
    pub id: ClientId,
    record: ArcSwap<Client>,
}

/// A live rollout, open or draining.
#[derive(Debug)]
pub struct RolloutGrant {
    pub serial: RolloutSerial,
    pub id: RolloutId,
    pub client: Arc<ClientGrant>,
    record: ArcSwap<Rollout>,
}

/// Why a known token is good for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    Revoked,
    Expired,
    Disabled,
}

impl Grant {
    pub(super) fn new(
        credential: &Credential,
        client: Arc<ClientGrant>,
        rollout: Option<Arc<RolloutGrant>>,
    ) -> Self {
        Self {
            token: credential.id,
            digest: credential.digest,
            kind: credential.kind,
            client,
            rollout,
            key: credential.key.clone(),
            expires: credential.expires,
            dead: AtomicBool::new(false),
            used: AtomicI64::new(0),
            is_noted: AtomicBool::new(false),
        }
    }

    /// To the second, so that a busy token is not written all the time. Whether that second is new.
    pub(super) fn touch(&self, now: Stamp) -> bool {
        let now = now.0 / 1000;
        let is_new = self.used.load(Ordering::Relaxed) != now;
        if is_new {
            self.used.store(now, Ordering::Relaxed);
        }
        is_new
    }

    /// What an earlier start, or another host, knows of it.
    pub(super) fn remember_use(&self, at: Stamp) {
        self.used.fetch_max(at.0 / 1000, Ordering::Relaxed);
    }

    /// When a call was last admitted with this token.
    pub fn last_use(&self) -> Option<Stamp> {
        let used = self.used.load(Ordering::Relaxed);
        (used != 0).then_some(Stamp(used * 1000))
    }

    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// Whether the token, its rollout's lease and its client still live.
    ///
    /// # Errors
    /// Says which of them does not.
    pub fn live(&self, now: Stamp) -> Result<(), Dead> {
        let is_over = |until: Option<Stamp>| until.is_some_and(|until| until <= now);
        let client = self.client.peek();
        if self.dead.load(Ordering::Acquire) {
            Err(Dead::Revoked)
        } else if is_over(self.expires)
            || is_over(client.expires)
            || self
                .rollout
                .as_ref()
                .is_some_and(|rollout| is_over(rollout.peek().expires))
        {
            Err(Dead::Expired)
        } else if client.enabled {
            Ok(())
        } else {
            Err(Dead::Disabled)
        }
    }

    /// Whether a caller at `peer` may use this token: unbound, or from one of its sources.
    pub fn admits(&self, peer: Peer, host: &HostName) -> bool {
        let client = self.client.peek();
        match &self.rollout {
            Some(rollout) => is_admitted(effective(&rollout.peek(), &client), peer, host),
            None => is_admitted(&client.sources, peer, host),
        }
    }

    /// As [`Self::admits`], where the token covers a rollout that it is not of: bound as that is.
    pub(crate) fn admits_in(&self, rollout: &RolloutGrant, peer: Peer, host: &HostName) -> bool {
        is_admitted(effective(&rollout.peek(), &self.client.peek()), peer, host)
    }

    /// The moment at which [`Self::live`] will say expired.
    pub fn expires(&self) -> Option<Stamp> {
        let rollout = self
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.peek().expires);
        [self.expires, self.client.peek().expires, rollout]
            .into_iter()
            .flatten()
            .min()
    }
}

impl ClientGrant {
    pub(super) fn new(client: Client) -> Self {
        Self {
            id: client.id,
            record: ArcSwap::from_pointee(client),
        }
    }

    pub(super) fn replace(&self, client: Client) {
        self.record.store(Arc::new(client));
    }

    pub fn record(&self) -> Arc<Client> {
        self.record.load_full()
    }

    /// As [`Self::record`], for a moment: cores that read the same client do not meet in its count.
    pub(crate) fn peek(&self) -> Guard<Arc<Client>> {
        self.record.load()
    }
}

impl RolloutGrant {
    pub(super) fn new(rollout: Rollout, client: Arc<ClientGrant>) -> Self {
        Self {
            serial: rollout.serial,
            id: rollout.id.clone(),
            client,
            record: ArcSwap::from_pointee(rollout),
        }
    }

    pub(super) fn replace(&self, rollout: Rollout) {
        self.record.store(Arc::new(rollout));
    }

    pub fn record(&self) -> Arc<Rollout> {
        self.record.load_full()
    }

    /// As [`Self::record`], for a moment.
    pub(crate) fn peek(&self) -> Guard<Arc<Rollout>> {
        self.record.load()
    }
}

/// A rollout's own sources, else its client's: own ones replace, they do not add.
pub(super) fn effective<'a>(rollout: &'a Rollout, client: &'a Client) -> &'a [Source] {
    if rollout.sources.is_empty() {
        &client.sources
    } else {
        &rollout.sources
    }
}

fn is_admitted(sources: &[Source], peer: Peer, host: &HostName) -> bool {
    sources.is_empty() || sources.iter().any(|source| source.admits(peer, host))
}

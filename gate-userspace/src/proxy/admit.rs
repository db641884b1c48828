//! Decides whether a presented token may make this call: the one way to a [`Permit`].
//!
//! Reads the grants table and nothing else, and never waits. The order of the checks is the order
//! of `docs/authority.md`; the first failure decides, and all but a few look the same outside.

use std::sync::Arc;

use super::{
    field::Field,
    head::Head,
    kinds,
    present::{Carriers, Credential, Presented},
    route::Matched,
    stray,
};
use crate::{
    client::{Kind, Reach},
    clock::Stamp,
    fault::Denied,
    grants::{Dead, Grant, Grants, RolloutGrant},
    ident::{RolloutId, TokenId, UpstreamName},
    rollout::Phase,
    scope::matches_rule,
    secret::{Digest, Look},
    settings::Mode,
    source::Peer,
};

/// Proof that this call may be made. The private fields keep other modules from forging it.
#[derive(Debug)]
pub(crate) struct Permit(Whom);

#[derive(Debug)]
enum Whom {
    Known(Known),
    /// Nobody we know, in `audit` alone.
    Stranger,
    /// The service behind the gate, calling itself.
    Internal,
    /// Nobody, where that is served with the upstream's key.
    Anybody,
}

/// Whose credential goes upstream.
pub(crate) enum Whose<'a> {
    Known(&'a Known),
    /// What the caller brought itself stays as it came.
    TheirOwn,
    /// The upstream's ordinary key.
    Upstreams,
}

/// A token that may make this call.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) grant: Arc<Grant>,
    /// The rollout that the call belongs to: of the token, or of the path.
    pub(crate) rollout: Option<Arc<RolloutGrant>>,
    pub(crate) presented: Presented,
}

/// What a call asks for, beside its token.
pub(crate) struct Ask<'a> {
    pub(crate) head: &'a Head,
    pub(crate) matched: &'a Matched<'a>,
    pub(crate) peer: Peer,
    pub(crate) now: Stamp,
}

impl Permit {
    /// Whose token admitted the call.
    pub(crate) fn known(&self) -> Option<&Known> {
        match &self.0 {
            Whom::Known(known) => Some(known),
            Whom::Stranger | Whom::Internal | Whom::Anybody => None,
        }
    }

    pub(crate) fn whose(&self) -> Whose<'_> {
        match &self.0 {
            Whom::Known(known) => Whose::Known(known),
            Whom::Stranger | Whom::Internal => Whose::TheirOwn,
            Whom::Anybody => Whose::Upstreams,
        }
    }

    /// Whether only `audit` lets this call pass.
    pub(crate) fn is_strange(&self) -> bool {
        matches!(self.0, Whom::Stranger)
    }

    pub(crate) fn grant(&self) -> Option<&Arc<Grant>> {
        self.known().map(|known| &known.grant)
    }

    /// The upstream that the rollout, or else the client, was given.
    pub(crate) fn upstream(&self) -> Option<UpstreamName> {
        let known = self.known()?;
        upstream_of(&known.grant, known.rollout.as_deref())
    }
}

fn upstream_of(grant: &Grant, rollout: Option<&RolloutGrant>) -> Option<UpstreamName> {
    rollout
        .and_then(|rollout| rollout.peek().upstream.clone())
        .or_else(|| grant.client.peek().upstream.clone())
}

/// The upstream that will be a call's own, if whoever `X-Gate-Token` or a delegation names is
/// admitted. It says nothing about that.
pub(crate) fn own_upstream(
    grants: &Grants,
    ask: &Ask<'_>,
    delegated: Option<TokenId>,
) -> Option<UpstreamName> {
    let grant = if let Some(id) = delegated {
        grants.find_id(id)?
    } else {
        let shown = Carriers::gate_with(&ask.head.headers, None).ok()??;
        grants.find(&shown.digest)?
    };
    let covered = covered(grants, &grant, ask);
    upstream_of(
        &grant,
        grant.rollout.as_ref().or(covered.as_ref()).map(|r| &**r),
    )
}

/// The rollout that the path names to a token of no rollout, if it is its client's.
pub(crate) fn covered(grants: &Grants, grant: &Grant, ask: &Ask<'_>) -> Option<Arc<RolloutGrant>> {
    let rollout = grants.rollout(ask.matched.rollout.as_ref()?)?;
    let is_covered = grant.rollout.is_none() && rollout.client.id == grant.client.id;
    is_covered.then_some(rollout)
}

impl Ask<'_> {
    pub(crate) fn tail(&self) -> &str {
        self.head
            .path()
            .get(self.matched.tail_at..)
            .unwrap_or_default()
    }

    /// The rollout whose state a shared tool server wants: said in a header, on `/state` alone.
    fn state_route(&self) -> Option<RolloutId> {
        let mut routes = self.head.headers.get_all("x-verifiers-state-route").iter();
        let (route, more) = (routes.next()?, routes.next());
        let is_state = self.tail() == "/state" && more.is_none();
        is_state.then(|| route.to_str().ok()?.parse().ok())?
    }
}

pub(crate) fn permit(
    grants: &Grants,
    grant: &Arc<Grant>,
    presented: Presented,
    ask: &Ask<'_>,
) -> Result<Permit, Denied> {
    grant.live(ask.now).map_err(|dead| match dead {
        Dead::Revoked => Denied::Revoked,
        Dead::Expired => Denied::Expired,
        Dead::Disabled => Denied::Disabled,
    })?;
    let rollout = rollout_of(grants, grant, ask)?;
    kinds::allow(grant, ask)?;
    scope(grant, rollout.as_ref(), ask)?;
    source(grants, grant, rollout.as_ref(), ask)?;
    if let Some(rollout) = &rollout {
        phase(rollout)?;
    }
    grants.note_use(grant, ask.now);
    Ok(Permit(Whom::Known(Known {
        grant: Arc::clone(grant),
        rollout,
        presented,
    })))
}

/// What a credential that names no client is good for.
pub(crate) fn unnamed(
    credential: &Credential,
    internal: Option<&Digest>,
    peer: Peer,
) -> Option<Result<Permit, Denied>> {
    match credential {
        Credential::Token(_) | Credential::Delegated(_) => None,
        Credential::None => Some(Ok(Permit(Whom::Anybody))),
        // From this host alone, and never retried as an outside caller.
        Credential::Internal(digest) => {
            let is_right = internal.is_some_and(|internal| internal == digest);
            let permit = (is_right && peer == Peer::Loopback).then_some(Permit(Whom::Internal));
            Some(permit.ok_or(Denied::Unknown(Look::Foreign)))
        }
    }
}

/// What `audit` makes of a call without a known credential. Only absent and foreign ones pass: what
/// looks like a gate's token was revoked, mistyped or meant for another gate.
///
/// Nor does a call pass that would carry a token of this gate where nobody looked for it.
pub(crate) fn audited(
    grants: &Grants,
    denied: Denied,
    ask: &Ask<'_>,
    field: Option<&Field>,
) -> Result<Permit, Denied> {
    let is_unknown = match denied {
        Denied::NoCredential
        | Denied::Unknown(Look::Foreign | Look::Placeholder | Look::ProviderKey) => true,
        Denied::Unknown(Look::Gate(_) | Look::Mistyped)
        | Denied::Malformed
        | Denied::TwoCredentials
        | Denied::Misplaced
        | Denied::Revoked
        | Denied::Expired
        | Denied::Disabled
        | Denied::WrongKind
        | Denied::WrongRollout
        | Denied::OutOfScope
        | Denied::WrongSource
        | Denied::Draining
        | Denied::NoSuchRollout
        | Denied::Unlisted
        | Denied::Host
        | Denied::Origin
        | Denied::ByokOff
        | Denied::Throttled { .. }
        | Denied::TooFast { .. }
        | Denied::TooMany => false,
    };
    if !is_unknown || grants.mode() != Mode::Audit {
        Err(denied)
    } else if stray::is_in(grants, ask, field) {
        Err(Denied::Misplaced)
    } else {
        Ok(Permit(Whom::Stranger))
    }
}

/// Tokens beside the presented one whose end must end this call too: a client's token that covers
/// its rollouts, or a service's, acts for the rollout that the call names.
pub(crate) fn also_ends_with(grants: &Grants, grant: &Grant, ask: &Ask<'_>) -> Vec<TokenId> {
    if grant.kind != Kind::Client {
        return Vec::new();
    }
    let named = match grant.client.peek().reach {
        Reach::Own => None,
        Reach::CoversRollouts => ask.matched.rollout.clone(),
        Reach::Service => ask.state_route(),
    };
    named
        .and_then(|id| grants.rollout(&id))
        .filter(|rollout| rollout.client.id == grant.client.id)
        .map(|rollout| rollout.peek().tokens.iter().map(|t| t.id).collect())
        .unwrap_or_default()
}

fn rollout_of(
    grants: &Grants,
    grant: &Grant,
    ask: &Ask<'_>,
) -> Result<Option<Arc<RolloutGrant>>, Denied> {
    let reach = grant.client.peek().reach;
    if ask.matched.rollout.is_none() && ask.matched.route.profile.names_rollout() {
        return Err(Denied::WrongKind);
    }
    match (&grant.rollout, &ask.matched.rollout) {
        (Some(own), Some(id)) if own.id != *id => Err(Denied::WrongRollout),
        (Some(own), _) => Ok(Some(Arc::clone(own))),
        (None, Some(id)) => match reach {
            Reach::Own | Reach::Service => Err(Denied::WrongKind),
            Reach::CoversRollouts => named(grants, grant, id, ask.now)
                .map(Some)
                .ok_or(Denied::NoSuchRollout),
        },
        (None, None) => match reach {
            Reach::Own | Reach::CoversRollouts => Ok(None),
            Reach::Service => ask
                .state_route()
                .and_then(|id| named(grants, grant, &id, ask.now))
                .map(Some)
                .ok_or(Denied::WrongKind),
        },
    }
}

/// The live rollout of that id, if it is this client's.
fn named(grants: &Grants, grant: &Grant, id: &RolloutId, now: Stamp) -> Option<Arc<RolloutGrant>> {
    let rollout = grants.rollout(id)?;
    let record = rollout.peek();
    let is_live = record.expires.is_none_or(|until| until > now);
    (rollout.client.id == grant.client.id && is_live).then_some(rollout)
}

/// The rollout's scope, else the client's, else the profile's list.
fn scope(grant: &Grant, rollout: Option<&Arc<RolloutGrant>>, ask: &Ask<'_>) -> Result<(), Denied> {
    let (method, tail) = (ask.head.method.as_str(), ask.tail());
    let of_rollout = rollout.map(|rollout| rollout.peek());
    let of_client = grant.client.peek();
    let given = of_rollout
        .as_ref()
        .and_then(|record| record.scope.as_ref())
        .or(of_client.scope.as_ref());
    let is_allowed = if let Some(scope) = given {
        scope.allows(method, tail)
    } else {
        let default = ask.matched.route.profile.default_scope();
        let fits = |rule: &(&str, &str)| matches_rule(rule.0, rule.1, method, tail);
        default.is_empty() || default.iter().any(fits)
    };
    is_allowed.then_some(()).ok_or(Denied::OutOfScope)
}

fn source(
    grants: &Grants,
    grant: &Grant,
    rollout: Option<&Arc<RolloutGrant>>,
    ask: &Ask<'_>,
) -> Result<(), Denied> {
    let is_admitted = match rollout {
        // A service is no part of the rollout and keeps its client's sources.
        Some(rollout) if ask.matched.rollout.is_some() && grant.rollout.is_none() => {
            grant.admits_in(rollout, ask.peer, grants.host())
        }
        _ => grant.admits(ask.peer, grants.host()),
    };
    is_admitted.then_some(()).ok_or(Denied::WrongSource)
}

fn phase(rollout: &RolloutGrant) -> Result<(), Denied> {
    match rollout.peek().phase {
        Phase::Open => Ok(()),
        Phase::Draining => Err(Denied::Draining),
        Phase::Closed => Err(Denied::Revoked),
    }
}

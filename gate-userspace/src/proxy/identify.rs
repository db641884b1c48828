//! Whose call is this? From what is presented to the permit, the one order of steps.
//!
//! The line is held under the token before its grant is read: a revocation in between finds it.

use std::sync::Arc;

use super::{
    Proxy,
    admit::{self, Ask, Permit},
    call::Call,
    connection::Caller,
    field::Field,
    plan::Plan,
    present::{Credential, Presented},
    stray,
};
use crate::{fault::Denied, grants::Grant, ident::TokenId, secret::Look};

/// Who calls, beside what the head of the call says.
pub(crate) struct Bearer<'a> {
    pub(crate) caller: &'a Caller,
    /// The body's key, where the profile reads it.
    pub(crate) field: Option<&'a Field>,
    /// The token's id that somebody trusted named.
    pub(crate) delegated: Option<TokenId>,
}

pub(crate) fn permit(
    plan: &Plan,
    ask: &Ask<'_>,
    bearer: &Bearer<'_>,
    call: &mut Call,
) -> Result<Permit, Denied> {
    let proxy = &*bearer.caller.worker.proxy;
    let audited = |denied| admit::audited(&proxy.grants, denied, ask, bearer.field);
    let presented = match plan.present(&proxy.grants, ask, bearer.field, bearer.delegated) {
        Ok(presented) => presented,
        Err(denied) => return audited(denied),
    };
    let internal = plan.apollo_internal.as_ref();
    if let Some(permit) = admit::unnamed(&presented.credential, internal, ask.peer) {
        return permit.or_else(audited);
    }
    let grant = match known(proxy, &presented) {
        Ok(grant) => grant,
        Err(denied) => return audited(denied),
    };
    if stray::is_kept(&proxy.grants, ask, &presented) {
        return Err(Denied::TwoCredentials);
    }
    let others = admit::also_ends_with(&proxy.grants, &grant, ask);
    let covered = admit::covered(&proxy.grants, &grant, ask);
    call.is_of(&grant);
    bearer.caller.held(&grant, &others, covered.as_ref(), || {
        admit::permit(&proxy.grants, &grant, presented, ask)
    })
}

pub(crate) fn known(proxy: &Proxy, presented: &Presented) -> Result<Arc<Grant>, Denied> {
    let (grant, look) = match &presented.credential {
        // The table found it by this digest; comparing once more, in constant time, costs nothing
        // and keeps the guarantee out of the table's hands.
        Credential::Token(shown) => {
            let grant = proxy.grants.find(&shown.digest);
            let grant = grant.filter(|grant| grant.digest == shown.digest);
            (grant, shown.look)
        }
        Credential::Delegated(id) => (proxy.grants.find_id(*id), Look::Gate(*id)),
        Credential::Internal(_) | Credential::None => (None, Look::Foreign),
    };
    grant.ok_or_else(|| match &presented.credential {
        Credential::Token(shown) if proxy.grants.is_ended(&shown.digest) => Denied::Revoked,
        Credential::Token(_)
        | Credential::Delegated(_)
        | Credential::Internal(_)
        | Credential::None => Denied::Unknown(look),
    })
}

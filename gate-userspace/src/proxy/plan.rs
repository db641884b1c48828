//! Routes and upstreams as the last start or reload wants them.
//!
//! Never changes: a reload makes another one, and every worker takes it up with its next call. Calls
//! that run keep the one they began with, and so do the connections they borrowed.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use super::{
    Proxy,
    admit::{Ask, Permit},
    backend::Backend,
    field::Field,
    present::Presented,
    route::{Matched, Routes},
    upstream::Pool,
};
use crate::{
    fault::{Denied, Fault},
    ident::TokenId,
    profile::Sight,
    secret::Digest,
    settings::{CredentialMode, Settings},
};

pub(crate) struct Plan {
    pub(crate) routes: Routes,
    backends: Vec<Backend>,
    pub(crate) apollo_internal: Option<Digest>,
}

/// A plan and one worker's idle connections to its upstreams.
pub(crate) struct Setup {
    pub(crate) plan: Arc<Plan>,
    pub(crate) pool: Rc<Pool>,
}

/// One worker's setup, exchanged when there is another plan.
pub(crate) struct Current(RefCell<Rc<Setup>>);

impl Plan {
    pub(crate) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            routes: Routes::new(settings),
            backends: settings.upstreams.iter().map(Backend::new).collect(),
            apollo_internal: settings.apollo_internal,
        })
    }

    /// What the call presents, as its route's profile reads it.
    pub(crate) fn present(
        &self,
        ask: &Ask<'_>,
        field: Option<&Field>,
        delegated: Option<TokenId>,
    ) -> Result<Presented, Denied> {
        let route = ask.matched.route;
        let usual = route.upstream.and_then(|at| self.backends.get(at));
        let sight = Sight {
            headers: &ask.head.headers,
            tail: ask.tail(),
            query: ask.head.uri.query(),
            mode: usual.map_or(CredentialMode::Replace, |backend| backend.credential),
            field,
            byok: route.byok,
            global_key: route.global_key,
        };
        match delegated {
            Some(id) => route.profile.delegated(&sight, id),
            None => route.profile.present(&sight),
        }
    }

    /// The upstream of the rollout, else of the client, else of the route.
    pub(crate) fn backend(
        &self,
        matched: &Matched<'_>,
        permit: &Permit,
    ) -> Result<(usize, &Backend), Fault> {
        if matched.route.is_nowhere {
            return Err(Fault::NoRoute);
        }
        let at = match permit.upstream() {
            Some(name) => self.backends.iter().position(|b| b.name == name),
            None => matched.route.upstream,
        };
        let at = at.ok_or(Fault::NoUpstream)?;
        let backend = self.backends.get(at).ok_or(Fault::NoUpstream)?;
        Ok((at, backend))
    }
}

impl Current {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self(RefCell::new(Rc::new(Setup::of(proxy.plan.load_full()))))
    }

    /// The setup of the plan that stands.
    pub(crate) fn get(&self, proxy: &Proxy) -> Rc<Setup> {
        let standing = proxy.plan.load();
        let mut setup = self.0.borrow_mut();
        if !Arc::ptr_eq(&setup.plan, &standing) {
            *setup = Rc::new(Setup::of(Arc::clone(&standing)));
        }
        Rc::clone(&setup)
    }
}

impl Setup {
    fn of(plan: Arc<Plan>) -> Self {
        Self {
            pool: Pool::new(plan.backends.len()),
            plan,
        }
    }
}

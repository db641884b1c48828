//! Routes and upstreams as the last start or reload wants them.
//!
//! Never changes: a reload makes another one, and every worker takes it up with its next call. Calls
//! that run keep the one they began with, and so do the connections they borrowed.

use std::{cell::RefCell, net::IpAddr, rc::Rc, sync::Arc};

use tokio::sync::Notify;

use super::{
    Proxy,
    addresses::Addresses,
    admit::{self, Ask, Permit},
    backend::{Backend, Presents, Site},
    field::Field,
    present::Presented,
    route::{Matched, Routes},
    upstream::Pool,
};
use crate::{
    fault::{Denied, Fault},
    grants::Grants,
    ident::{TokenId, UpstreamName},
    names::Names,
    profile::Sight,
    secret::Digest,
    settings::{CredentialMode, Settings},
};

pub(crate) struct Plan {
    pub(crate) routes: Routes,
    backends: Vec<Backend>,
    pub(crate) apollo_internal: Option<Digest>,
}

/// Where the calls for one upstream go.
#[derive(Clone, Debug)]
pub struct Leads {
    pub name: UpstreamName,
    pub url: String,
    /// None for a Unix socket.
    pub port: Option<u16>,
    pub addresses: Vec<IpAddr>,
    /// What is presented to it for a client without a key of its own.
    pub presents: Presents,
}

/// A plan and one worker's idle connections to its upstreams.
pub(crate) struct Setup {
    pub(crate) plan: Arc<Plan>,
    pub(crate) pool: Rc<Pool>,
}

/// One worker's setup, exchanged when there is another plan.
pub(crate) struct Current(RefCell<Rc<Setup>>);

impl Plan {
    /// `wanted` is told when a name's addresses are needed that are not known.
    pub(crate) fn new(settings: &Settings, names: &Names, wanted: &Arc<Notify>) -> Arc<Self> {
        let backend = |upstream| Backend::new(upstream, names, wanted);
        Arc::new(Self {
            routes: Routes::new(settings),
            backends: settings.upstreams.iter().map(backend).collect(),
            apollo_internal: settings.apollo_internal,
        })
    }

    /// Calls go to these addresses from here on.
    pub(crate) fn moves(&self, names: &Names) {
        for backend in &self.backends {
            if let Site::Tcp { host, addresses } = &backend.site {
                addresses.publish(&names.of(host));
            }
        }
    }

    pub(crate) fn leads(&self) -> Vec<Leads> {
        let leads = |backend: &Backend| Leads {
            name: backend.name.clone(),
            url: backend.url(),
            port: backend.addresses().map(Addresses::port),
            addresses: backend.addresses().map_or_else(Vec::new, Addresses::all),
            presents: backend.presents(),
        };
        self.backends.iter().map(leads).collect()
    }

    /// What the call presents, as its route's profile reads it. What its caller may bring besides,
    /// the upstream decides: the route's, or its own if it said by `X-Gate-Token` who it is.
    pub(crate) fn present(
        &self,
        grants: &Grants,
        ask: &Ask<'_>,
        field: Option<&Field>,
        delegated: Option<TokenId>,
    ) -> Result<Presented, Denied> {
        let route = ask.matched.route;
        let usual = route.upstream.and_then(|at| self.backends.get(at));
        let own = admit::own_upstream(grants, ask, delegated);
        let own = own.and_then(|name| self.backends.iter().find(|b| b.name == name));
        let kept = [own, usual]
            .into_iter()
            .flatten()
            .find(|backend| backend.credential == CredentialMode::Keep);
        let sight = Sight {
            headers: &ask.head.headers,
            tail: ask.tail(),
            query: ask.head.uri.query(),
            mode: kept
                .or(usual)
                .map_or(CredentialMode::Replace, |backend| backend.credential),
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

//! The request ring: token, rollout, source and limits, then the upstream, streamed both ways.
//!
//! Reads the grants table and never waits for a store. A check returns a value, and the next step
//! asks for it: `Presented -> Permit -> Outbound`; only an `Outbound` can be sent. What a peer can
//! influence is neither indexed nor sliced here.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

pub mod listen;
mod desk;
pub(crate) mod connection;
mod socket;
mod crowd;
pub(crate) mod head;
mod request_id;
pub(crate) mod route;
pub(crate) mod origin;
mod open;
pub(crate) mod field;
pub(crate) mod present;
pub mod live;
mod admit;
mod kinds;
mod throttle;
mod limit;
mod inbound;
mod hop;
mod swap;
mod backend;
mod upstream;
mod provider;
mod relay;
mod sse;
mod upgrade;
mod frames;
mod body;
mod respond;
mod call;
mod end;
mod access;
pub mod counters;
mod explain;

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1};

pub use explain::{Question, Verdict};

use self::{
    admit::{Ask, Permit},
    backend::Backend,
    body::{Aborted, Body},
    call::Call,
    connection::Caller,
    counters::{Counters, Row},
    crowd::Crowd,
    field::Field,
    inbound::{Arrived, Inbound},
    limit::Limits,
    live::{Line, Live},
    present::{Credential, Presented},
    request_id::{Ids, REQUEST_ID},
    route::{Matched, Routes},
    swap::Way,
    throttle::Throttle,
    upstream::{Answer, Pool},
};
use crate::{
    clock::Clock,
    fault::{Denied, Fault, Stop},
    grants::{Grant, Grants},
    ident::TokenId,
    profile::Sight,
    secret::{Digest, Keyring, Look},
    settings::{self, CredentialMode, Mode, Settings},
};

/// What the request path works with, the same for all workers.
pub struct Proxy {
    pub(crate) grants: Arc<Grants>,
    pub(crate) live: Arc<Live>,
    keyring: Arc<Keyring>,
    clock: Clock,
    routes: Routes,
    backends: Vec<Backend>,
    limits: settings::Limits,
    per_client: Limits,
    throttle: Throttle,
    crowd: Crowd,
    counters: Counters,
    apollo_internal: Option<Digest>,
    is_draining: AtomicBool,
}

/// What a [`Proxy`] is made of.
pub struct Parts<'a> {
    pub settings: &'a Settings,
    pub grants: Arc<Grants>,
    pub live: Arc<Live>,
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
}

/// What one worker has for itself.
pub(crate) struct Worker {
    proxy: Arc<Proxy>,
    row: Arc<Row>,
    pool: Rc<Pool>,
    ids: Ids,
    http1: http1::Builder,
}

/// Answers one request. An error closes the connection without a word.
async fn handle(caller: Rc<Caller>, request: Request<Incoming>) -> Result<Response<Body>, Aborted> {
    let is_closed = caller.worker.proxy.grants.mode() == Mode::Closed;
    if is_closed || caller.line.is_ordered().is_some() {
        return Err(Aborted);
    }
    let mut call = Call::begin(&caller, &request);
    let answered = serve(&caller, request, &mut call).await;
    let mut response = answered.unwrap_or_else(|stop| call.refuse(stop));
    call.origin.allow(response.headers_mut());
    // A provider's own id stays: its callers look it up.
    let id = response.headers_mut().entry(REQUEST_ID);
    id.or_insert_with(|| call.id.clone());
    Ok(response)
}

async fn serve(
    caller: &Caller,
    request: Request<Incoming>,
    call: &mut Call,
) -> Result<Response<Body>, Stop> {
    let proxy = &*caller.worker.proxy;
    caller.is_listed()?;
    let (head, body) = head::read(request)?;
    let matched = proxy.routes.find(head.path())?;
    call.follows(&matched);
    call.origin = caller.door.check(&head)?;
    if let Some(answer) = open::answer(proxy, &head, &call.origin) {
        return Ok(call.answered(answer));
    }
    proxy.is_serving()?;
    let delegated = caller.delegated(&head.headers)?;
    let (body, field) = proxy.read_body(&matched, body).await?;
    let ask = Ask {
        head: &head,
        matched: &matched,
        peer: caller.peer,
        now: proxy.clock.now(),
    };
    let permit = proxy.permit(&ask, field.as_ref(), delegated, caller, call)?;
    call.enters(&permit, proxy.per_client(&permit, ask.now)?);
    let (upstream, backend) = proxy.backend(&matched, &permit)?;
    let body = body.inbound(matched.route.body_limit, proxy.limits.body_idle)?;
    let upgrades = upgrade::is_wanted(&head);
    let way = Way {
        route: matched.route,
        backend,
        keyring: &proxy.keyring,
        forwarded_for: &caller.forwarded_for,
        request_id: &call.id,
        upgrades,
        field,
    };
    let outbound = swap::credential(&permit, head, body, &way)?;
    call.goes_with(outbound.auth());
    let sent = upstream::send(outbound, backend, upstream, &caller.worker.pool);
    let mut answer = unless_cut(&caller.line, sent).await?;
    if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !upgrades {
            return Err(Fault::NotAsked.into());
        }
        return Ok(upgrade::agree(answer, call, backend));
    }
    if matched.route.profile.maps_provider() {
        answer = unless_cut(&caller.line, provider::judge(answer)).await?;
    }
    Ok(relay::stream(answer, call, &caller.line, backend))
}

/// The order to end comes before anything that is ready.
async fn unless_cut(
    line: &Line,
    sent: impl Future<Output = Result<Answer, Fault>>,
) -> Result<Answer, Stop> {
    tokio::select! { biased;
        why = line.ordered() => Err(Stop::Cut(why)),
        answer = sent => Ok(answer?),
    }
}

enum Found {
    Grant(Arc<Grant>, Presented),
    Permit(Permit),
}

impl Proxy {
    pub fn new(parts: Parts<'_>) -> Arc<Self> {
        let settings = parts.settings;
        let limits = settings.limits.clone();
        Arc::new(Self {
            grants: parts.grants,
            live: parts.live,
            keyring: parts.keyring,
            clock: parts.clock,
            routes: Routes::new(settings),
            backends: settings.upstreams.iter().map(Backend::new).collect(),
            per_client: Limits::new(&limits),
            throttle: Throttle::new(limits.failed_auth),
            crowd: Crowd::new(limits.connections, limits.connections_per_source),
            counters: Counters::default(),
            apollo_internal: settings.apollo_internal,
            is_draining: AtomicBool::new(false),
            limits,
        })
    }

    /// From here on every new call is answered 503.
    pub fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn is_serving(&self) -> Result<(), Fault> {
        if self.is_draining.load(Ordering::Acquire) {
            Err(Fault::Draining)
        } else if self.grants.is_fresh(self.clock.now()) {
            Ok(())
        } else {
            Err(Fault::Stale)
        }
    }

    /// A body is only read here where the credential may stand in it.
    async fn read_body(
        &self,
        matched: &Matched<'_>,
        body: Incoming,
    ) -> Result<(Arrived, Option<Field>), Fault> {
        if !matched.route.profile.reads_body() {
            return Ok((Arrived::Streams(body), None));
        }
        let body = Inbound::new(body, matched.route.body_limit, self.limits.body_idle)?;
        let whole = body.read().await?;
        let field = Field::read(&whole)?;
        Ok((Arrived::Whole(whole), field))
    }

    /// Presented, known, held, admitted.
    fn permit(
        &self,
        ask: &Ask<'_>,
        field: Option<&Field>,
        delegated: Option<TokenId>,
        caller: &Caller,
        call: &mut Call,
    ) -> Result<Permit, Denied> {
        let found = self.present(ask, field, delegated).and_then(|presented| {
            let internal = self.apollo_internal.as_ref();
            match admit::unnamed(&presented.credential, internal, ask.peer) {
                Some(permit) => permit.map(Found::Permit),
                None => self.known(presented),
            }
        });
        match found {
            Ok(Found::Permit(permit)) => Ok(permit),
            Ok(Found::Grant(grant, presented)) => {
                // Held before the grant is read: a revocation in between finds this line.
                let others = admit::also_ends_with(&self.grants, &grant, ask);
                caller.hold.borrow_mut().under(&grant, &others);
                call.is_of(&grant);
                admit::permit(&self.grants, &grant, presented, ask)
            }
            Err(denied) => admit::audited(&self.grants, denied),
        }
    }

    fn present(
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

    fn known(&self, presented: Presented) -> Result<Found, Denied> {
        let (grant, otherwise) = match &presented.credential {
            // The table found it by this digest; comparing once more, in constant time, costs
            // nothing and keeps the guarantee out of the table's hands.
            Credential::Token(shown) => {
                let grant = self.grants.find(&shown.digest);
                (
                    grant.filter(|grant| grant.digest == shown.digest),
                    shown.look,
                )
            }
            Credential::Delegated(id) => (self.grants.find_id(*id), Look::Gate(*id)),
            Credential::Internal(_) | Credential::None => (None, Look::Foreign),
        };
        let grant = grant.ok_or(Denied::Unknown(otherwise))?;
        Ok(Found::Grant(grant, presented))
    }

    fn per_client(
        &self,
        permit: &Permit,
        now: crate::clock::Stamp,
    ) -> Result<Option<limit::Slot>, Denied> {
        let Some(grant) = permit.grant() else {
            return Ok(None);
        };
        self.per_client.take(&grant.client.record(), now).map(Some)
    }

    /// The upstream of the rollout, else of the client, else of the route.
    fn backend(&self, matched: &Matched<'_>, permit: &Permit) -> Result<(usize, &Backend), Fault> {
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

impl Worker {
    fn new(proxy: Arc<Proxy>) -> Rc<Self> {
        Rc::new(Self {
            row: proxy.counters.row(),
            pool: Pool::new(proxy.backends.len()),
            ids: Ids::new(),
            http1: connection::http1(proxy.limits.head_size),
            proxy,
        })
    }
}

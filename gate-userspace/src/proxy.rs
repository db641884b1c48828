//! The request ring: token, rollout, source and limits, then the upstream, streamed both ways.
//!
//! Reads the grants table and never waits for a store. A check returns a value, and the next step
//! asks for it: `Presented -> Permit -> Outbound`; only an `Outbound` can be sent. What a peer can
//! influence is neither indexed nor sliced here.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod listen;
mod desk;
pub(crate) mod connection;
mod socket;
mod strict;
mod crowd;
pub(crate) mod head;
mod request_id;
pub(crate) mod route;
mod plan;
pub(crate) mod origin;
mod open;
pub(crate) mod field;
pub(crate) mod present;
pub mod live;
mod claims;
mod identify;
mod admit;
mod kinds;
mod stray;
mod throttle;
mod limit;
mod arriving;
mod inbound;
mod hop;
mod swap;
mod addresses;
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
pub mod access;
pub mod mistakes;
pub mod counters;
pub mod timing;
mod explain;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use arc_swap::ArcSwap;
use http::{Request, Response, StatusCode};
use hyper::server::conn::http1;
use tokio::sync::{Notify, broadcast};

pub use backend::Presents;
pub use explain::{Question, Verdict};
pub use mistakes::{Mistake, Noticed, Replay};
pub use plan::Leads;

use self::{
    admit::Ask,
    arriving::Arriving,
    body::{Aborted, Body},
    call::Call,
    connection::Caller,
    counters::{Counters, Row},
    crowd::Crowd,
    identify::Bearer,
    limit::Limits,
    live::{Line, Live},
    mistakes::Mistakes,
    plan::{Current, Plan},
    request_id::{Ids, REQUEST_ID},
    swap::Way,
    throttle::Throttle,
};
use crate::{
    clock::{Clock, Stamp},
    fault::{Fault, Stop},
    grants::Grants,
    names::Names,
    secret::Keyring,
    settings::{self, Mode, Settings},
};

/// What the request path works with, the same for all workers.
pub struct Proxy {
    pub(crate) grants: Arc<Grants>,
    pub(crate) live: Arc<Live>,
    keyring: Arc<Keyring>,
    clock: Clock,
    plan: ArcSwap<Plan>,
    names_wanted: Arc<Notify>,
    limits: settings::Limits,
    per_client: Limits,
    throttle: Throttle,
    crowd: Crowd,
    counters: Counters,
    mistakes: Mistakes,
    /// Unless nobody wants a line per call.
    access: Option<Arc<access::Lines>>,
    is_draining: AtomicBool,
}

/// What a [`Proxy`] is made of.
pub struct Parts<'a> {
    pub settings: &'a Settings,
    /// What the hosts of its upstreams mean.
    pub names: &'a Names,
    pub grants: Arc<Grants>,
    pub live: Arc<Live>,
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
    /// Where a line per call goes, if anywhere.
    pub access: Option<Arc<access::Lines>>,
}

/// What one worker has for itself.
pub(crate) struct Worker {
    proxy: Arc<Proxy>,
    row: Arc<Row>,
    setup: Current,
    ids: Ids,
    http1: http1::Builder,
    /// The access line that was written last: its room serves the next.
    line: RefCell<Vec<u8>>,
}

/// Answers one request. An error closes the connection without a word.
async fn handle(caller: Rc<Caller>, request: Request<Arriving>) -> Result<Response<Body>, Aborted> {
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
    request: Request<Arriving>,
    call: &mut Call,
) -> Result<Response<Body>, Stop> {
    let proxy = &*caller.worker.proxy;
    caller.is_listed()?;
    let (head, body) = head::read(request)?;
    let setup = caller.worker.setup.get(proxy);
    let matched = setup.plan.routes.find(head.path())?;
    call.follows(&matched);
    call.origin = caller.door.check(&head)?;
    if let Some(answer) = open::answer(proxy, &head, &call.origin) {
        return Ok(call.answered(answer));
    }
    let mut now = proxy.clock.now();
    proxy.is_serving_at(now)?;
    let (body, field) = inbound::arrive(body, matched.route, proxy.limits.body_idle).await?;
    if matched.route.profile.reads_body() {
        // That took its time.
        call.arrived();
        now = proxy.clock.now();
    }
    let bearer = Bearer {
        caller,
        field: field.as_ref(),
        delegated: caller.delegated(&head.headers)?,
    };
    let ask = Ask {
        head: &head,
        matched: &matched,
        peer: caller.peer,
        now,
    };
    let permit = identify::permit(&setup.plan, &ask, &bearer, call)?;
    call.enters(&permit, proxy.per_client.take(&permit, ask.now)?);
    let (upstream, backend) = setup.plan.backend(&matched, &permit)?;
    let body = body.inbound(matched.route.body_limit, proxy.limits.body_idle)?;
    let upgrades = upgrade::is_wanted(&head);
    let way = Way {
        route: matched.route,
        backend,
        keyring: &proxy.keyring,
        forwarded_for: &caller.forwarded_for,
        scheme: caller.scheme(),
        request_id: call.id.clone(),
        upgrades,
        field,
    };
    let outbound = swap::credential(&permit, head, body, &way)?;
    call.goes_with(outbound.auth());
    let sent = upstream::send(outbound, backend, upstream, &setup.pool);
    let mut answer = unless_cut(&caller.line, sent).await?;
    if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return upgrade::agree(answer, call, &way);
    }
    if matched.route.profile.maps_provider() {
        answer = unless_cut(&caller.line, provider::judge(answer)).await?;
    }
    Ok(relay::stream(answer, call, &caller.line, backend))
}

/// The order to end comes before anything that is ready. The connection's task is woken by an order,
/// and polls this: on HTTP/1 a call runs nowhere else.
async fn unless_cut<T>(
    line: &Line,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Stop> {
    let mut work = pin!(work);
    poll_fn(|cx| match line.is_ordered() {
        Some(why) => Poll::Ready(Err(Stop::Cut(why))),
        None => work.as_mut().poll(cx).map(|done| Ok(done?)),
    })
    .await
}

impl Proxy {
    pub fn new(parts: Parts<'_>) -> Arc<Self> {
        let settings = parts.settings;
        let limits = settings.limits.clone();
        let names_wanted = Arc::default();
        Arc::new(Self {
            grants: parts.grants,
            live: parts.live,
            keyring: parts.keyring,
            clock: parts.clock,
            plan: ArcSwap::new(Plan::new(settings, parts.names, &names_wanted)),
            names_wanted,
            per_client: Limits::new(&limits),
            throttle: Throttle::new(limits.failed_auth),
            crowd: Crowd::new(limits.connections, limits.connections_per_source),
            counters: Counters::default(),
            mistakes: Mistakes::default(),
            access: parts.access,
            is_draining: AtomicBool::new(false),
            limits,
        })
    }

    /// Takes up other routes and upstreams, from every worker's next call on.
    pub fn reload(&self, settings: &Settings, names: &Names) {
        let plan = Plan::new(settings, names, &self.names_wanted);
        self.plan.store(plan);
    }

    /// Sends calls to where the names of upstreams lead by now. What is on its way goes on.
    pub fn moves(&self, names: &Names) {
        self.plan.load().moves(names);
    }

    /// Where calls go by now.
    pub fn upstreams(&self) -> Vec<Leads> {
        self.plan.load().leads()
    }

    /// Told when the addresses of a name are wanted: there are none, or none of them answers.
    pub fn names_wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.names_wanted)
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

    /// What callers commonly do wrong, the most frequent first.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.mistakes.list()
    }

    /// The same as it happens.
    pub fn watch_mistakes(&self) -> broadcast::Receiver<Noticed> {
        self.mistakes.watch()
    }

    fn is_serving(&self) -> Result<(), Fault> {
        self.is_serving_at(self.clock.now())
    }

    fn is_serving_at(&self, now: Stamp) -> Result<(), Fault> {
        if self.is_draining.load(Ordering::Acquire) {
            Err(Fault::Draining)
        } else if self.grants.is_fresh(now) {
            Ok(())
        } else {
            Err(Fault::Stale)
        }
    }
}

impl Worker {
    fn new(proxy: Arc<Proxy>) -> Rc<Self> {
        Rc::new(Self {
            row: proxy.counters.row(),
            setup: Current::of(&proxy),
            ids: Ids::new(),
            http1: connection::http1(proxy.limits.head_size),
            line: RefCell::default(),
            proxy,
        })
    }
}

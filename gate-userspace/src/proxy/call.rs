//! What is known of one call while it walks the request path, and how it is refused.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use tracing::warn;

use super::{
    admit::Permit,
    arriving::Arriving,
    body::Body,
    connection::Caller,
    counters::Count,
    end::{End, Exchange, Record},
    limit::Slot,
    mistakes::{self, Replay},
    origin::Origin,
    present::Credential,
    respond,
    route::Matched,
    sse::Dialect,
    swap::Auth,
    timing::Timing,
    upgrade::Tunnel,
};
use crate::{
    fault::{Denied, Stop},
    grants::Grant,
    ident::RolloutId,
    profile::{self, Profile},
};

pub(crate) struct Call {
    caller: Rc<Caller>,
    exchange: Exchange,
    uri: Uri,
    /// Whose words a refusal takes; until the route is known, those of the route to nowhere.
    profile: &'static dyn Profile,
    tail_at: usize,
    is_head: bool,
    keepalive: Option<Duration>,
    pub(crate) origin: Origin,
    pub(crate) id: HeaderValue,
}

impl Call {
    pub(crate) fn begin(caller: &Rc<Caller>, request: &Request<Arriving>) -> Self {
        let id = caller.worker.ids.of(request.headers());
        Self {
            exchange: Exchange::begin(caller, request.method(), id.clone()),
            id,
            uri: request.uri().clone(),
            profile: profile::unrouted(),
            tail_at: 0,
            is_head: request.method() == Method::HEAD,
            keepalive: None,
            origin: Origin::None,
            caller: Rc::clone(caller),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn follows(&mut self, matched: &Matched<'_>) {
        self.profile = matched.route.profile;
        self.tail_at = matched.tail_at;
        self.keepalive = matched.route.keepalive;
        let is_somewhere = !matched.route.is_nowhere;
        let profile = is_somewhere.then(|| self.profile.name());
        let rollout = matched.rollout.clone();
        self.exchange.note(|record| {
            record.profile = profile;
            record.rollout = rollout;
        });
    }

    pub(crate) fn is_of(&mut self, grant: &Arc<Grant>) {
        self.exchange.note(|record| {
            if let Some(rollout) = &grant.rollout
                && record.rollout.is_none()
            {
                record.rollout = Some(rollout.id.clone());
            }
            record.grant = Some(Arc::clone(grant));
        });
    }

    /// The call takes its place, or is one that only `audit` lets pass.
    pub(crate) fn enters(&mut self, permit: &Permit, slot: Option<Slot>) {
        let is_strange = permit.is_strange();
        if is_strange {
            self.caller.worker.row.add(Count::WouldRefuse);
        }
        let is_delegated = permit
            .known()
            .is_some_and(|known| matches!(known.presented.credential, Credential::Delegated(_)));
        self.exchange.note(|record| {
            record.would_refuse = is_strange;
            record.delegated = is_delegated;
            record.slot = slot;
        });
    }

    /// The call waited for its body, which is no work of the gate's.
    pub(crate) fn arrived(&mut self) {
        self.exchange.note(|record| record.ready = Instant::now());
    }

    /// The request goes on to the upstream.
    pub(crate) fn goes_with(&mut self, auth: Auth) {
        self.exchange.note(|record| {
            let now = Instant::now();
            record.auth = Some(auth);
            record.sent = Some(now);
            let took = now.saturating_duration_since(record.ready);
            record.caller.worker.row.time(Timing::Overhead, took);
        });
    }

    /// Whether the answer has no body, whatever its head says.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    pub(crate) fn keepalive(&self) -> Option<Duration> {
        self.keepalive
    }

    /// A web page where a model should answer: as a rule a tunnel that has died.
    pub(crate) fn got_web_page(&self) {
        let (worker, peer) = (&self.caller.worker, self.caller.peer);
        worker.row.add(Count::WebPage);
        let now = worker.proxy.clock.now();
        worker.proxy.mistakes.note(Count::WebPage, peer, now, None);
        warn!(
            profile = self.profile.name().as_str(),
            "the upstream answered with a web page: is its tunnel alive?"
        );
    }

    /// How the streams of this path are spelled.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect::of(self.path(), self.profile.maps_provider())
    }

    /// The upstream answered: the rest of the call belongs to its body.
    pub(crate) fn passes(&mut self, status: StatusCode, now: Instant) -> Exchange {
        self.caller.worker.row.add(Count::Passed);
        self.exchange.note(|record| {
            record.status = status.as_u16();
            record.first_byte = Some(now);
            if let Some(sent) = record.sent {
                let took = now.saturating_duration_since(sent);
                record.caller.worker.row.time(Timing::FirstByte, took);
            }
        });
        self.exchange.take()
    }

    /// What the connection goes on with when hyper is done with it.
    pub(crate) fn keeps(&mut self, tunnel: Tunnel) {
        self.caller.tunnel.replace(Some(tunnel));
    }

    /// The gate answered itself, and gladly.
    pub(crate) fn answered(&mut self, response: Response<Body>) -> Response<Body> {
        self.exchange
            .note(|record| record.status = response.status().as_u16());
        self.exchange.end(End::Answered);
        response
    }

    pub(crate) fn refuse(&mut self, stop: Stop) -> Response<Body> {
        let stop = self.throttled(stop);
        let tail = self.path().get(self.tail_at..).unwrap_or_default();
        let (kind, response) = respond::to(&stop, self.profile, tail);
        self.exchange.note(|record| {
            record.caller.worker.row.refuse(record.profile, kind);
            record.status = response.status().as_u16();
            record.refused = Some((kind, respond::reason(&stop)));
        });
        self.exchange.end(match stop {
            Stop::Cut(why) => End::Cut(why),
            Stop::Denied(_) | Stop::Fault(_) => End::Refused,
        });
        response
    }

    fn throttled(&mut self, stop: Stop) -> Stop {
        let Stop::Denied(denied) = stop else {
            return stop;
        };
        if !denied.is_failed_authentication() {
            return stop;
        }
        let what = if let Denied::Unknown(look) = denied {
            mistakes::of_look(look)
        } else {
            (denied == Denied::WrongSource).then_some(Count::WrongSource)
        };
        let mut replay = None;
        if what == Some(Count::WrongSource) {
            self.exchange.note(|record| replay = alarm(record));
        }
        let (worker, peer) = (&self.caller.worker, self.caller.peer);
        let (proxy, now) = (&worker.proxy, worker.proxy.clock.now());
        if let Some(what) = what {
            worker.row.add(what);
        }
        let denied = proxy.throttle.failed(denied, peer, now);
        if let Some(what) = what {
            // Who is throttled has been heard of.
            let replay = replay.filter(|_| !matches!(denied, Denied::Throttled { .. }));
            proxy.mistakes.note(what, peer, now, replay);
        }
        Stop::Denied(denied)
    }
}

/// A bound token from elsewhere is either a mistake of provisioning or a stolen token: both sides
/// are named.
fn alarm(record: &Record) -> Option<Replay> {
    let grant = record.grant.as_ref()?;
    let client = grant.client.record();
    let of_rollout = grant.rollout.as_ref().map(|rollout| rollout.record());
    let own = of_rollout.as_ref().map(|rollout| &rollout.sources);
    let sources = own.filter(|own| !own.is_empty()).unwrap_or(&client.sources);
    let bound: Vec<String> = sources.iter().map(ToString::to_string).collect();
    warn!(
        token = %grant.token,
        client = %client.name,
        rollout = record.rollout.as_ref().map(RolloutId::as_str),
        source = %record.caller.peer,
        bound = bound.join(" "),
        "a bound token was presented from elsewhere"
    );
    Some(Replay {
        token: grant.token,
        client: client.name.clone(),
        rollout: record.rollout.clone(),
        bound: sources.clone(),
    })
}

//! How things stand: `status`, `verify`, `hosts`, `audit`, `explain`, `healthz`, `readyz`.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use ipnet::IpNet;

use super::{
    Api,
    question::{Query, Question},
    refusal::Refusal,
    show,
    wire::{
        Audit, AuditEntry, AuditQuery, Explain, Explained, HostView, Hosts, KeyState, KeyView,
        Rings, Spread, Status, Verified,
    },
};
use crate::{
    clock::Stamp,
    control::{Filter, HostState, Opens, Origin},
    grants::Grants,
    ident::Revision,
    secret::UnsealError,
    settings::Mode,
};

const LINES: u32 = 1000;

/// Sources that one warning names.
const NAMED: usize = 5;

pub(super) async fn status(State(api): State<Api>) -> Json<Status> {
    let packet = api.inspect.packet_ring().await;
    let grants = api.control.grants();
    let (clients, rollouts) = grants.counts();
    let mut warnings = packet.warnings;
    warnings.extend(api.inspect.warnings());
    warnings.extend(spoofable(grants, &packet.homes));
    warnings.extend(store(&api));
    match grants.mode() {
        Mode::Closed => warnings.push("closed by panic: nothing is served".to_owned()),
        Mode::Audit => warnings.push("audit mode: strangers pass and are counted".to_owned()),
        Mode::Enforce => {}
    }
    Json(Status {
        revision: grants.revision(),
        mode: show::mode(grants.mode()),
        host: grants.host().clone(),
        rings: Rings {
            packet: packet.ring,
            connection: api.inspect.connection_ring(),
            request: api.inspect.request_ring(),
        },
        clients,
        rollouts,
        live_streams: api.inspect.live_streams(),
        drift: packet.drift,
        drops: packet.drops,
        revoke: Spread::of(&api.control.endings(Origin::Here)),
        warnings,
    })
}

/// How the store stands, when it does not.
fn store(api: &Api) -> Option<String> {
    let is_fresh = api.control.grants().is_fresh(api.control.clock().now());
    let meanwhile = if is_fresh {
        "calls are served until it was not heard of for too long"
    } else {
        "nobody is served"
    };
    match api.control.store_parting() {
        Some(parting) => Some(format!(
            "the store is not believed, {meanwhile}: {parting} (fence that server; where it is \
             meant, as after a restored backup, restart gated)"
        )),
        None if is_fresh => None,
        None => Some("the store was not heard of for too long: nobody is served".to_owned()),
    }
}

/// What is known by its address alone, named while there are few.
fn spoofable(grants: &Grants, bound: &BTreeMap<IpNet, String>) -> Option<String> {
    let (named, count) = grants.spoofable(NAMED, bound);
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    let more = match count - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (count > 0).then(|| {
        format!(
            "address only, spoofable by a neighbour on the same link: {}{more} (bind them: \
             `--source ADDR@IFACE`)",
            named.join(", ")
        )
    })
}

pub(super) async fn verify(State(api): State<Api>) -> Result<Json<Verified>, Refusal> {
    let drift = api.inspect.verify().await.map_err(Refusal::ring)?;
    let keys = api.control.check_keys().into_iter().map(|check| KeyView {
        owner: check.owner,
        state: match check.opens {
            Opens::Yes => KeyState::Ok,
            Opens::Plaintext => KeyState::Plaintext,
            Opens::No(UnsealError::UnknownKey) => KeyState::UnknownKey,
            Opens::No(UnsealError::Malformed | UnsealError::Refused | UnsealError::NotText) => {
                KeyState::Corrupt
            }
        },
    });
    let keys: Vec<KeyView> = keys.collect();
    let store = match api.control.check_store().await {
        Ok(()) => "ok".to_owned(),
        Err(why) => why.to_string(),
    };
    let all_open = keys.iter().all(|key| key.state == KeyState::Ok);
    Ok(Json(Verified {
        ok: all_open && store == "ok" && drift == 0,
        keys,
        store,
        drift,
        revision: api.control.grants().revision(),
    }))
}

pub(super) async fn hosts(State(api): State<Api>) -> Result<Json<Hosts>, Refusal> {
    let grants = api.control.grants();
    let hosts = api.control.hosts().await?.into_iter();
    let hosts = hosts.map(|host| HostView {
        this: host.host == *grants.host(),
        host: host.host,
        revision: host.revision,
        state: match host.state {
            HostState::Done => "live",
            HostState::Behind => "behind",
            HostState::SelfClosed => "self-closed",
        }
        .to_owned(),
        last_seen: host.last_seen.into(),
    });
    Ok(Json(Hosts {
        hosts: hosts.collect(),
        revision: grants.revision(),
    }))
}

pub(super) async fn audit(
    State(api): State<Api>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Audit>, Refusal> {
    let now = api.control.clock().now();
    let since = query.since_seconds.map(|seconds| {
        let millis = i64::try_from(Duration::from_secs(seconds).as_millis());
        Stamp(now.0.saturating_sub(millis.unwrap_or(i64::MAX)))
    });
    let filter = Filter {
        since: since.unwrap_or_default(),
        after: Revision(query.after.unwrap_or(0)),
        client: query.client.map(String::from).unwrap_or_default(),
        limit: query.limit.unwrap_or(LINES),
    };
    let lines = api.control.audit(filter).await?.into_iter();
    let entries = lines.map(|line| AuditEntry {
        revision: line.revision,
        at: line.at.into(),
        host: line.host,
        actor: line.actor,
        kind: line.kind,
        subject: line.subject,
        detail: line.detail,
    });
    Ok(Json(Audit {
        entries: entries.collect(),
        revision: api.control.grants().revision(),
    }))
}

pub(super) async fn explain(
    State(api): State<Api>,
    Question(question): Question<Explain>,
) -> Result<Json<Explained>, Refusal> {
    let rings = api.inspect.explain(question).await;
    Ok(Json(Explained {
        rings: rings.map_err(Refusal::invalid)?,
        revision: api.control.grants().revision(),
    }))
}

/// The process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The rings stand and the store is fresh.
pub(super) async fn ready(State(api): State<Api>) -> impl IntoResponse {
    let (control, now) = (&api.control, api.control.clock().now());
    let ready = if control.grants().is_fresh(now) {
        api.inspect.ready()
    } else {
        Err("the store was not heard of for too long".to_owned())
    };
    match ready {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

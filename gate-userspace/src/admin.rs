//! The admin API: what operators and trainers ask of the gate, over a Unix socket.
//!
//! Threat: whoever may connect may let himself in, so the socket is 0660 and every change is
//! recorded with the peer that the kernel names, never with what a header says. What touches the
//! kernel half itself is for root alone. Nothing is decided here: a handler parses, asks `control`
//! and prints the answer.

pub mod wire;
mod door;
mod inspect;
mod listen;
mod peer;
mod refusal;
mod question;
mod parse;
mod show;
mod replay;
mod clients;
mod rollouts;
mod status;
mod kernel;
mod keys;
mod backup;
mod events;
mod metrics;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post, put},
};
use tokio_util::sync::CancellationToken;

pub use door::{Doorway, Doorways};
pub use inspect::{Inspect, PacketFacts};
pub use listen::{AdminSocket, ListenError};
pub use metrics::scraped;

use crate::control::Control;
use replay::Replays;

/// What is being answered when the gate stops may take this long.
const GRACE: Duration = Duration::from_secs(2);

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub control: Control,
    pub inspect: Arc<dyn Inspect>,
    pub doorways: Arc<Doorways>,
    replays: Arc<Replays>,
}

impl Api {
    pub fn new(control: Control, inspect: Arc<dyn Inspect>, doorways: Doorways) -> Self {
        Self {
            control,
            inspect,
            doorways: Arc::new(doorways),
            replays: Arc::default(),
        }
    }
}

/// Answers at the socket until it is told to stop; what runs then is finished first.
pub async fn run(api: Api, socket: AdminSocket, stop: CancellationToken) {
    let AdminSocket { listener, file } = socket;
    let replays = Arc::clone(&api.replays);
    let service = router(api).into_make_service_with_connect_info::<peer::Peer>();
    let serve = axum::serve(listener, service);
    let serve = serve.with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serve.into_future() => if let Err(why) = served {
            tracing::error!(error = %why, "the admin socket has ended");
        },
        // Who watches events would stay for ever.
        () = over(&stop) => {}
    }
    replays.finish().await;
    drop(file);
}

async fn over(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/clients", post(clients::add).get(clients::list))
        .route(
            "/v1/clients/{name}",
            get(clients::show)
                .patch(clients::patch)
                .delete(clients::revoke),
        )
        .route("/v1/clients/{name}/rotate", post(clients::rotate))
        .route("/v1/clients/{name}/renew", post(clients::renew))
        .route("/v1/clients/{name}/disable", post(clients::disable))
        .route("/v1/clients/{name}/enable", post(clients::enable))
        .route("/v1/clients/{name}/key", put(clients::set_key))
        .route(
            "/v1/rollouts",
            post(rollouts::open)
                .get(rollouts::list)
                .delete(rollouts::close_many),
        )
        .route(
            "/v1/rollouts/{id}",
            get(rollouts::show).delete(rollouts::close_one),
        )
        .route("/v1/rollouts/{id}/renew", post(rollouts::renew))
        .route("/v1/rollouts/{id}/rotate", post(rollouts::rotate))
        .route("/v1/rollouts/{id}/drain", post(rollouts::drain))
        .route("/v1/store/backup", get(backup::backup))
        .merge(keys::routes())
        .route("/v1/status", get(status::status))
        .route("/v1/verify", get(status::verify))
        .route("/v1/hosts", get(status::hosts))
        .route("/v1/audit", get(status::audit))
        .route("/v1/explain", post(status::explain))
        .route("/v1/events", get(events::events))
        .route("/v1/panic", post(kernel::panic))
        .route("/v1/open", post(kernel::open))
        .route("/v1/unload", post(kernel::unload))
        .route("/v1/interface", post(kernel::set_interface))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || refusal::Refusal::no_path())
        .method_not_allowed_fallback(async || refusal::Refusal::no_method())
        .with_state(api)
}

#[cfg(test)]
mod tests;

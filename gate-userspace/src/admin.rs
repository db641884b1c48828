//! The admin API: what operators and trainers ask of the gate, over a Unix socket, and where the
//! configuration says so over TCP.
//!
//! Threat: whoever may connect may let himself in, so the socket is 0660 and every change is
//! recorded with the peer that the kernel names, never with what a header says. What touches the
//! kernel half itself is for root alone. Who comes by TCP shows a token that has a role. Nothing is decided here: a handler parses, asks `control`
//! and prints the answer.

pub mod wire;
mod door;
mod inspect;
mod listen;
pub mod exposition;
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
mod openapi;
mod operators;
mod routes;
mod remote;
mod backup;
mod events;
mod metrics;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

pub use door::{Doorway, Doorways};
pub use inspect::{Inspect, PacketCounts, PacketFacts, TableFill, Verdict, VerdictCount};
pub use listen::{AdminSocket, ListenError};
pub use metrics::scraped;
pub use remote::{Remote, serve as serve_remote};

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
    let service = routes::here()
        .with_state(api)
        .into_make_service_with_connect_info::<peer::Peer>();
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

#[cfg(test)]
mod tests;

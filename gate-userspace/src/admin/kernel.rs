//! The emergency brake, for all who may provision; and what relaxes the kernel half, for root.

use axum::{Json, extract::State};

use super::{
    Api,
    peer::Peer,
    question::Question,
    refusal::Refusal,
    show,
    wire::{InterfaceSet, InterfaceView, ModeChanged, Unloaded},
};
use crate::control::Done;

pub(super) async fn panic(
    State(api): State<Api>,
    peer: Peer,
) -> Result<Json<ModeChanged>, Refusal> {
    let done = api.control.panic(peer.actor()).await?;
    Ok(Json(api.mode_changed(done)))
}

pub(super) async fn open(State(api): State<Api>, peer: Peer) -> Result<Json<ModeChanged>, Refusal> {
    peer.must_be_root("opening after a panic")?;
    let done = api.control.open(peer.actor()).await?;
    Ok(Json(api.mode_changed(done)))
}

pub(super) async fn unload(State(api): State<Api>, peer: Peer) -> Result<Json<Unloaded>, Refusal> {
    peer.must_be_root("unloading the packet ring")?;
    let removed = api.inspect.unload().await.map_err(Refusal::ring)?;
    Ok(Json(Unloaded { removed }))
}

pub(super) async fn set_interface(
    State(api): State<Api>,
    peer: Peer,
    Question(wanted): Question<InterfaceSet>,
) -> Result<Json<InterfaceView>, Refusal> {
    peer.must_be_root("choosing an interface's hook")?;
    let set = api.inspect.set_interface(wanted).await;
    Ok(Json(set.map_err(Refusal::ring)?))
}

impl Api {
    fn mode_changed(&self, done: Done) -> ModeChanged {
        ModeChanged {
            mode: show::mode(self.control.grants().mode()),
            streams_cut: done.streams,
            connections_closed: done.connections,
            elapsed_us: done.elapsed_us,
            revision: done.revision,
            warnings: done.warnings,
        }
    }
}

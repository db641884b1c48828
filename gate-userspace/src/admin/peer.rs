//! Who is at the other end of the socket, as the kernel says.

use std::convert::Infallible;

use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use tokio::net::UnixListener;

use super::refusal::Refusal;
use crate::control::Actor;

/// What was read when the connection was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    uid: u32,
    pid: i32,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // Without an answer nobody is root.
        stream.io().peer_cred().map_or(
            Self {
                uid: u32::MAX,
                pid: 0,
            },
            |peer| Self {
                uid: peer.uid(),
                pid: peer.pid().unwrap_or(0),
            },
        )
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let nobody = Self {
            uid: u32::MAX,
            pid: 0,
        };
        let info = parts.extensions.get::<ConnectInfo<Self>>();
        Ok(info.map_or(nobody, |ConnectInfo(peer)| *peer))
    }
}

impl Peer {
    pub(super) fn actor(self) -> Actor {
        Actor::Peer {
            uid: self.uid,
            pid: self.pid,
        }
    }

    #[cfg(test)]
    pub(super) fn of_uid(uid: u32) -> Self {
        Self { uid, pid: 0 }
    }

    pub(super) fn uid(self) -> u32 {
        self.uid
    }

    /// Root, or the user that the gate itself runs as.
    pub(super) fn must_be_owner(self, what: &str) -> Result<(), Refusal> {
        if self.uid == nix::unistd::geteuid().as_raw() {
            Ok(())
        } else {
            self.must_be_root(what)
        }
    }

    pub(super) fn must_be_root(self, what: &str) -> Result<(), Refusal> {
        if self.uid == 0 {
            Ok(())
        } else {
            Err(Refusal::root_only(what))
        }
    }
}

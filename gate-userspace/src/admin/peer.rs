//! Who is at the other end: of the socket, as the kernel says, or of the network, as a token says.

use std::convert::Infallible;

use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use tokio::net::UnixListener;

use super::refusal::Refusal;
use crate::{control::Actor, ident::OperatorName, operator::Role};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// At the admin socket: what the kernel said when the connection was made.
    Socket { uid: u32, pid: i32 },
    /// On another machine.
    Operator(OperatorName),
}

/// Whose token a call from another machine carries.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) name: OperatorName,
    pub(super) role: Role,
}

/// Without an answer nobody is root.
const NOBODY: Peer = Peer::Socket {
    uid: u32::MAX,
    pid: 0,
};

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        stream.io().peer_cred().map_or(NOBODY, |peer| Self::Socket {
            uid: peer.uid(),
            pid: peer.pid().unwrap_or(0),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        if let Some(signed) = parts.extensions.get::<Signed>() {
            return Ok(Self::Operator(signed.name.clone()));
        }
        let info = parts.extensions.get::<ConnectInfo<Self>>();
        Ok(info.map_or(NOBODY, |ConnectInfo(peer)| peer.clone()))
    }
}

impl Peer {
    pub(super) fn actor(&self) -> Actor {
        match self {
            Self::Socket { uid, pid } => Actor::Peer {
                uid: *uid,
                pid: *pid,
            },
            Self::Operator(name) => Actor::Operator(name.clone()),
        }
    }

    #[cfg(test)]
    pub(super) fn of_uid(uid: u32) -> Self {
        Self::Socket { uid, pid: 0 }
    }

    /// The same for whoever asks again, over another connection too.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Socket { uid, pid: _ } => format!("uid={uid}"),
            Self::Operator(name) => format!("operator={name}"),
        }
    }

    /// Root, or the user that the gate itself runs as.
    pub(super) fn must_be_owner(&self, what: &str) -> Result<(), Refusal> {
        match self {
            Self::Socket { uid, .. } if *uid == nix::unistd::geteuid().as_raw() => Ok(()),
            Self::Socket { .. } | Self::Operator(_) => self.must_be_root(what),
        }
    }

    pub(super) fn must_be_root(&self, what: &str) -> Result<(), Refusal> {
        match self {
            Self::Socket { uid: 0, .. } => Ok(()),
            Self::Socket { .. } | Self::Operator(_) => Err(Refusal::root_only(what)),
        }
    }
}

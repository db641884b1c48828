//! Questions to the kernel over rtnetlink, and the sign that something changed.
//!
//! Only dumps, answered whole or not at all. A notification is not decoded: whoever hears it asks
//! again, so a lost one costs at most the wait for the next timer.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use tokio::io::unix::AsyncFd;

use super::fault::KernelError;

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// Every answer to one dump request.
pub(super) fn dump(
    what: &'static str,
    request: RouteNetlinkMessage,
) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
    ask(request, NLM_F_DUMP).map_err(|cause| KernelError::Netlink { what, cause })
}

/// The answer to a question about one thing; `None`: the kernel knows of none.
pub(super) fn one(
    what: &'static str,
    request: RouteNetlinkMessage,
) -> Result<Option<RouteNetlinkMessage>, KernelError> {
    match ask(request, 0) {
        Ok(answers) => Ok(answers.into_iter().next()),
        Err(cause) if cause.raw_os_error() == Some(libc::ENETUNREACH) => Ok(None),
        Err(cause) => Err(KernelError::Netlink { what, cause }),
    }
}

fn ask(request: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = flags | NLM_F_REQUEST;
    header.sequence_number = 1;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            let length = (message.header.length as usize).next_multiple_of(4);
            // Padding and overruns carry nothing.
            if let NetlinkPayload::Done(_) = message.payload {
                return Ok(answers);
            } else if let NetlinkPayload::Error(error) = message.payload {
                return Err(error.to_io());
            } else if let NetlinkPayload::InnerMessage(inner) = message.payload {
                answers.push(inner);
                if flags & NLM_F_DUMP == 0 {
                    return Ok(answers);
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// Wakes when a link, an address or a route changes.
pub(super) struct Changes {
    socket: AsyncFd<Subscribed>,
}

struct Subscribed(Socket);

impl AsRawFd for Subscribed {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Changes {
    /// Must be called inside a runtime.
    pub(super) fn subscribe() -> Result<Self, KernelError> {
        let open = || -> io::Result<Self> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            for group in [
                RTNLGRP_LINK,
                RTNLGRP_IPV4_IFADDR,
                RTNLGRP_IPV4_ROUTE,
                RTNLGRP_IPV6_IFADDR,
                RTNLGRP_IPV6_ROUTE,
            ] {
                socket.add_membership(group)?;
            }
            #[expect(
                deprecated,
                reason = "the descriptor lives in the value that is registered"
            )]
            Ok(Self {
                socket: AsyncFd::new(Subscribed(socket))?,
            })
        };
        open().map_err(|cause| KernelError::Netlink {
            what: "changes",
            cause,
        })
    }

    /// Returns once something changed, with every notification up to then consumed.
    pub(super) async fn wait(&mut self) {
        let Ok(mut ready) = self.socket.readable_mut().await else {
            // Only a closing runtime fails here; the timer carries on without notifications.
            return std::future::pending().await;
        };
        let mut scratch = Vec::with_capacity(1 << 16);
        loop {
            scratch.clear();
            match ready.get_inner_mut().0.recv(&mut scratch, 0) {
                Ok(_) => {}
                // An overrun lost notifications; the coming questions are about everything.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break,
            }
        }
        ready.clear_ready();
    }
}

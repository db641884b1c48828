//! The tc hook of kernels without TCX: a filter on the clsact qdisc, first in line.
//!
//! Such an attachment is no link: it lives with its device, whoever made it, and cannot be pinned.
//! So the program is pinned in its place, under the name a link would have, before the filter
//! stands; and whether it stands is asked of the device. An upgrade replaces it in one step. The
//! qdisc stays behind: others may have come to use it.

use std::os::fd::AsFd;
use std::path::Path;

use aya::Ebpf;
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact,
};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use gate_common::name;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcHandle as Handle, TcMessage};

use super::fault::KernelError;
use super::interfaces;
use super::links;
use super::message::Hook;
use super::netlink;
use super::object::program;
use super::sys;

/// Before every filter that others put there with a number of their own.
const PRIORITY: u16 = 1;

/// Ours among the filters of that priority.
const HANDLE: u16 = 0x6761;

/// Parent of the filters on what comes in (`TC_H_CLSACT` and `TC_H_MIN_INGRESS` of Linux).
const INGRESS: Handle = Handle {
    major: 0xffff,
    minor: 0xfff2,
};

/// `ETH_P_ALL`, in network order.
const EVERY_PROTOCOL: u32 = (0x0003_u16).to_be() as u32;

pub(super) fn attach(
    object: &mut Ebpf,
    interface: &str,
    index: u32,
    path: &Path,
) -> Result<(), KernelError> {
    let fault = |cause: ProgramError| KernelError::Attach {
        interface: interface.to_owned(),
        hook: "clsact",
        cause: Box::new(cause),
    };
    // One that is there is as good; without one the filter says so.
    let _there = qdisc_add_clsact(interface);
    pin(object, path)?;
    let program = program::<SchedClassifier>(object, name::TC)?;
    let attached = if stands(index) {
        // Left by a daemon whose pins are gone.
        filter(interface).and_then(|filter| program.attach_to_link(filter))
    } else {
        let options = NlOptions {
            priority: PRIORITY,
            handle: TcHandle::new(0, HANDLE),
            classid: None,
        };
        let options = TcAttachOptions::Netlink(options);
        program.attach_with_options(interface, TcAttachType::Ingress, options)
    };
    let kept = attached.and_then(|id| program.take_link(id)).map_err(fault);
    match kept {
        Ok(link) => {
            // Dropped, it would detach.
            std::mem::forget(link);
            Ok(())
        }
        Err(fault) => {
            // Where the former program goes on in the filter, its mark must stay: it is how the
            // filter is found.
            if !stands(index) {
                links::unpin(path)?;
            }
            Err(fault)
        }
    }
}

/// This build's program in the filter that is there, in one step.
pub(super) fn replace(object: &mut Ebpf, index: u32, path: &Path) -> Result<(), KernelError> {
    let interface = name_of(index)?.ok_or_else(|| KernelError::NoInterface(index.to_string()))?;
    links::unpin(path)?;
    attach(object, &interface, index, path)
}

/// Whether the filter is on its device.
pub(super) fn stands(index: u32) -> bool {
    let Ok(number) = i32::try_from(index) else {
        return false;
    };
    let mut message = TcMessage::default();
    message.header.index = number;
    message.header.parent = INGRESS;
    message.header.handle = Handle {
        major: 0,
        minor: HANDLE,
    };
    message.header.info = u32::from(PRIORITY) << 16 | EVERY_PROTOCOL;
    let question = RouteNetlinkMessage::GetTrafficFilter(message);
    // No device, no qdisc or no filter: all of them are an error to the kernel.
    matches!(netlink::one("a filter", question), Ok(Some(_)))
}

/// Takes the filter off its device, if both are there.
pub(super) fn detach(index: u32) {
    if let Ok(Some(interface)) = name_of(index)
        && let Ok(filter) = filter(&interface)
    {
        // Dropped, it detaches; what is not there cannot be.
        drop(filter);
    }
}

/// Something to pin in the place of a link.
fn pin(object: &mut Ebpf, path: &Path) -> Result<(), KernelError> {
    let program = program::<SchedClassifier>(object, name::TC)?;
    let fd = program.fd().map_err(|cause| KernelError::Program {
        program: name::TC,
        cause: Box::new(cause),
    })?;
    sys::pin(fd.as_fd(), path).map_err(|cause| KernelError::Pin {
        path: path.to_owned(),
        cause: cause.into(),
    })
}

fn filter(interface: &str) -> Result<SchedClassifierLink, ProgramError> {
    let handle = TcHandle::new(0, HANDLE);
    let link =
        SchedClassifierLink::attached(interface, TcAttachType::Ingress, PRIORITY, handle, None);
    Ok(link?)
}

fn name_of(index: u32) -> Result<Option<String>, KernelError> {
    let present = interfaces::list()?.into_iter();
    let mut present = present.filter(|interface| interface.index == index);
    Ok(present.next().map(|interface| interface.name))
}

/// The index in a file's name, if its filter stands; 0 = it does not.
pub(super) fn ifindex(path: &Path) -> u32 {
    links::index_of(path)
        .filter(|index| links::hook_of(path) == Some(Hook::Clsact) && stands(*index))
        .unwrap_or(0)
}

//! Attaches the programs: an explicit ladder of hooks, the real mode read back, every link pinned.
//!
//! Never touches what it did not attach: a foreign program on the XDP hook stays, and is named.
//! aya falls back to netlink when a link is refused; such an attachment cannot be pinned and would
//! die with the daemon, so it is an error here, but for the one that `clsact` makes on purpose.

use std::fs::File;
use std::path::Path;

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::XdpLink;
use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, SkLookup, TcAttachType, Xdp, XdpMode, loaded_programs,
};
use gate_common::name;

use super::clsact;
use super::fault::KernelError;
use super::interfaces::Interface;
use super::links;
use super::message::Hook;
use super::object::program;

/// A hook that holds, and how it came to be that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) hook: Hook,
    pub(super) reason: String,
}

/// Tries the hooks in turn and pins what held.
pub(super) fn attach(
    object: &mut Ebpf,
    interface: &Interface,
    ladder: &[Hook],
    reason: &str,
    directory: &Path,
) -> Result<Attached, KernelError> {
    let mut passed_over: Vec<String> = Vec::new();
    let mut first_fault = None;
    for hook in ladder {
        match attach_one(object, interface, *hook, directory) {
            Ok(()) => {
                let mut reason = reason.to_owned();
                for why in &passed_over {
                    reason.push_str("; ");
                    reason.push_str(why);
                }
                return Ok(Attached {
                    hook: *hook,
                    reason,
                });
            }
            Err(fault) => {
                passed_over.push(format!("{}: {}", label(*hook), innermost(&fault)));
                first_fault = first_fault.or(Some(fault));
            }
        }
    }
    Err(first_fault.unwrap_or_else(|| KernelError::NoInterface(interface.name.clone())))
}

fn attach_one(
    object: &mut Ebpf,
    interface: &Interface,
    hook: Hook,
    directory: &Path,
) -> Result<(), KernelError> {
    let fault = |cause: ProgramError| KernelError::Attach {
        interface: interface.name.clone(),
        hook: label(hook),
        cause: Box::new(cause),
    };
    let path = directory.join(links::file_name(interface.index, hook));
    let link: FdLink = match hook {
        Hook::Clsact => return clsact::attach(object, &interface.name, interface.index, &path),
        Hook::Tcx => {
            let program = program::<SchedClassifier>(object, name::TC)?;
            let id = program
                .attach_with_options(
                    &interface.name,
                    TcAttachType::Ingress,
                    TcAttachOptions::TcxOrder(LinkOrder::first()),
                )
                .map_err(fault)?;
            let link: SchedClassifierLink = program.take_link(id).map_err(fault)?;
            link.try_into()
                .map_err(|cause| unpinnable(&interface.name, cause))?
        }
        Hook::Xdp | Hook::Generic => {
            if let Some(id) = interface.xdp {
                return Err(KernelError::Foreign {
                    interface: interface.name.clone(),
                    program: describe_program(id),
                });
            }
            let mode = if hook == Hook::Xdp {
                XdpMode::Driver
            } else {
                XdpMode::Skb
            };
            let program = program::<Xdp>(object, name::XDP)?;
            let id = program
                .attach_to_if_index(interface.index, mode)
                .map_err(fault)?;
            let link: XdpLink = program.take_link(id).map_err(fault)?;
            link.try_into()
                .map_err(|cause| unpinnable(&interface.name, cause))?
        }
    };
    pin(link, &path)
}

/// Attaches the socket lookup to the network namespace of this thread.
pub(super) fn attach_lookup(object: &mut Ebpf, directory: &Path) -> Result<(), KernelError> {
    let path = Path::new("/proc/thread-self/ns/net");
    let netns = File::open(path).map_err(|cause| KernelError::File {
        path: path.to_owned(),
        cause,
    })?;
    let fault = |cause| KernelError::Attach {
        interface: "the network namespace".to_owned(),
        hook: "sk_lookup",
        cause: Box::new(cause),
    };
    let program = program::<SkLookup>(object, name::LOOKUP)?;
    let id = program.attach(netns).map_err(fault)?;
    let link = program.take_link(id).map_err(fault)?;
    pin(link.into(), &directory.join(links::LOOKUP))
}

fn pin(link: FdLink, path: &Path) -> Result<(), KernelError> {
    // An unpinned link detaches when it is dropped, so nothing half-attached stays behind.
    link.pin(path).map(drop).map_err(|cause| KernelError::Pin {
        path: path.to_owned(),
        cause: cause.into(),
    })
}

/// The mode in force, as the kernel reports it.
pub(super) fn real_mode(interface: &Interface, hook: Hook) -> &'static str {
    match hook {
        Hook::Tcx => "tcx",
        Hook::Clsact => "clsact",
        Hook::Xdp | Hook::Generic if interface.xdp.is_none() => "none",
        Hook::Xdp | Hook::Generic if interface.xdp_native => "native",
        Hook::Xdp | Hook::Generic => "generic",
    }
}

pub(super) fn label(hook: Hook) -> &'static str {
    match hook {
        Hook::Tcx => "tcx",
        Hook::Clsact => "clsact",
        Hook::Xdp => "native XDP",
        Hook::Generic => "generic XDP",
    }
}

fn describe_program(id: u32) -> String {
    let named = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id);
    match named.as_ref().and_then(|program| program.name_as_str()) {
        Some(name) => format!("{id} (`{name}`)"),
        None => id.to_string(),
    }
}

fn unpinnable(interface: &str, cause: aya::programs::links::LinkError) -> KernelError {
    KernelError::Pin {
        path: interface.into(),
        cause: cause.into(),
    }
}

fn innermost(fault: &KernelError) -> String {
    let mut cause: &dyn std::error::Error = fault;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

//! Pinned links: what each one holds, and the program swap that never lets go.
//!
//! A link's file stands for the attachment: removing it detaches. The kernel severs a link
//! silently when its device goes; the file stays and says `ifindex: 0`.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::Ebpf;
use gate_common::name;

use super::clsact;
use super::fault::KernelError;
use super::message::Hook;
use super::sys;

/// File name of the socket lookup's link.
pub(super) const LOOKUP: &str = "lookup";

/// File name of an interface's link. By index: bpffs refuses dots, which names may hold.
pub(super) fn file_name(ifindex: u32, hook: Hook) -> String {
    let hook = match hook {
        Hook::Tcx => "tcx",
        Hook::Clsact => "clsact",
        Hook::Xdp => "xdp",
        Hook::Generic => "generic",
    };
    format!("{ifindex}_{hook}")
}

/// The hook that a file name speaks of; `None`: not an interface's link.
pub(super) fn hook_of(path: &Path) -> Option<Hook> {
    match path.file_name()?.to_str()?.split_once('_')?.1 {
        "tcx" => Some(Hook::Tcx),
        "clsact" => Some(Hook::Clsact),
        "xdp" => Some(Hook::Xdp),
        "generic" => Some(Hook::Generic),
        _ => None,
    }
}

/// The interface that a file name speaks of.
pub(super) fn index_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.split_once('_')?.0.parse().ok()
}

/// Where the link is attached; 0 = its device is gone.
pub(super) fn ifindex(path: &Path) -> Result<u32, KernelError> {
    if hook_of(path) == Some(Hook::Clsact) {
        return Ok(clsact::ifindex(path));
    }
    Ok(info(&open(path)?, "ifindex:")?.unwrap_or(0))
}

/// The program the link runs, and the network namespace of a socket lookup.
pub(super) fn netns(path: &Path) -> Result<Option<u32>, KernelError> {
    info(&open(path)?, "netns_ino:")
}

fn info(link: &OwnedFd, field: &str) -> Result<Option<u32>, KernelError> {
    let file = PathBuf::from(format!("/proc/self/fdinfo/{}", link.as_raw_fd()));
    let text =
        fs::read_to_string(&file).map_err(|cause| KernelError::File { path: file, cause })?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}

/// Gives a link of another layout this build's program and a pin here, and only then takes its old
/// pin away: the attachment never lets go.
pub(super) fn take_over(object: &mut Ebpf, old: &Path, new: &Path) -> Result<(), KernelError> {
    if hook_of(old) == Some(Hook::Clsact) {
        clsact::replace(object, ifindex(old)?, new)?;
        return unpin(old);
    }
    adopt(object, old)?;
    sys::pin(open(old)?.as_fd(), new).map_err(|cause| KernelError::Pin {
        path: new.to_owned(),
        cause: cause.into(),
    })?;
    unpin(old)
}

/// Puts this build's program into an attached link.
pub(super) fn adopt(object: &mut Ebpf, path: &Path) -> Result<(), KernelError> {
    let program = match hook_of(path) {
        Some(Hook::Clsact) => return clsact::replace(object, ifindex(path)?, path),
        Some(Hook::Tcx) => name::TC,
        Some(Hook::Xdp | Hook::Generic) => name::XDP,
        None => name::LOOKUP,
    };
    let loaded = object
        .program(program)
        .ok_or(KernelError::Absent(program))?;
    let fd = loaded.fd().map_err(|cause| KernelError::Program {
        program,
        cause: Box::new(cause),
    })?;
    sys::update_link(open(path)?.as_fd(), fd.as_fd()).map_err(|cause| KernelError::Pin {
        path: path.to_owned(),
        cause: cause.into(),
    })
}

/// Takes the pin of a link away; another pin keeps it attached.
pub(super) fn unpin(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(KernelError::File {
            path: path.to_owned(),
            cause,
        }),
        _ => Ok(()),
    }
}

/// Detaches a link and takes its pin away.
pub(super) fn remove(path: &Path) -> Result<(), KernelError> {
    if hook_of(path) == Some(Hook::Clsact) {
        if let Some(index) = index_of(path) {
            clsact::detach(index);
        }
    } else if let Ok(link) = open(path) {
        // A severed link has nothing left to detach. Without this the kernel detaches when it next
        // finds time, and the hook looks taken until then.
        let _ = sys::detach_link(link.as_fd());
    }
    unpin(path)
}

fn open(path: &Path) -> Result<OwnedFd, KernelError> {
    sys::open_pin(path).map_err(|cause| KernelError::Pin {
        path: path.to_owned(),
        cause: cause.into(),
    })
}

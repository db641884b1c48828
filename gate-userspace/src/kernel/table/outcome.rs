//! What the kernel answers to a read, a write and a removal, told apart.

use std::io;

use aya::maps::MapError;

use super::super::fault::KernelError;
use super::WriteError;

pub(super) fn gone(map: &'static str, result: Result<(), MapError>) -> Result<bool, KernelError> {
    match result {
        Ok(()) => Ok(true),
        Err(MapError::KeyNotFound) => Ok(false),
        Err(cause) if errno(&cause) == Some(libc::ENOENT) => Ok(false),
        Err(cause) => Err(fault(map, cause)),
    }
}

pub(super) fn found<V>(
    map: &'static str,
    result: Result<V, MapError>,
) -> Result<Option<V>, KernelError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(cause) => Err(fault(map, cause)),
    }
}

pub(super) fn refused(map: &'static str, cause: MapError) -> WriteError {
    if is_full(errno(&cause)) {
        WriteError::Full(map)
    } else {
        WriteError::Kernel(fault(map, cause))
    }
}

/// As [`refused`], of a call for many.
pub(super) fn refused_by(map: &'static str, why: io::Error) -> WriteError {
    if is_full(why.raw_os_error()) {
        WriteError::Full(map)
    } else {
        WriteError::Kernel(broken(map, why))
    }
}

/// Memory that ran out is a full table too: the source stays shut, the rest goes on.
fn is_full(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::E2BIG | libc::ENOSPC | libc::ENOMEM))
}

pub(super) fn was_absent(why: &io::Error) -> bool {
    why.raw_os_error() == Some(libc::ENOENT)
}

pub(super) fn broken(map: &'static str, why: io::Error) -> KernelError {
    KernelError::Map {
        map,
        cause: Box::new(MapError::IoError(why)),
    }
}

fn errno(cause: &MapError) -> Option<i32> {
    let MapError::SyscallError(error) = cause else {
        return None;
    };
    error.io_error.raw_os_error()
}

pub(super) fn fault(map: &'static str, cause: MapError) -> KernelError {
    KernelError::Map {
        map,
        cause: Box::new(cause),
    }
}

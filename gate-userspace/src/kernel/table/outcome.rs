//! What the kernel answers to a read, a write and a removal, told apart.

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
    match errno(&cause) {
        // Memory that ran out is a full table too: the source stays shut, the rest goes on.
        Some(libc::E2BIG | libc::ENOSPC | libc::ENOMEM) => WriteError::Full(map),
        _ => WriteError::Kernel(fault(map, cause)),
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

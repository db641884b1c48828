//! The `bpf(2)` commands that aya does not offer for every kind of object: open and pin as plain
//! descriptors, update any link, test-run any program, read a map of
//! unknown shape.
//!
//! Every structure below is the head of the kernel's `union bpf_attr` for its command.
#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]

pub(super) mod batch;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAP_LOOKUP: libc::c_int = 1;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const PROG_TEST_RUN: libc::c_int = 10;
const LINK_UPDATE: libc::c_int = 29;
const LINK_DETACH: libc::c_int = 34;

#[repr(C)]
struct Lookup {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old: u32,
}

#[repr(C)]
struct LinkDetach {
    link: u32,
}

#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

/// Element 0 of an array map, whatever its values are; `size` is what the kernel says of them.
pub(super) fn first_value(map: BorrowedFd<'_>, size: u32) -> io::Result<Vec<u8>> {
    // The kernel writes whole words.
    let size = usize::try_from(size)
        .map_err(io::Error::other)?
        .next_multiple_of(8);
    let mut value = vec![0u8; size];
    let key = 0u32;
    let mut attr = Lookup {
        map: number(map),
        pad: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    bpf(MAP_LOOKUP, &mut attr)?;
    Ok(value)
}

/// Opens a pinned object.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        ..Pin::default()
    };
    let fd = bpf(OBJ_GET, &mut attr)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives an object one more pin.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        fd: number(object),
        ..Pin::default()
    };
    bpf(OBJ_PIN, &mut attr).map(drop)
}

/// Swaps the program of an attached link in one step.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdate {
        link: number(link),
        program: number(program),
        ..LinkUpdate::default()
    };
    bpf(LINK_UPDATE, &mut attr).map(drop)
}

/// Detaches a link at once; dropping its last reference would do so some time later.
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkDetach { link: number(link) };
    bpf(LINK_DETACH, &mut attr).map(drop)
}

/// Runs a program on a frame or a context, and returns its verdict.
pub(super) fn test_run(program: BorrowedFd<'_>, data: &[u8], ctx: &[u8]) -> io::Result<u32> {
    let pointer = |bytes: &[u8]| {
        if bytes.is_empty() {
            0
        } else {
            bytes.as_ptr() as u64
        }
    };
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let mut attr = TestRun {
        program: number(program),
        data_size_in: size(data)?,
        data_in: pointer(data),
        ctx_size_in: size(ctx)?,
        ctx_in: pointer(ctx),
        repeat: u32::from(!data.is_empty()),
        ..TestRun::default()
    };
    bpf(PROG_TEST_RUN, &mut attr)?;
    Ok(attr.result)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor that is borrowed is open, and an open one is not negative.
    fd.as_raw_fd().cast_unsigned()
}

fn bpf<A>(command: libc::c_int, attr: &mut A) -> io::Result<libc::c_int> {
    // SAFETY: `attr` is the structure of this command, its pointers outlive the call, and the
    // kernel is told its size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<A>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(libc::c_int::try_from(result).unwrap_or(0))
    }
}

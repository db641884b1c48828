//! The `bpf(2)` commands of these figures: load instructions, link a program, run it many times.
#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::assembler::Instruction;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const PROG_TEST_RUN: libc::c_int = 10;
const LINK_CREATE: libc::c_int = 28;

const PROGRAM_ARRAY: u32 = 3;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`.
const LIVE_FRAMES: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`.
const NATIVE: u32 = 1 << 2;

/// Where a program is to sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Xdp,
    Tcx,
}

impl Hook {
    const fn program_type(self) -> u32 {
        match self {
            Self::Xdp => 6,
            Self::Tcx => 3,
        }
    }

    const fn attach_type(self) -> u32 {
        match self {
            Self::Xdp => 37,
            Self::Tcx => 46,
        }
    }

    const fn flags(self) -> u32 {
        match self {
            Self::Xdp => NATIVE,
            Self::Tcx => 0,
        }
    }
}

/// The head of the kernel's `union bpf_attr` for each command.
#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapUpdate {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    /// Programs that jump to each other agree on it.
    attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    target: u32,
    kind: u32,
    flags: u32,
    more: [u64; 4],
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

/// `struct xdp_md`.
#[repr(C)]
#[derive(Default)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: `attributes` is the head of the command's attributes, its pointers are alive at the
    // caller, and the kernel takes absent fields as zero.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        i32::try_from(result).map_err(io::Error::other)
    }
}

fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel just made it for this caller alone.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().unsigned_abs()
}

/// What the verifier said goes into the error.
pub(crate) fn load(hook: Hook, code: &[Instruction]) -> io::Result<OwnedFd> {
    let mut log = vec![0u8; 1 << 16];
    let mut attributes = Load {
        kind: hook.program_type(),
        count: u32::try_from(code.len()).map_err(io::Error::other)?,
        instructions: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: 1 << 16,
        log: log.as_mut_ptr() as u64,
        attach_type: match hook {
            Hook::Xdp => hook.attach_type(),
            Hook::Tcx => 0,
        },
        ..Load::default()
    };
    bpf(PROG_LOAD, &mut attributes).map(owned).map_err(|cause| {
        let text = String::from_utf8_lossy(&log);
        let text = text.trim_end_matches('\0');
        io::Error::other(format!("load a yardstick: {cause}\n{text}"))
    })
}

/// A table of one program that others can jump to.
pub(crate) fn jump_table(target: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attributes = MapCreate {
        kind: PROGRAM_ARRAY,
        key: 4,
        value: 4,
        entries: 1,
        flags: 0,
    };
    let table = owned(bpf(MAP_CREATE, &mut attributes)?);
    let (key, value) = (0u32, number(target));
    let mut attributes = MapUpdate {
        map: table.as_raw_fd().unsigned_abs(),
        key: &raw const key as u64,
        value: &raw const value as u64,
        ..MapUpdate::default()
    };
    bpf(MAP_UPDATE, &mut attributes)?;
    Ok(table)
}

/// Attached until it is dropped.
pub(crate) fn link(hook: Hook, program: BorrowedFd<'_>, ifindex: u32) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        program: number(program),
        target: ifindex,
        kind: hook.attach_type(),
        flags: hook.flags(),
        ..LinkCreate::default()
    };
    bpf(LINK_CREATE, &mut attributes).map(owned)
}

/// Nanoseconds of one run over a frame, as the kernel measured them.
pub(crate) fn run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<u32> {
    let mut attributes = TestRun {
        program: number(program),
        data_size_in: u32::try_from(frame.len()).map_err(io::Error::other)?,
        data_in: frame.as_ptr() as u64,
        repeat,
        ..TestRun::default()
    };
    bpf(PROG_TEST_RUN, &mut attributes)?;
    Ok(attributes.duration)
}

/// Sends `count` copies of a frame into what the program answers, as if they came in on
/// `ifindex`. Nanoseconds a frame, without the time in which the kernel let others run.
pub(crate) fn flood(
    program: BorrowedFd<'_>,
    frame: &[u8],
    count: u32,
    ifindex: u32,
) -> io::Result<u32> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let context = XdpContext {
        data_end: length,
        ingress_ifindex: ifindex,
        ..XdpContext::default()
    };
    let mut attributes = TestRun {
        program: number(program),
        data_size_in: length,
        data_in: frame.as_ptr() as u64,
        repeat: count,
        ctx_size_in: u32::try_from(size_of::<XdpContext>()).map_err(io::Error::other)?,
        ctx_in: &raw const context as u64,
        flags: LIVE_FRAMES,
        batch: 64,
        ..TestRun::default()
    };
    bpf(PROG_TEST_RUN, &mut attributes)?;
    Ok(attributes.duration)
}

/// A socket that sends whole frames out of one device.
pub(crate) struct Emitter(OwnedFd);

impl Emitter {
    pub(crate) fn new(ifindex: u32) -> io::Result<Self> {
        // SAFETY: no pointers are passed; the descriptor is checked before it is owned.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = owned(socket);
        // SAFETY: all zeroes is a valid address of this kind.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_ifindex = ifindex.cast_signed();
        // SAFETY: the address lives through the call and its size is its own.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?,
            )
        };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame lives through the call and its length is its own.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

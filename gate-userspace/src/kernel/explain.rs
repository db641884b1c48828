//! Asks the loaded programs themselves what they would do with a packet.
//!
//! Test runs stand on `lo`, where gate is never attached, so the programs count them in a lane of
//! their own, sample no event, draw from no budget and accuse nobody. The reason is the one counter
//! of that lane that moved.

use std::net::IpAddr;
use std::os::fd::AsFd;

use aya::Ebpf;
use gate_common::entry::Entry;
use gate_common::event::Lane;
use gate_common::name;
use gate_common::packet::{Family, Slice, ipv4, ipv6, link};
use gate_common::reason::Reason;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::fault::KernelError;
use super::sys;
use super::table::Tables;

/// A question about one packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A connection attempt.
    Connect {
        from: IpAddr,
        /// `None`: where the address lives, if that is one sandbox's link.
        interface: Option<String>,
        /// `None`: the first address of this host of the same family.
        to: Option<IpAddr>,
        port: u16,
    },
    /// An Ethernet frame as it came.
    Frame {
        bytes: Vec<u8>,
        /// `None`: where its source lives, if that is one sandbox's link.
        interface: Option<String>,
    },
}

/// What each program would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    pub verdicts: Vec<Verdict>,
    pub entry: Option<MatchedEntry>,
    /// How the named interface is guarded.
    pub interface: Option<super::status::InterfaceStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub program: String,
    pub passes: bool,
    pub reason: String,
    pub sentence: String,
}

/// The innermost entry that holds the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedEntry {
    pub net: IpNet,
    pub client: u32,
    pub bound: bool,
}

/// Size of `struct bpf_sk_lookup`; everything past its local port must be zero in a test run.
const LOOKUP_SIZE: usize = 72;
/// Size of `struct __sk_buff`.
const SKB_SIZE: usize = 192;
/// Size of `struct xdp_md`; a test run takes one since Linux 5.14.
const MD_SIZE: usize = 24;
/// `__sk_buff::ingress_ifindex`.
const SKB_INGRESS_AT: usize = 36;

pub(super) fn frame(
    object: &Ebpf,
    tables: &Tables,
    bytes: &[u8],
    ifindex: Option<u32>,
) -> Result<Vec<Verdict>, KernelError> {
    if bytes.len() < 14 {
        return Err(KernelError::Frame("shorter than an Ethernet header"));
    }
    let mut ctx = [0; SKB_SIZE];
    let mut verdicts = vec![match ifindex {
        None => run(object, tables, name::XDP, bytes, &[])?,
        Some(ifindex) => {
            ctx[SKB_INGRESS_AT..SKB_INGRESS_AT + 4].copy_from_slice(&ifindex.to_ne_bytes());
            let claimed = [&ifindex.to_ne_bytes(), bytes].concat();
            run(object, tables, name::XDP, &claimed, &metadata(&claimed)?)?
        }
    }];
    match run(object, tables, name::TC, bytes, &ctx) {
        Ok(verdict) => verdicts.push(verdict),
        // The kernel makes no packet of a frame that ends within its IP header, so tc never sees one.
        Err(KernelError::TestRun(cause)) if cause.raw_os_error() == Some(libc::EINVAL) => {}
        Err(fault) => return Err(fault),
    }
    Ok(verdicts)
}

/// `struct xdp_md` of a frame with metadata before it: where it begins, and where it ends.
fn metadata(bytes: &[u8]) -> Result<[u8; MD_SIZE], KernelError> {
    let end = u32::try_from(bytes.len()).map_err(|_large| KernelError::Frame("too long"))?;
    let mut ctx = [0; MD_SIZE];
    ctx[..4].copy_from_slice(&4u32.to_ne_bytes());
    ctx[4..8].copy_from_slice(&end.to_ne_bytes());
    Ok(ctx)
}

pub(super) fn lookup(
    object: &Ebpf,
    tables: &Tables,
    from: IpAddr,
    to: IpAddr,
    port: u16,
) -> Result<Verdict, KernelError> {
    let mut ctx = [0; LOOKUP_SIZE];
    let mut put = |at: usize, bytes: &[u8]| ctx[at..at + bytes.len()].copy_from_slice(bytes);
    let family = if from.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    put(8, &family.to_ne_bytes());
    put(12, &libc::IPPROTO_TCP.to_ne_bytes());
    match from {
        IpAddr::V4(address) => put(16, &address.octets()),
        IpAddr::V6(address) => put(20, &address.octets()),
    }
    put(36, &40000u16.to_be_bytes());
    match to {
        IpAddr::V4(address) => put(40, &address.octets()),
        IpAddr::V6(address) => put(44, &address.octets()),
    }
    put(60, &u32::from(port).to_ne_bytes());
    run(object, tables, name::LOOKUP, &[], &ctx)
}

fn run(
    object: &Ebpf,
    tables: &Tables,
    program: &'static str,
    data: &[u8],
    ctx: &[u8],
) -> Result<Verdict, KernelError> {
    let loaded = object
        .program(program)
        .ok_or(KernelError::Absent(program))?;
    let fd = loaded.fd().map_err(|cause| KernelError::Program {
        program,
        cause: Box::new(cause),
    })?;
    let before = probes(tables)?;
    let result = sys::test_run(fd.as_fd(), data, ctx).map_err(KernelError::TestRun)?;
    let after = probes(tables)?;
    let moved = Reason::ALL
        .into_iter()
        .zip(before.iter().zip(&after))
        .find(|(_, (b, a))| b != a);
    let Some((reason, _)) = moved else {
        return Err(KernelError::Frame("the program counted nothing"));
    };
    let passes = match program {
        name::XDP => result == 2,
        name::TC => result == u32::MAX,
        _ => result == 1,
    };
    Ok(Verdict {
        program: program.to_owned(),
        passes,
        reason: reason.name().to_owned(),
        sentence: reason.sentence().to_owned(),
    })
}

fn probes(tables: &Tables) -> Result<Vec<u64>, KernelError> {
    Reason::ALL
        .iter()
        .map(|reason| tables.stat(Lane::Probe.slot(*reason as u32)))
        .collect()
}

/// Who sent a frame, where it is TCP at all.
pub(super) fn source(bytes: &[u8]) -> Option<IpAddr> {
    let reader = Slice(bytes);
    match link(&reader).ok()? {
        (Family::V4, at) => Some(IpAddr::V4(ipv4(&reader, at).ok()?.source.into())),
        (Family::V6, at) => Some(IpAddr::V6(ipv6(&reader, at).ok()?.source.into())),
    }
}

/// The innermost entry that holds an address.
pub(super) fn entry(tables: &Tables, from: IpAddr) -> Result<Option<MatchedEntry>, KernelError> {
    let mut net = IpNet::from(from);
    loop {
        if let Some(entry) = tables.read(net)? {
            return Ok(Some(matched(net, entry)));
        }
        match net.supernet() {
            Some(wider) => net = wider,
            None => return Ok(None),
        }
    }
}

fn matched(net: IpNet, entry: Entry) -> MatchedEntry {
    let found = IpNet::new(
        net.addr(),
        u8::try_from(entry.prefix()).unwrap_or(net.prefix_len()),
    );
    MatchedEntry {
        net: found.unwrap_or(net),
        client: entry.tag,
        bound: entry.group() != 0,
    }
}

/// A TCP SYN, as short as one can be.
pub(super) fn syn(from: IpAddr, to: IpAddr, port: u16) -> Result<Vec<u8>, KernelError> {
    let mut tcp = Vec::with_capacity(20);
    tcp.extend(40000u16.to_be_bytes());
    tcp.extend(port.to_be_bytes());
    tcp.extend([0; 8]);
    tcp.extend([0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        _ => {
            return Err(KernelError::Frame(
                "source and destination are of different families",
            ));
        }
    }
    frame.extend(tcp);
    Ok(frame)
}

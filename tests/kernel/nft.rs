//! Two nftables rules, spoken to the kernel directly: REDIRECT and TPROXY of one port to another.
//!
//! By hand, because the `nft` tool is not on every machine that runs these tests.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};

const TABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = TABLES << 8;
const NEW_CHAIN: u16 = TABLES << 8 | 3;
const NEW_RULE: u16 = TABLES << 8 | 6;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const IPV4: u8 = 2;
const NESTED: u16 = 0x8000;
const REGISTER: u32 = 1;
const NAME: &[u8] = b"gate_test\0";

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let name = format!("{name}\0");
    nest(1, &[attribute(1, name.as_bytes()), nest(2, parts)])
}

fn data(kind: u16, value: &[u8]) -> Vec<u8> {
    nest(kind, &[attribute(1, value)])
}

fn compare(value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, REGISTER), number(2, 0), data(3, value)])
}

fn load(value: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(1, REGISTER), data(2, value)])
}

/// TCP to this port.
fn matches(port: u16) -> Vec<Vec<u8>> {
    let protocol = expression("meta", &[number(1, REGISTER), number(2, 16)]);
    let destination = expression(
        "payload",
        &[
            number(1, REGISTER),
            number(2, 2),
            number(3, 2),
            number(4, 2),
        ],
    );
    vec![
        protocol,
        compare(&[6]),
        destination,
        compare(&port.to_be_bytes()),
    ]
}

/// Packets to `from` go to `to` on this host.
pub(crate) fn redirect(from: u16, to: u16) {
    let mut rule = matches(from);
    rule.push(load(&to.to_be_bytes()));
    rule.push(expression("redir", &[number(1, REGISTER)]));
    install("nat", -100, &rule);
}

/// Packets to `from` are handed to a transparent listener on `to`, and marked 1.
pub(crate) fn tproxy(from: u16, to: u16) {
    let mut rule = matches(from);
    rule.push(load(&to.to_be_bytes()));
    rule.push(expression(
        "tproxy",
        &[number(1, u32::from(IPV4)), number(3, REGISTER)],
    ));
    rule.push(load(&1u32.to_ne_bytes()));
    rule.push(expression("meta", &[number(2, 3), number(3, REGISTER)]));
    install("filter", -150, &rule);
}

fn install(kind: &str, priority: i32, rule: &[Vec<u8>]) {
    let kind = format!("{kind}\0");
    let hook = nest(4, &[number(1, 0), number(2, priority.cast_unsigned())]);
    let chain = [
        attribute(1, NAME),
        attribute(3, NAME),
        hook,
        attribute(7, kind.as_bytes()),
    ];
    let rule = [attribute(1, NAME), attribute(2, NAME), nest(4, rule)];
    let batch = [
        message(BATCH_BEGIN, REQUEST, 0, TABLES, &[]),
        message(
            NEW_TABLE,
            REQUEST | CREATE | ACK,
            IPV4,
            0,
            &attribute(1, NAME),
        ),
        message(NEW_CHAIN, REQUEST | CREATE | ACK, IPV4, 0, &chain.concat()),
        message(
            NEW_RULE,
            REQUEST | CREATE | APPEND | ACK,
            IPV4,
            0,
            &rule.concat(),
        ),
        message(BATCH_END, REQUEST, 0, TABLES, &[]),
    ];
    send(&batch.concat(), 3);
}

fn message(kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from(u32::try_from(20 + body.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(u32::from(kind).to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn send(batch: &[u8], answers: usize) {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::empty(),
        SockProtocol::NetlinkNetFilter,
    )
    .unwrap();
    let fd = netlink.as_raw_fd();
    bind(fd, &NetlinkAddr::new(0, 0)).unwrap();
    sendto(fd, batch, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
    let mut seen = 0;
    while seen < answers {
        let mut buffer = [0; 8192];
        let length = recv(fd, &mut buffer, MsgFlags::empty()).unwrap();
        let mut rest = &buffer[..length];
        while rest.len() >= 20 {
            let size = u32::from_ne_bytes(*rest.first_chunk::<4>().unwrap()) as usize;
            let code = i32::from_ne_bytes(rest[16..20].try_into().unwrap());
            let of = u32::from_ne_bytes(rest[8..12].try_into().unwrap());
            assert_eq!(code, 0, "message {of:#x}");
            seen += 1;
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

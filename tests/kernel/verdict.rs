//! Verdicts of the loaded programs, by test run: the deny cases first, each with its counter.

use gate_userspace::kernel::{Probe, Verdict};

use crate::frame::{ACK, SYN, V4, ethernet, syn, tcp, v6};
use crate::lab::{GATE, GUARDED, OTHER, key, lab, open, wait};

/// Name, frame, reason.
type Row = (&'static str, Vec<u8>, &'static str);

const HERE: &str = "10.0.1.1";
const HERE6: &str = "fd00:1::1";
const STRANGER: &str = "10.9.9.9";
const LISTED: &str = "10.0.1.2";
const LISTED6: &str = "fd00:1::2";

fn v4(from: &str, options: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let (from, to) = (from.parse().unwrap(), HERE.parse().unwrap());
    ethernet(
        &[0x0800],
        &V4 {
            from,
            to,
            options,
            fragment,
            protocol: 6,
        }
        .header(rest),
    )
}

/// As the stack itself puts together more than 64 kB: no total length.
fn big(from: &str, port: u16) -> Vec<u8> {
    let mut frame = v4(from, 0, 0, &tcp(port, ACK));
    frame[16..18].fill(0);
    frame
}

fn six(from: &str, kind: u8, count: usize, rest: &[u8]) -> Vec<u8> {
    ethernet(
        &[0x86dd],
        &v6(
            from.parse().unwrap(),
            HERE6.parse().unwrap(),
            kind,
            count,
            6,
            rest,
        ),
    )
}

fn tagged(tags: &[u16], from: &str, port: u16) -> Vec<u8> {
    let (from, to) = (from.parse().unwrap(), HERE.parse().unwrap());
    let mut kinds = tags.to_vec();
    kinds.push(0x0800);
    let v4 = V4 {
        from,
        to,
        options: 0,
        fragment: 0,
        protocol: 6,
    };
    ethernet(&kinds, &v4.header(&tcp(port, SYN)))
}

#[expect(clippy::too_many_lines, reason = "a table, one row a case")]
fn denied() -> Vec<Row> {
    let gate = tcp(GATE, SYN);
    let mut short_ihl = v4(STRANGER, 0, 0, &gate);
    short_ihl[14] = 0x44;
    let mut short_doff = v4(LISTED, 0, 0, &gate);
    short_doff[46] = 0x40;
    vec![
        ("stranger", syn(STRANGER, HERE, GATE), "stranger"),
        (
            "stranger, established",
            v4(STRANGER, 0, 0, &tcp(GATE, ACK)),
            "stranger",
        ),
        ("stranger v6", syn("fd00:9::9", HERE6, GATE), "stranger"),
        ("stranger, over 64 kB", big(STRANGER, GATE), "stranger"),
        (
            "guarded port, stranger",
            syn(STRANGER, HERE, GUARDED),
            "guarded",
        ),
        (
            "guarded port, listed",
            syn(LISTED, HERE, GUARDED),
            "guarded",
        ),
        ("one tag", tagged(&[0x8100], STRANGER, GATE), "stranger"),
        (
            "service tag and tag",
            tagged(&[0x88a8, 0x8100], STRANGER, GATE),
            "stranger",
        ),
        (
            "eight tags",
            tagged(&[0x8100; 8], STRANGER, GATE),
            "stranger",
        ),
        (
            "nine tags",
            tagged(&[0x8100; 9], LISTED, GATE),
            "vlan_depth",
        ),
        ("options", v4(STRANGER, 10, 0, &gate), "stranger"),
        (
            "first fragment",
            v4(STRANGER, 0, 0x2000, &gate[..8]),
            "fragment",
        ),
        (
            "later fragment",
            v4(STRANGER, 0, 0x0001, &gate[..16]),
            "fragment",
        ),
        (
            "fragment to any port",
            v4(STRANGER, 0, 0x2000, &tcp(OTHER, SYN)),
            "fragment",
        ),
        ("header length below five", short_ihl, "malformed"),
        ("data offset below five", short_doff, "malformed"),
        (
            "cut in the TCP header",
            syn(STRANGER, HERE, GATE)[..48].to_vec(),
            "truncated",
        ),
        (
            "cut in the IP header",
            syn(STRANGER, HERE, GATE)[..30].to_vec(),
            "truncated",
        ),
        ("hop-by-hop", six("fd00:9::9", 0, 1, &gate), "stranger"),
        (
            "seven destination options",
            six("fd00:9::9", 60, 7, &gate),
            "stranger",
        ),
        (
            "sixteen destination options",
            six("fd00:9::9", 60, 16, &gate),
            "stranger",
        ),
        (
            "a hundred destination options",
            six("fd00:9::9", 60, 100, &gate),
            "extension_depth",
        ),
        (
            "atomic fragment",
            six("fd00:9::9", 44, 1, &gate),
            "stranger",
        ),
        ("loopback source", syn("127.0.0.1", HERE, GATE), "spoofed"),
        ("loopback source v6", syn("::1", HERE6, GATE), "spoofed"),
        (
            "mapped loopback source",
            syn("::ffff:127.0.0.1", HERE6, GATE),
            "spoofed",
        ),
        ("own source", syn(HERE, HERE, GATE), "spoofed"),
        (
            "own source, other link",
            syn("10.0.2.1", HERE, GATE),
            "spoofed",
        ),
        ("own source v6", syn("fd00:2::1", HERE6, GATE), "spoofed"),
        (
            "loopback destination",
            syn(STRANGER, "127.0.0.1", GATE),
            "stranger",
        ),
    ]
}

fn passed() -> Vec<Row> {
    let gate = tcp(GATE, SYN);
    let udp = |to: &str| {
        let (from, to) = (STRANGER.parse().unwrap(), to.parse().unwrap());
        let v4 = V4 {
            from,
            to,
            options: 0,
            fragment: 0x2000,
            protocol: 17,
        };
        ethernet(&[0x0800], &v4.header(&gate))
    };
    let icmp6 = ethernet(
        &[0x86dd],
        &v6(
            LISTED6.parse().unwrap(),
            HERE6.parse().unwrap(),
            0,
            1,
            58,
            &[135, 0, 0, 0],
        ),
    );
    vec![
        ("listed", syn(LISTED, HERE, GATE), "allowed"),
        ("listed v6", syn(LISTED6, HERE6, GATE), "allowed"),
        (
            "inside a listed network",
            syn("10.7.3.4", HERE, GATE),
            "allowed_net",
        ),
        (
            "listed behind eight tags",
            tagged(&[0x8100; 8], LISTED, GATE),
            "allowed",
        ),
        (
            "fragment of a listed source",
            v4(LISTED, 0, 0x0001, &gate[..16]),
            "allowed",
        ),
        (
            "extensions of a listed source",
            six(LISTED6, 60, 16, &gate),
            "allowed",
        ),
        ("listed, over 64 kB", big(LISTED, GATE), "allowed"),
        ("other port", syn(STRANGER, HERE, OTHER), "other_port"),
        ("other port, over 64 kB", big(STRANGER, OTHER), "other_port"),
        ("other host", syn(STRANGER, "10.0.1.77", GATE), "not_here"),
        ("arp", ethernet(&[0x0806], &[0; 46]), "not_ip"),
        ("udp fragment", udp(HERE), "not_tcp"),
        ("neighbour discovery behind hop-by-hop", icmp6, "not_tcp"),
    ]
}

fn judged(verdict: &Verdict) -> (&str, bool) {
    (verdict.reason.as_str(), verdict.passes)
}

fn check(rows: Vec<Row>, passes: bool) {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let ops = [LISTED, LISTED6, "10.7.0.0/16"].map(gate_op);
    wait(agent.apply(gate_userspace::kernel::Batch {
        revision: 1,
        ops: ops.into(),
    }))
    .unwrap();
    let before = wait(agent.status()).unwrap();
    for (name, bytes, reason) in rows {
        let probe = Probe::Frame {
            bytes,
            interface: None,
        };
        let verdicts = wait(agent.explain(probe)).unwrap().verdicts;
        for verdict in &verdicts {
            assert_eq!(judged(verdict), (reason, passes), "{name}: {verdict:?}");
        }
        let programs = if name == "cut in the IP header" { 1 } else { 2 };
        assert_eq!(verdicts.len(), programs, "{name}");
    }
    // Test runs never count as traffic.
    assert_eq!(
        wait(agent.status()).unwrap().counters["stranger"],
        before.counters["stranger"]
    );
}

fn gate_op(net: &str) -> gate_userspace::kernel::Op {
    gate_userspace::kernel::Op::Open(key(net), open(7))
}

/// Acceptance 14, 15, 19, 21, 22.
#[test]
fn what_a_stranger_may_not_send_is_dropped_by_both_programs() {
    check(denied(), false);
}

/// Acceptance 16, 20.
#[test]
fn what_is_listed_or_no_business_of_gate_passes_both_programs() {
    check(passed(), true);
}

//! What the programs cost: instructions the verifier walks, time to load, nanoseconds a packet.
//!
//! Only the first has a bound, because it does not depend on the machine's mood.

use std::time::Instant;

use aya::EbpfLoader;
use aya::programs::{SchedClassifier, SkLookup, Xdp};
use gate_common::entry::NETS4;
use gate_common::name;
use gate_userspace::kernel::{Batch, Flow, Op, object};

use crate::frame::{ethernet, syn, tcp, v6};
use crate::lab::{key, lab, open, root};
use crate::world::{GATE_PORT, HERE6, Kernel, LISTED6};

/// The verifier's own limit is a million.
const INSTRUCTIONS_MAX: u32 = 150_000;

#[test]
fn the_verifier_walks_a_bounded_number_of_instructions() {
    if !root() {
        return;
    }
    let mut object = EbpfLoader::new().load(object::bytes()).unwrap();
    for program in [name::XDP, name::TC, name::LOOKUP] {
        let started = Instant::now();
        let loaded = object.program_mut(program).unwrap();
        if program == name::XDP {
            <&mut Xdp>::try_from(loaded).unwrap().load().unwrap();
        } else if program == name::TC {
            <&mut SchedClassifier>::try_from(loaded)
                .unwrap()
                .load()
                .unwrap();
        } else {
            <&mut SkLookup>::try_from(loaded).unwrap().load().unwrap();
        }
        let took = started.elapsed();
        let info = object.program(program).unwrap().info().unwrap();
        let walked = info.verified_instruction_count().unwrap();
        println!("{program}: {walked} instructions verified, loaded in {took:?}");
        assert!(walked <= INSTRUCTIONS_MAX, "{program}: {walked}");
    }
}

#[test]
fn a_change_has_a_price_and_it_is_printed() {
    let Some(lab) = lab() else { return };
    let started = Instant::now();
    let agent = lab.start();
    println!("start {:?}", started.elapsed());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut times: Vec<_> = (0..200u64)
        .map(|revision| {
            let key = key("10.0.1.2");
            let op = if revision % 2 == 0 {
                Op::Open(key, open(7))
            } else {
                Op::Shut(key)
            };
            let started = Instant::now();
            runtime
                .block_on(agent.apply(Batch {
                    revision,
                    ops: vec![op],
                }))
                .unwrap();
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "one change: median {:?}, slowest {:?}",
        times[100], times[199]
    );
    let started = Instant::now();
    runtime
        .block_on(agent.destroy(vec![Flow {
            remote: key("10.0.1.2").net,
            local_ports: vec![1],
        }]))
        .unwrap();
    println!("scan of sockets, twice: {:?}", started.elapsed());
    let started = Instant::now();
    runtime.block_on(agent.verify()).unwrap();
    println!("verify: {:?}", started.elapsed());
}

#[test]
fn every_path_has_a_price_and_it_is_printed() {
    if !root() {
        return;
    }
    let mut kernel = Kernel::load();
    let long = |from: &str| {
        let (from, to) = (from.parse().unwrap(), HERE6.parse().unwrap());
        ethernet(&[0x86dd], &v6(from, to, 60, 16, 6, &tcp(GATE_PORT, 0x10)))
    };
    let established = |mut frame: Vec<u8>| {
        let flags = frame.len() - 7;
        frame[flags] = 0x10;
        frame
    };
    let stranger = syn("9.9.9.9", "10.9.0.1", GATE_PORT);
    kernel.config(|config| config.flags = 0);
    let bare = kernel.nanoseconds(name::XDP, &ethernet(&[0x0806], &[0; 46]));
    let deny = kernel.nanoseconds(name::XDP, &stranger);
    println!("no network listed: not IP {bare} ns, deny stranger {deny} ns (xdp)");
    kernel.config(|config| config.flags = NETS4);
    for (path, frame) in [
        ("other port", syn("9.9.9.9", "10.9.0.1", 22)),
        ("deny stranger", stranger),
        (
            "allow exact",
            established(syn("10.0.0.5", "10.9.0.1", GATE_PORT)),
        ),
        (
            "allow network",
            established(syn("10.7.3.4", "10.9.0.1", GATE_PORT)),
        ),
        ("v6 deny", syn("fd00:9::9", HERE6, GATE_PORT)),
        ("v6 allow", established(syn(LISTED6, HERE6, GATE_PORT))),
        ("v6 allow behind 16 headers", long(LISTED6)),
    ] {
        let xdp = kernel.nanoseconds(name::XDP, &frame);
        let tc = kernel.nanoseconds(name::TC, &frame);
        println!("{path:28} xdp {xdp:4} ns  tc {tc:4} ns");
        assert!(xdp > 0 && tc > 0, "{path}");
    }
}

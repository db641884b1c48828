//! What the programs cost: instructions the verifier walks, time to load, nanoseconds a packet.
//!
//! Only the first has a bound, because it does not depend on the machine's mood.

use std::time::Instant;

use aya::EbpfLoader;
use aya::programs::{SchedClassifier, SkLookup, Xdp};
use gate_common::entry::NETS4;
use gate_common::name;
use gate_userspace::kernel::object;

use crate::frame::{ethernet, syn, tcp, v6};
use crate::lab::root;
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

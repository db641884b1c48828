//! How much fits, and what happens when no more does.

use std::net::{IpAddr, Ipv4Addr};

use gate_common::layout::{CIDR_MAX, EXACT4_MAX};
use gate_userspace::kernel::{Batch, KernelError, Op, Probe, SourceKey, Want};
use ipnet::IpNet;

use crate::lab::{GATE, lab, open, wait};

fn host(number: usize) -> SourceKey {
    let address = Ipv4Addr::from(0x0b00_0000 + u32::try_from(number).unwrap());
    SourceKey {
        net: IpAddr::V4(address).into(),
        interface: None,
    }
}

fn network(number: usize) -> SourceKey {
    let address = Ipv4Addr::from(0x4000_0000 + (u32::try_from(number).unwrap() << 8));
    SourceKey {
        net: IpNet::new(address.into(), 24).unwrap(),
        interface: None,
    }
}

fn reason(agent: &gate_userspace::kernel::Agent, from: IpAddr) -> String {
    let to = Some("10.0.1.1".parse().unwrap());
    let probe = Probe::Connect {
        from,
        interface: None,
        to,
        port: GATE,
    };
    wait(agent.explain(probe)).unwrap().verdicts[0]
        .reason
        .clone()
}

/// Acceptance 161.
#[test]
fn a_million_addresses_and_a_hundred_thousand_networks_load_and_a_full_table_says_so() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let addresses = (0..1_000_000).map(|number| (host(number), open(7)));
    let networks = (0..100_000).map(|number| (network(number), open(7)));
    let want = Want {
        revision: 1,
        openings: addresses.chain(networks).collect(),
    };
    wait(agent.sync(want)).unwrap();
    assert_eq!(reason(&agent, "11.15.66.63".parse().unwrap()), "allowed");
    assert_eq!(reason(&agent, "64.1.2.3".parse().unwrap()), "allowed_net");
    assert_eq!(reason(&agent, "9.9.9.9".parse().unwrap()), "stranger");
    let status = wait(agent.status()).unwrap();
    assert_eq!(status.tables[0].entries, 1_000_000 + 2);
    assert_eq!(status.tables[2].entries, 100_000);

    let more = EXACT4_MAX - 1_000_000 + 1;
    let ops = (1_000_000..1_000_000 + more)
        .map(|number| Op::Open(host(number), open(8)))
        .collect();
    let full = wait(agent.apply(Batch { revision: 2, ops }));
    assert!(
        matches!(
            full,
            Err(KernelError::Full {
                table: "GATE_EXACT4",
                ..
            })
        ),
        "{full:?}"
    );
    assert_eq!(reason(&agent, "11.15.66.64".parse().unwrap()), "allowed");
    let last = match host(1_000_000 + more - 1).net {
        IpNet::V4(net) => IpAddr::V4(net.addr()),
        IpNet::V6(_) => panic!(),
    };
    assert_eq!(reason(&agent, last), "stranger");

    let ops = (100_000..=CIDR_MAX)
        .map(|number| Op::Open(network(number), open(8)))
        .collect();
    let full = wait(agent.apply(Batch { revision: 3, ops }));
    assert!(
        matches!(
            full,
            Err(KernelError::Full {
                table: "GATE_CIDR4",
                ..
            })
        ),
        "{full:?}"
    );

    wait(agent.sync(Want {
        revision: 4,
        ..Want::default()
    }))
    .unwrap();
    let status = wait(agent.status()).unwrap();
    assert_eq!(status.tables[0].entries, 2);
    assert_eq!(status.tables[2].entries, 0);
    assert_eq!(reason(&agent, "11.15.66.63".parse().unwrap()), "stranger");
}

/// What goes in few calls is what one by one would leave, and a start that finds it writes nothing.
#[test]
fn many_at_once_are_as_one_by_one_and_are_found_by_the_next_start() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let six = (1..=50).map(|number: u16| SourceKey {
        net: IpAddr::from([0xfd00, 7, 0, 0, 0, 0, 0, number]).into(),
        interface: None,
    });
    let bound = SourceKey {
        interface: Some("veth1".to_owned()),
        ..host(70_000)
    };
    let keys: Vec<SourceKey> = (0..9000)
        .map(host)
        .chain(six)
        .chain((0..20).map(network))
        .chain([bound])
        .collect();
    let opens = keys.iter().map(|key| Op::Open(key.clone(), open(7)));
    let batch = |revision, ops| Batch { revision, ops };
    let applied = wait(agent.apply(batch(1, opens.collect()))).unwrap();
    assert_eq!(applied.written, keys.len());
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
    assert_eq!(reason(&agent, "11.0.35.39".parse().unwrap()), "allowed");
    wait(agent.stop()).unwrap();

    let agent = lab.start();
    let want = Want {
        revision: 2,
        openings: keys.iter().map(|key| (key.clone(), open(7))).collect(),
    };
    let applied = wait(agent.sync(want)).unwrap();
    // The bound one has another number now.
    assert_eq!((applied.removed, applied.written), (0, 1));
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);

    let shuts = keys.iter().map(|key| Op::Shut(key.clone()));
    let applied = wait(agent.apply(batch(3, shuts.collect()))).unwrap();
    assert_eq!(applied.removed, keys.len());
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
    assert_eq!(reason(&agent, "11.0.35.39".parse().unwrap()), "stranger");
    assert_eq!(wait(agent.status()).unwrap().tables[0].entries, 2);
}

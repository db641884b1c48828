//! The packet ring's families: where it stands, what it decided, how full its tables are.
//!
//! What the kernel counts is left out while nobody can read it: a counter that falls to 0 would be
//! taken for a restart.

use crate::admin::{
    exposition::Exposition,
    inspect::{PacketCounts, PacketFacts, Verdict},
};

pub(super) fn put(out: &mut Exposition, facts: &PacketFacts) {
    let ring = &facts.ring;
    let uncovered = ring.interfaces.iter().filter(|one| !one.covered).count();
    let help = "Interfaces beside `lo` on which no hook stands.";
    out.gauge("gate_uncovered_interfaces", help)
        .sample(&[], uncovered);
    let help = "1 when a program guards it.";
    let mut family = out.gauge("gate_packet_interface_covered", help);
    for one in &ring.interfaces {
        let labels = [
            ("interface", one.name.as_str()),
            ("hook", &one.hook),
            ("mode", &one.mode),
        ];
        family.sample(&labels, u8::from(one.covered));
    }
    out.gauge("gate_packet_entries", "Sources in the packet ring.")
        .sample(&[], ring.entries);
    out.gauge(
        "gate_packet_capacity",
        "Sources that fit in the packet ring.",
    )
    .sample(&[], ring.capacity);
    out.gauge("gate_packet_drift", "Differences found at the last look.")
        .sample(&[], facts.drift);
    if let Some(counted) = &facts.counted {
        put_counted(out, counted);
    }
}

fn put_counted(out: &mut Exposition, counted: &PacketCounts) {
    let help = "Differences repaired since this daemon started.";
    out.counter("gate_packet_repairs_total", help)
        .sample(&[], counted.repairs);
    let families = [
        (
            "gate_packet_drops_total",
            "Dropped packets by reason and by the program that judged.",
            Verdict::Dropped,
        ),
        (
            "gate_packet_passed_total",
            "Packets that passed.",
            Verdict::Passed,
        ),
        (
            "gate_packet_would_drop_total",
            "Packets that only `audit` let pass.",
            Verdict::WouldDrop,
        ),
    ];
    for (name, help, verdict) in families {
        let mut family = out.counter(name, help);
        let all = counted.verdicts.iter();
        for one in all.filter(|one| one.verdict == verdict) {
            family.sample(&[("reason", one.reason), ("hook", &one.hook)], one.packets);
        }
    }
    let help = "Packets from an address that is bound to another interface, by where they came in.";
    let mut family = out.counter("gate_packet_wrong_interface_total", help);
    for (interface, packets) in &counted.wrong_interface {
        family.sample(&[("interface", interface)], packets);
    }
    let help = "Sampled refusals that no reader took in time.";
    out.counter("gate_packet_events_lost_total", help)
        .sample(&[], counted.events_lost);
    let mut family = out.gauge("gate_packet_table_entries", "Entries in a kernel table.");
    for table in &counted.tables {
        family.sample(&[("table", &table.name)], table.entries);
    }
    let mut family = out.gauge(
        "gate_packet_table_capacity",
        "Entries that fit in a kernel table.",
    );
    for table in &counted.tables {
        family.sample(&[("table", &table.name)], table.room);
    }
}

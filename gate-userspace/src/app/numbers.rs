//! What the rings counted and timed, in the words of `/metrics`. Only translates.

use std::collections::BTreeMap;

use gate_common::reason::Reason;

use crate::{
    admin::{PacketCounts, TableFill, Verdict, VerdictCount, exposition::Exposition},
    fault::Type,
    kernel::Status,
    proxy::{
        counters::{By, Count, Counters, Outcome},
        timing::Timing,
    },
    settings::ProfileName,
};

/// Of the packet ring.
pub(super) fn counted(status: &Status) -> PacketCounts {
    let verdicts = status.judged.iter().filter_map(|judged| {
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| reason.name() == judged.reason)?;
        let verdict = match (judged.is_carried_out, reason.passes()) {
            (true, true) => Verdict::Passed,
            (true, false) => Verdict::Dropped,
            (false, _) => Verdict::WouldDrop,
        };
        // `audit` never lets these pass.
        let is_possible = judged.is_carried_out || reason.relaxed_by_audit();
        is_possible.then(|| VerdictCount {
            hook: judged.hook.clone(),
            reason: reason.name(),
            verdict,
            packets: judged.packets,
        })
    });
    let present: Vec<&str> = status
        .interfaces
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    // A series for each that is there; those that are gone share one without a name.
    let mut wrong_interface: BTreeMap<String, u64> =
        present.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for spoof in &status.spoofs {
        let name = spoof.interface.as_str();
        let name = if present.contains(&name) { name } else { "" };
        *wrong_interface.entry(name.to_owned()).or_default() += spoof.packets;
    }
    let tables = status.tables.iter().map(|table| TableFill {
        name: table.table.clone(),
        entries: table.entries,
        room: table.room,
    });
    PacketCounts {
        verdicts: verdicts.collect(),
        wrong_interface,
        tables: tables.collect(),
        repairs: status.repairs,
        events_lost: status.events_lost,
    }
}

/// Of the other two.
pub(super) fn put(out: &mut Exposition, counters: &Counters) {
    let profiles = || ProfileName::ALL.into_iter().map(Some).chain([None]);
    let word = |profile: Option<ProfileName>| profile.map_or("none", ProfileName::as_str);
    let help = "Calls that have ended, by the profile of their route, who answered and with what.";
    let mut family = out.counter("gate_calls_total", help);
    for profile in profiles() {
        for (by, outcome) in By::ALL
            .iter()
            .flat_map(|by| Outcome::ALL.map(|outcome| (*by, outcome)))
        {
            let labels = [
                ("profile", word(profile)),
                ("by", by.as_str()),
                ("status", outcome.as_str()),
            ];
            family.sample(&labels, counters.calls(profile, by, outcome));
        }
    }
    let help = "Calls and connections refused or failed, by the type that their callers read.";
    let mut family = out.counter("gate_refusals_total", help);
    for profile in profiles() {
        for kind in Type::ALL {
            let labels = [("type", kind.as_str()), ("profile", word(profile))];
            family.sample(&labels, counters.refused(profile, kind));
        }
    }
    let mut family = out.counter("gate_proxy_total", "What the proxy counted.");
    for what in Count::ALL {
        family.sample(&[("what", what.as_str())], counters.count(what));
    }
    let help = "Bytes of answers passed on.";
    out.counter("gate_answer_bytes_total", help)
        .sample(&[], counters.bytes());
    for what in Timing::ALL {
        let (name, help) = match what {
            Timing::Overhead => (
                "gate_overhead_seconds",
                "What the gate adds: from the head of a call to its request being ready for the upstream.",
            ),
            Timing::FirstByte => (
                "gate_first_byte_seconds",
                "From there to the head of the upstream's answer.",
            ),
            Timing::Whole => (
                "gate_call_duration_seconds",
                "Calls that an upstream answered, from their head to the end of their answer.",
            ),
        };
        out.histogram(name, help).tally(&[], &counters.timing(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{InterfaceStatus, Judged, Mode, Spoof, State};

    fn nothing() -> Status {
        Status {
            state: State::Guarding,
            reason: None,
            mode: Mode::Enforce,
            revision: 0,
            interfaces: Vec::new(),
            guards: Vec::new(),
            judged: Vec::new(),
            counters: BTreeMap::new(),
            would_drop: BTreeMap::new(),
            uncovered_refusals: 0,
            events_lost: 0,
            denied: Vec::new(),
            homes: BTreeMap::new(),
            spoofs: Vec::new(),
            tables: Vec::new(),
            drift: 0,
            repairs: 0,
            uncovered: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn judged(hook: &str, reason: Reason, is_carried_out: bool, packets: u64) -> Judged {
        Judged {
            hook: hook.to_owned(),
            reason: reason.name().to_owned(),
            is_carried_out,
            packets,
        }
    }

    fn spoof(interface: &str, victim: u32, packets: u64) -> Spoof {
        Spoof {
            interface: interface.to_owned(),
            victim,
            packets,
        }
    }

    #[test]
    fn verdict_is_what_became_of_the_packet() {
        let status = Status {
            judged: vec![
                judged("tc", Reason::Allowed, true, 1),
                judged("xdp", Reason::Stranger, true, 2),
                judged("xdp", Reason::Stranger, false, 3),
                judged("tc", Reason::Spoofed, false, 0),
            ],
            ..nothing()
        };
        let verdicts = counted(&status).verdicts.into_iter();
        let verdicts: Vec<_> = verdicts
            .map(|one| (one.hook, one.reason, one.verdict, one.packets))
            .collect();
        let xdp = |verdict, packets| ("xdp".to_owned(), "stranger", verdict, packets);
        assert_eq!(
            verdicts,
            [
                ("tc".to_owned(), "allowed", Verdict::Passed, 1),
                xdp(Verdict::Dropped, 2),
                xdp(Verdict::WouldDrop, 3),
            ]
        );
    }

    /// Sandboxes come and go, each with an interface of its own.
    #[test]
    fn interfaces_that_are_gone_share_one_series() {
        let there = InterfaceStatus {
            name: "veth1".to_owned(),
            index: 1,
            hook: None,
            mode: None,
            covered: true,
            reason: String::new(),
        };
        let status = Status {
            interfaces: vec![there],
            spoofs: vec![spoof("#7", 1, 5), spoof("#8", 1, 6), spoof("veth1", 2, 7)],
            ..nothing()
        };
        let wanted = [(String::new(), 11), ("veth1".to_owned(), 7)];
        assert_eq!(counted(&status).wrong_interface, wanted.into());
    }
}

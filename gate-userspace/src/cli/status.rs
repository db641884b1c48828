//! `gatectl status`: how the three rings stand, readable at three in the morning.
//!
//! Words carry the meaning, colour only helps. What is wrong stands last, where the eye ends up.

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    print::{self, Answer, Block, Tone},
    words::because,
};
use crate::admin::wire::{
    DeniedView, InterfaceView, ModeView, PacketRing, RequestRing, RingState, Status, UpstreamView,
};

pub(super) async fn run(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/status")).await?;
    let status: Status = print::read(&json)?;
    let found = findings(&status);
    let exit = if found.is_empty() {
        Exit::Ok
    } else {
        Exit::Finding
    };
    Ok(Answer::new(json, view(&status, &found)).exit(exit))
}

/// What makes the exit status 4.
fn findings(status: &Status) -> Vec<String> {
    let mut found: Vec<String> = status
        .rings
        .packet
        .interfaces
        .iter()
        .filter(|interface| !interface.covered && interface.name != "lo")
        .map(|interface| format!("interface {} is not covered", interface.name))
        .collect();
    // An agent that is gone tells of no interface.
    let packet = &status.rings.packet;
    if found.is_empty() && packet.state != RingState::Up && !packet.guards.is_empty() {
        let why = because(&packet.reason);
        found.push(format!("the packet ring does not guard every port{why}"));
    }
    if status.drift != 0 {
        found.push(format!(
            "the kernel differs from the grants in {} places; `gatectl verify` looks again",
            status.drift
        ));
    }
    found
}

fn view(status: &Status, found: &[String]) -> Vec<Block> {
    let rings = &status.rings;
    let mut view = vec![
        heading(status),
        Block::line(Tone::Plain, ""),
        ring("packet", rings.packet.state, &packet_detail(&rings.packet)),
        ring(
            "connection",
            rings.connection.state,
            &joined([
                &format!(
                    "{} connections on {}",
                    rings.connection.connections,
                    rings.connection.listen.join(", ")
                ),
                &rings.connection.reason,
            ]),
        ),
        ring(
            "request",
            rings.request.state,
            &joined([
                &format!("{} live streams", status.live_streams),
                &rings.request.reason,
            ]),
        ),
    ];
    let sections = [
        interfaces(&rings.packet.interfaces),
        guards(&rings.packet),
        upstreams(&rings.request),
        drops(status),
        denied(&rings.packet),
    ];
    for section in sections.into_iter().flatten() {
        view.push(Block::line(Tone::Plain, ""));
        view.push(section);
    }
    let warnings = status
        .warnings
        .iter()
        .map(|warning| (Tone::Warn, "warning", warning));
    let wrong = found.iter().map(|wrong| (Tone::Bad, "wrong", wrong));
    let last: Vec<Block> = warnings
        .chain(wrong)
        .map(|(tone, word, text)| Block::line(tone, format!("{word}: {text}")))
        .collect();
    if !last.is_empty() {
        view.push(Block::line(Tone::Plain, ""));
        view.extend(last);
    }
    view
}

fn heading(status: &Status) -> Block {
    let (tone, mode) = match status.mode {
        ModeView::Enforce => (Tone::Plain, "enforce"),
        ModeView::Audit => (Tone::Warn, "AUDIT: strangers pass and are counted"),
        ModeView::Closed => (
            Tone::Bad,
            "CLOSED by panic: nothing is served; `gatectl open` ends it",
        ),
    };
    Block::line(
        tone,
        format!(
            "{}: {} clients, {} rollouts, revision {}, mode {mode}",
            status.host, status.clients, status.rollouts, status.revision
        ),
    )
}

fn ring(name: &str, state: RingState, detail: &str) -> Block {
    let (tone, word) = match state {
        RingState::Up => (Tone::Good, "up"),
        RingState::Degraded => (Tone::Warn, "DEGRADED"),
        RingState::Off => (Tone::Bad, "OFF"),
    };
    Block::line(tone, format!("{name:10}  {word:8}  {detail}"))
}

fn packet_detail(ring: &PacketRing) -> String {
    let entries = if ring.capacity == 0 {
        String::new()
    } else {
        format!("{} of {} entries", ring.entries, ring.capacity)
    };
    joined([&entries, &ring.reason])
}

fn joined(parts: [&str; 2]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

pub(super) fn interfaces(interfaces: &[InterfaceView]) -> Option<Block> {
    let row = |one: &InterfaceView| {
        let covered = match (one.covered, one.name.as_str()) {
            (true, _) => "covered",
            (false, "lo") => "exempt",
            (false, _) => "NOT COVERED",
        };
        vec![
            one.name.clone(),
            covered.to_owned(),
            dash(&one.hook),
            dash(&one.mode),
            one.reason.clone(),
        ]
    };
    section(
        vec!["INTERFACE", "STATE", "HOOK", "MODE", "WHY"],
        interfaces.iter().map(row).collect(),
    )
}

fn guards(ring: &PacketRing) -> Option<Block> {
    let rows = ring
        .guards
        .iter()
        .map(|guard| {
            let who = match guard.policy.as_str() {
                "own" => "listed sources (the gate's own port)",
                "none" => "loopback only",
                "listed" => "sources that were given this port",
                other => other,
            };
            vec![
                guard.port.to_string(),
                guard.address.clone(),
                who.to_owned(),
            ]
        })
        .collect();
    section(vec!["PORT", "ADDRESS", "OPEN TO"], rows)
}

fn upstreams(ring: &RequestRing) -> Option<Block> {
    let row = |one: &UpstreamView| {
        let addresses = dash(&one.addresses.join(" "));
        vec![
            one.name.clone(),
            one.url.clone(),
            addresses,
            one.guard.clone(),
        ]
    };
    section(
        vec!["UPSTREAM", "URL", "LEADS TO", "GUARD"],
        ring.upstreams.iter().map(row).collect(),
    )
}

/// Most frequent first.
fn drops(status: &Status) -> Option<Block> {
    let mut drops: Vec<(&String, &u64)> = status
        .drops
        .iter()
        .filter(|(_, count)| **count > 0)
        .collect();
    drops.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let rows = drops
        .into_iter()
        .map(|(reason, count)| vec![count.to_string(), reason.clone()])
        .collect();
    section(vec!["DROPPED", "REASON"], rows)
}

/// Who knocks most, out of a sample.
fn denied(ring: &PacketRing) -> Option<Block> {
    let row = |one: &DeniedView| {
        vec![
            one.source.to_string(),
            dash(&one.interface),
            one.port
                .map_or_else(|| "-".to_owned(), |port| port.to_string()),
            one.reason.clone(),
            one.samples.to_string(),
        ]
    };
    section(
        vec!["DENIED", "AT", "PORT", "REASON", "SAMPLED"],
        ring.denied.iter().map(row).collect(),
    )
}

fn section(head: Vec<&'static str>, rows: Vec<Vec<String>>) -> Option<Block> {
    (!rows.is_empty()).then_some(Block::Rows { head, rows })
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

#[cfg(test)]
mod tests;

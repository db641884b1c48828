//! Nanoseconds of every path through the frame programs, by test run, beside yardsticks.
//!
//! The kernel runs the program many times over one frame and says how long it took. Each round
//! runs everything once, briefly; the least of many rounds is what nothing disturbed.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;

use super::figure::{Best, Figure, Goal, Samples};
use super::sys::{self, Hook};
use super::world::{PORT, WITHIN_NETWORK, World, client, clients, frame, strangers};
use super::yardstick::{Depth, Then, bare, lookup, parse, vary, verdicts};

/// The kernel waits for all CPUs before each XDP run, 10-20 ms, so there are few.
const ROUNDS: usize = 8;
const REPEAT: u32 = 20_000;
const NOWHERE: [u8; 6] = [0xff; 6];
const STRANGER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

pub(crate) fn figures(world: &mut World, groups: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for count in [1, 100_000, 1_000_000] {
        world.provision(count)?;
        for hook in [Hook::Xdp, Hook::Tcx] {
            figures.extend(same_source(world, hook, count, groups)?);
        }
        if count > 1 {
            figures.extend(random_source(world, count, groups)?);
        }
    }
    world.list_networks(1000)?;
    for hook in [Hook::Xdp, Hook::Tcx] {
        figures.push(network(world, hook, groups)?);
    }
    world.forget_networks()?;
    Ok(figures)
}

fn same_source(world: &World, hook: Hook, count: u32, groups: usize) -> Result<Vec<Figure>> {
    let gate = world.program(hook)?;
    let pass = bare(hook, verdicts(hook).pass)?;
    let drop = parse(hook, PORT)?;
    let hash = lookup(hook, PORT, world.table()?, Depth::Entry)?;
    let other = frame(NOWHERE, STRANGER, 22);
    let stranger = frame(NOWHERE, STRANGER, PORT);
    let known = frame(NOWHERE, client(0), PORT);
    let [idle, read, missed, found, gate_other, gate_deny, gate_allow] = measure(
        [
            (pass.as_fd(), &other),
            (drop.as_fd(), &other),
            (hash.as_fd(), &stranger),
            (hash.as_fd(), &known),
            (gate, &other),
            (gate, &stranger),
            (gate, &known),
        ],
        groups,
    )?;
    let figure = |path: &str, samples, beside, goal| {
        let name = format!("{}, {path}, {count} clients", label(hook));
        Figure::new(name, "ns", Best::Least, samples, beside, goal)
    };
    Ok(vec![
        figure(
            "other port",
            &gate_other,
            ("parse, pass", &read),
            Goal::AtMost(10.0 / 7.0),
        ),
        figure(
            "other port",
            &gate_other,
            ("no work at all", &idle),
            Goal::None,
        ),
        figure(
            "deny",
            &gate_deny,
            ("parse and one lookup", &missed),
            Goal::AtMost(25.0 / 13.0),
        ),
        figure(
            "allow",
            &gate_allow,
            ("parse and one lookup", &found),
            Goal::AtMost(25.0 / 14.0),
        ),
    ])
}

/// Every frame from another client, through a program that jumps to the one that is measured.
fn random_source(world: &World, count: u32, groups: usize) -> Result<Vec<Figure>> {
    let drop = parse(Hook::Xdp, PORT)?;
    let hash = lookup(Hook::Xdp, PORT, world.table()?, Depth::Entry)?;
    let seen = lookup(Hook::Xdp, PORT, world.table()?, Depth::Presence)?;
    let gate = world.program(Hook::Xdp)?;
    let known = frame(NOWHERE, client(0), PORT);
    let mut kept = Vec::new();
    let mut jump = |target: BorrowedFd<'_>, span| -> Result<OwnedFd> {
        let table = sys::jump_table(target)?;
        let program = vary(span, Then::Judge(table.as_fd()))?;
        kept.push(table);
        Ok(program)
    };
    let read = jump(drop.as_fd(), clients(count))?;
    let hashed = jump(hash.as_fd(), clients(count))?;
    let present = jump(seen.as_fd(), clients(count))?;
    let judged = jump(gate, clients(count))?;
    let missed = jump(hash.as_fd(), strangers())?;
    let denied = jump(gate, strangers())?;
    let [read, hashed, present, judged, missed, denied] = measure(
        [
            (read.as_fd(), &known),
            (hashed.as_fd(), &known),
            (present.as_fd(), &known),
            (judged.as_fd(), &known),
            (missed.as_fd(), &known),
            (denied.as_fd(), &known),
        ],
        groups,
    )?;
    let figure = |path: &str, samples, beside, goal| {
        let name = format!("xdp, {path}, random of {count}");
        Figure::new(name, "ns", Best::Least, samples, beside, goal)
    };
    Ok(vec![
        figure(
            "allow",
            &judged,
            ("parse and one lookup", &hashed),
            Goal::AtMost(1.25),
        ),
        figure(
            "lookup, entry not read",
            &present,
            ("parse and one lookup", &hashed),
            Goal::None,
        ),
        figure("lookup", &hashed, ("parse only", &read), Goal::None),
        figure(
            "deny",
            &denied,
            ("parse and one lookup", &missed),
            Goal::None,
        ),
    ])
}

fn network(world: &World, hook: Hook, groups: usize) -> Result<Figure> {
    let hash = lookup(hook, PORT, world.table()?, Depth::Entry)?;
    let within = frame(NOWHERE, WITHIN_NETWORK, PORT);
    let [gate, beside] = measure(
        [(world.program(hook)?, &within), (hash.as_fd(), &within)],
        groups,
    )?;
    let name = format!("{}, allow by one of 1000 networks", label(hook));
    let goal = Goal::AtMost(95.0 / 13.0);
    Ok(Figure::new(
        name,
        "ns",
        Best::Least,
        &gate,
        ("parse and one lookup", &beside),
        goal,
    ))
}

const fn label(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "xdp",
        Hook::Tcx => "tc",
    }
}

/// The least nanoseconds of each, by group, all of them interleaved.
fn measure<const N: usize>(
    runs: [(BorrowedFd<'_>, &Vec<u8>); N],
    groups: usize,
) -> Result<[Samples; N]> {
    let mut samples = [const { Samples(Vec::new()) }; N];
    for _ in 0..groups {
        let mut least = [u32::MAX; N];
        for _ in 0..ROUNDS {
            for (least, (program, frame)) in least.iter_mut().zip(&runs) {
                *least = sys::run(*program, frame, REPEAT)?.min(*least);
            }
        }
        for (samples, least) in samples.iter_mut().zip(least) {
            samples.0.push(f64::from(least));
        }
    }
    Ok(samples)
}

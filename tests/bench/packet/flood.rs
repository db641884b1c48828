//! How many frames of strangers a filter drops in a second, beside other filters.
//!
//! The generator is a program of ours run over live frames: every frame has another source, and
//! generator and filter share one CPU, so the figures are costs and not the speed of a wire. Each
//! round asks every filter once, briefly; the best of the rounds is what nothing disturbed.

use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};

use super::figure::{Best, Figure, Goal, Samples};
use super::place::{Place, command, fed, within};
use super::sys::{self, Hook};
use super::world::{PORT, World, client, frame, strangers};
use super::yardstick::{Depth, Then, bare, lookup, vary, verdicts};

const ROUNDS: usize = 40;
/// Frames of one round: a few milliseconds, so that some rounds are disturbed by nobody.
const FRAMES: u32 = 1 << 14;

/// Clients in everybody's sets.
pub(crate) const CLIENTS: u32 = 100_000;

/// Puts a filter in its place; what it returns holds it there.
type Put<'a> = Box<dyn Fn(&Place) -> Result<Option<OwnedFd>> + Send + Sync + 'a>;

/// One filter of the comparison.
struct Filter<'a> {
    name: &'static str,
    put: Put<'a>,
    take: fn() -> Result<()>,
}

const NOTHING: fn() -> Result<()> = || Ok(());

pub(crate) fn native(world: &World, groups: usize) -> Result<Vec<Figure>> {
    let gate = world.program(Hook::Xdp)?;
    let drop = bare(Hook::Xdp, verdicts(Hook::Xdp).drop)?;
    let hash = lookup(Hook::Xdp, PORT, world.table()?, Depth::Entry)?;
    let link = |program: std::os::fd::BorrowedFd<'_>, place: &Place| {
        Ok(Some(sys::link(Hook::Xdp, program, place.inside)?))
    };
    let filters = [
        Filter {
            name: "bare XDP_DROP",
            put: Box::new(|place| link(drop.as_fd(), place)),
            take: NOTHING,
        },
        Filter {
            name: "gate",
            put: Box::new(|place| link(gate, place)),
            take: NOTHING,
        },
        Filter {
            name: "one lookup, 100k addresses",
            put: Box::new(|place| link(hash.as_fd(), place)),
            take: NOTHING,
        },
        Filter {
            name: "xdp-filter, by port",
            put: Box::new(|_| {
                command(
                    "xdp-filter",
                    "load inside --mode native --policy allow --features tcp,ipv4",
                )?;
                command("xdp-filter", &format!("port {PORT} --mode dst --proto tcp"))?;
                Ok(None)
            }),
            take: || command("xdp-filter", "unload inside"),
        },
    ];
    compare(
        "drop, native XDP",
        &filters,
        Route::Wire,
        groups,
        |name| match name {
            "bare XDP_DROP" => Goal::AtLeast(0.75),
            _ => Goal::None,
        },
    )
}

pub(crate) fn stack(world: &World, groups: usize) -> Result<Vec<Figure>> {
    let gate = world.program(Hook::Tcx)?;
    let drop = bare(Hook::Tcx, verdicts(Hook::Tcx).drop)?;
    let hash = lookup(Hook::Tcx, PORT, world.table()?, Depth::Entry)?;
    let link = |program: std::os::fd::BorrowedFd<'_>, place: &Place| {
        Ok(Some(sys::link(Hook::Tcx, program, place.inside)?))
    };
    let flush: fn() -> Result<()> = || command("nft", "flush ruleset");
    let filters = [
        Filter {
            name: "bare tc drop",
            put: Box::new(|place| link(drop.as_fd(), place)),
            take: NOTHING,
        },
        Filter {
            name: "gate",
            put: Box::new(|place| link(gate, place)),
            take: NOTHING,
        },
        Filter {
            name: "one lookup, 100k addresses",
            put: Box::new(|place| link(hash.as_fd(), place)),
            take: NOTHING,
        },
        Filter {
            name: "nft netdev ingress, set of 100k",
            put: Box::new(|_| ruleset("netdev", "hook ingress device inside").map(|()| None)),
            take: flush,
        },
        Filter {
            name: "nft input, set of 100k",
            put: Box::new(|_| ruleset("inet", "hook input").map(|()| None)),
            take: flush,
        },
    ];
    compare(
        "drop, TCX",
        &filters,
        Route::Stack,
        groups,
        |name| match name {
            "bare tc drop" => Goal::AtLeast(0.75),
            _ => Goal::None,
        },
    )
}

fn ruleset(family: &str, hook: &str) -> Result<()> {
    let mut elements = String::new();
    for n in 0..CLIENTS {
        write!(elements, "{}, ", client(n))?;
    }
    fed(
        "nft",
        "-f -",
        &format!(
            "table {family} gate_bench {{
               set clients {{ type ipv4_addr; elements = {{ {elements} }} }}
               chain judge {{ type filter {hook} priority 0; policy accept;
                 tcp dport {PORT} ip saddr != @clients drop
               }}
             }}"
        ),
    )
}

/// How the frames get to the filter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Out of one device, into the other.
    Wire,
    /// Made packets of the stack, as the device would.
    Stack,
}

/// The second filter beside all the others.
fn compare(
    what: &str,
    filters: &[Filter<'_>],
    route: Route,
    groups: usize,
    goal: impl Fn(&str) -> Goal,
) -> Result<Vec<Figure>> {
    let mut rates = vec![Samples(Vec::new()); filters.len()];
    for _ in 0..groups {
        for (filter, rates) in filters.iter().zip(&mut rates) {
            rates.0.push(rate(filter, route)?);
        }
    }
    let [_, gate, ..] = rates.as_slice() else {
        return Ok(Vec::new());
    };
    let others = filters
        .iter()
        .zip(&rates)
        .filter(|(filter, _)| filter.name != "gate");
    Ok(others
        .map(|(filter, beside)| {
            Figure::new(
                what,
                "Mpps",
                Best::Most,
                gate,
                (filter.name, beside),
                goal(filter.name),
            )
        })
        .collect())
}

/// Million frames a second, the most of a few rounds, in a place of their own.
fn rate(filter: &Filter<'_>, route: Route) -> Result<f64> {
    within(|place| {
        let kept = (filter.put)(place).with_context(|| filter.name)?;
        // Frames can only come in on a device whose queue XDP knows.
        let pass = bare(Hook::Xdp, verdicts(Hook::Xdp).pass)?;
        let (then, ingress, opened) = match route {
            Route::Wire => (Then::Send(place.outside), 0, None),
            Route::Stack => {
                let opened = sys::link(Hook::Xdp, pass.as_fd(), place.inside)?;
                (Then::Stack, place.inside, Some(opened))
            }
        };
        let generator = vary(strangers(), then)?;
        let frame = frame(place.address, client(0), PORT);
        let mut best = 0f64;
        for _ in 0..ROUNDS {
            let before = Place::arrived()?;
            let took = sys::flood(generator.as_fd(), &frame, FRAMES, ingress).context("flood")?;
            let arrived = match route {
                // What the device dropped because it was full, no filter saw.
                Route::Wire => u32::try_from(Place::arrived()? - before)?,
                Route::Stack => FRAMES,
            };
            ensure!(
                arrived > FRAMES / 2,
                "{}: only {arrived} frames arrived",
                filter.name
            );
            best = best.max(f64::from(arrived) / f64::from(FRAMES) / f64::from(took) * 1e3);
        }
        drop((kept, opened));
        (filter.take)()?;
        Ok(best)
    })
}

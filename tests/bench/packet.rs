//! `cargo xtask bench packet`: what the packet ring costs, beside programs that do less.
//!
//! Needs root. Floods go only between devices in namespaces that this program makes.

mod assembler;
mod figure;
mod flood;
mod paths;
mod place;
mod sandbox;
mod sys;
mod world;
mod yardstick;

use anyhow::Result;

use crate::table::Table;
use figure::Figure;
use world::World;

/// In so many groups of rounds; they lie apart, so that they show the noise.
pub(crate) fn measure(groups: usize) -> Result<Vec<Table>> {
    // A world of their own for the floods: the paths end with a million clients.
    let mut world = World::load()?;
    world.provision(flood::CLIENTS)?;
    let native = flood::native(&world, groups)?;
    let stack = flood::stack(&world, groups)?;
    let sandbox = sandbox::figures(&world, groups)?;
    let mut world = World::load()?;
    let paths = paths::figures(&mut world, groups)?;
    Ok(vec![
        table(
            "The price of a frame",
            "BPF_PROG_TEST_RUN over one frame, or over one whose source is another each time, the least of many runs that \
             took turns; the yardsticks are programs that do nothing, read the frame to its port, or do that and look the \
             source up in the same table.",
            &paths,
        ),
        table(
            "A flood of strangers on native XDP",
            "16 million sources in random order out of one veth device into another, 100k clients provisioned, generator \
             and filter on one core; frames a second that the filter dropped, the most of many bursts that took turns.",
            &native,
        ),
        table(
            "A flood of strangers in the stack",
            "The same frames as the stack takes them from a device, into tc and nftables.",
            &stack,
        ),
        table(
            "A sandbox on this host",
            "Frames that it sends through its veth and that are dropped, and one TCP connection of an allowed one.",
            &sandbox,
        ),
    ])
}

fn table(title: &str, how: &str, figures: &[Figure]) -> Table {
    let head = [
        "what",
        "gate",
        "unit",
        "yardstick",
        "it",
        "ratio",
        "spread",
        "goal",
        "outcome",
    ];
    Table {
        title: title.to_owned(),
        how: how.to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: figures.iter().map(Figure::cells).collect(),
        notes: Vec::new(),
    }
}

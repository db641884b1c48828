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

use figure::Figure;
use world::World;

/// Every figure, said aloud as soon as its part is measured.
pub(crate) fn figures(say: impl Fn(&Figure)) -> Result<Vec<Figure>> {
    let mut all = Vec::new();
    let mut keep = |figures: Vec<Figure>| {
        figures.iter().for_each(&say);
        all.extend(figures);
    };
    // A world of their own for the floods: the paths end with a million clients.
    let mut small = World::load()?;
    small.provision(flood::CLIENTS)?;
    keep(flood::native(&small)?);
    keep(flood::stack(&small)?);
    keep(sandbox::figures(&small)?);
    drop(small);
    keep(paths::figures(&mut World::load()?)?);
    Ok(all)
}

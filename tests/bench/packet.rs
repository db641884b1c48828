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

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let mut world = World::load()?;
    let mut figures = paths::figures(&mut world)?;
    // A world of its own: those above ended with a million clients.
    let mut world = World::load()?;
    world.provision(flood::CLIENTS)?;
    figures.extend(flood::native(&world)?);
    figures.extend(flood::stack(&world)?);
    figures.extend(sandbox::figures(&world)?);
    Ok(figures)
}

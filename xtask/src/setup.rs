//! Makes the machine fit for a command: finds what is missing, says what and why, installs it.
//!
//! Nothing is done to a machine that lacks nothing, and nothing at all where a step needs rights
//! this user does not have: then the commands are printed for somebody who has them. Every step
//! is followed by a fresh look, because one need's answer (which LLVM?) follows from another's.

mod facts;
mod need;
mod off_path;
mod plan;
mod report;
mod step;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::{child::Child, say, surroundings};
use facts::{Facts, Privilege};
use need::Id;
pub(crate) use need::Purpose;
use plan::{Item, State, plan};
use report::Output;
use step::{Step, refresh};

/// Install what gate's commands need and is missing here
///
/// Asks the machine for each need, says what is missing and why it is needed, then installs it.
/// Takes about a second when nothing is missing. Every other command does this for itself.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: see what running the tests would install, without installing it\n  cargo xtask setup --for test --check"
)]
pub(crate) struct Args {
    /// What the machine is to be fit for
    #[arg(
        long = "for",
        value_enum,
        default_value = "test",
        value_name = "PURPOSE"
    )]
    purpose: Purpose,
    /// Only report; exit with 1 if anything is missing
    #[arg(long)]
    check: bool,
    /// Install also what the commands can do without
    #[arg(long, conflicts_with = "check")]
    optional: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    output: Output,
}

/// Proof that the machine is fit, and what the other commands have to know about it.
pub(crate) struct Kit {
    bpf_toolchain: String,
    pub(crate) nextest: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let facts = if args.check {
        Facts::gather()
    } else {
        install(args.purpose, args.optional)?
    };
    let items = plan(&facts, args.purpose);
    report::items(&items, facts.privilege, args.output)?;
    let lacking = items
        .iter()
        .any(|item| item.is_missing() && !item.need.optional);
    Ok(if lacking {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Makes the machine fit for `purpose` and returns what that found.
pub(crate) fn ensure(purpose: Purpose) -> anyhow::Result<Kit> {
    let facts = install(purpose, false)?;
    let (toolchain, _) = facts
        .bpf_toolchain()
        .context("no toolchain for the kernel program")?;
    Ok(Kit {
        bpf_toolchain: toolchain.to_owned(),
        nextest: facts.has(Id::Nextest),
    })
}

impl Kit {
    /// `cargo`, told which toolchain builds the kernel program. The default is left unsaid: the
    /// variable is an input of the build, and setting it would rebuild what `cargo build` built.
    pub(crate) fn cargo(&self) -> Child {
        let cargo = Child::new(["cargo"]);
        if self.bpf_toolchain == surroundings::DEFAULT_BPF_TOOLCHAIN {
            return cargo;
        }
        let cargo = cargo.env("GATE_BPF_TOOLCHAIN", &self.bpf_toolchain);
        if self.has_bpf_clippy() {
            cargo
        } else {
            cargo.env("RUSTC_BOOTSTRAP", "1")
        }
    }

    /// `cargo` of the toolchain that builds the kernel program.
    pub(crate) fn bpf_cargo(&self) -> Child {
        let cargo = Child::new(["cargo".to_owned(), format!("+{}", self.bpf_toolchain)]);
        if self.has_bpf_clippy() {
            cargo
        } else {
            cargo.env("RUSTC_BOOTSTRAP", "1")
        }
    }

    /// The distribution's toolchain is a stable one, without clippy.
    pub(crate) fn has_bpf_clippy(&self) -> bool {
        self.bpf_toolchain != facts::DISTRIBUTION_TOOLCHAIN
    }
}

fn install(purpose: Purpose, optional: bool) -> anyhow::Result<Facts> {
    let mut facts = Facts::gather();
    let mut tried = BTreeSet::new();
    let mut refreshed = false;
    report::missing(&wanted(&facts, purpose, optional));
    loop {
        let items = wanted(&facts, purpose, optional);
        let Some(item) = items.iter().find(|item| item.is_missing()) else {
            return Ok(facts);
        };
        if items.iter().any(|item| cannot_be_served(item, &facts)) {
            report::commands(&items, &facts);
            bail!("this machine lacks what only you can install; see above");
        }
        let State::Missing(steps) = &item.state else {
            bail!(
                "`{}` waits for a need that is not in the table",
                item.need.what
            );
        };
        if !tried.insert((item.need.id, facts.rustup_refused)) {
            bail!(
                "`{}` is missing although it was just installed; see {}",
                item.need.what,
                log().display()
            );
        }
        if !refreshed && steps.iter().any(Step::needs_apt) {
            carry_out("refreshing the package lists", &refresh(facts.privilege))?;
            refreshed = true;
        }
        let outcome = steps.iter().try_for_each(|step| {
            let command = step.command(facts.privilege);
            carry_out(
                &format!("installing {}: {command}", item.need.what),
                &command,
            )
        });
        let mut refused = facts.rustup_refused;
        match outcome {
            Ok(()) => {}
            // Many machines have a rustup that reaches no server; the distribution may serve.
            Err(error) if item.need.id == Id::BpfToolchain && !refused => {
                say::note(&format!(
                    "{error:#}\nso the distribution's Rust is taken for the kernel program"
                ));
                refused = true;
            }
            Err(error) => return Err(error),
        }
        facts = Facts {
            rustup_refused: refused,
            ..Facts::gather()
        };
    }
}

fn wanted(facts: &Facts, purpose: Purpose, optional: bool) -> Vec<Item> {
    let items = plan(facts, purpose).into_iter();
    items
        .filter(|item| optional || !item.need.optional)
        .collect()
}

fn cannot_be_served(item: &Item, facts: &Facts) -> bool {
    match &item.state {
        State::Present(_) | State::Waiting => false,
        State::Unserved(_) => true,
        State::Missing(steps) => {
            let rights = facts.apt && facts.privilege != Privilege::None;
            !rights && steps.iter().any(Step::needs_apt)
        }
    }
}

fn carry_out(what: &str, command: &Child) -> anyhow::Result<()> {
    say::working(what, || command.run_logged(&log()))
}

fn log() -> PathBuf {
    surroundings::target().join("xtask/setup.log")
}

#[cfg(test)]
mod tests {
    use super::{need::NEEDS, *};

    #[test]
    fn every_need_says_what_and_why_once() {
        let whats: BTreeSet<_> = NEEDS.iter().map(|need| need.what).collect();
        assert_eq!(whats.len(), NEEDS.len());
        assert!(NEEDS.iter().all(|need| !need.why.is_empty()));
        assert!(
            NEEDS.is_sorted_by_key(|need| need.id),
            "later needs wait for earlier ones"
        );
    }
}

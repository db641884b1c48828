//! Runs the fuzz targets of `tests/fuzz`, each for a while.
//!
//! What they assert also holds in a plain test over the same corpora, so that no other command needs
//! a fuzzer. New inputs stay under `target/`: only those worth keeping are copied to the corpus.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::{
    child::Child,
    say,
    setup::{self, Kit, Purpose},
    steps::Steps,
    surroundings,
};

/// Where the targets' package lies.
const PACKAGE: &str = "tests/fuzz";

/// Fuzz what reads the bytes of strangers
///
/// Sets up cargo-fuzz, builds the targets and runs each of them for a while, from the corpus under
/// tests/fuzz. Exits with 1 when a target breaks; the input that broke it is printed and kept.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: run the target that reads paths for a minute\n  cargo xtask fuzz path --seconds 60"
)]
pub(crate) struct Args {
    /// Run this target only
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let targets = chosen(targets()?, args.target.as_deref())?;
    let kit = setup::ensure(Purpose::Fuzz)?;
    let mut steps = Steps::default();
    if steps.run("build", || fuzz(&kit, "build").run()).is_some() {
        steps.run("targets", || each(&kit, &targets, args.seconds));
    }
    Ok(steps.finish())
}

/// The names of the corpora are those of the targets: a plain test holds them together.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = surroundings::root().join(PACKAGE).join("corpus");
    let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, wanted: Option<&str>) -> anyhow::Result<Vec<String>> {
    let Some(wanted) = wanted else {
        return Ok(all);
    };
    if !all.iter().any(|name| name == wanted) {
        bail!(
            "no fuzz target is named `{wanted}`; there are {}",
            all.join(", ")
        );
    }
    Ok(vec![wanted.to_owned()])
}

/// All of them, also when one breaks.
fn each(kit: &Kit, targets: &[String], seconds: u32) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for target in targets {
        if let Err(error) = one(kit, target, seconds) {
            say::failure(&error);
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("broken: {}", broken.join(", "));
}

fn one(kit: &Kit, target: &str, seconds: u32) -> anyhow::Result<()> {
    let found = surroundings::target().join("fuzz").join(target);
    fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
    // The first folder takes what is found, the second is only read.
    fuzz(kit, "run")
        .arg(target)
        .arg(found.display().to_string())
        .arg(format!("{PACKAGE}/corpus/{target}"))
        .args(["--", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .run()
}

/// `cargo fuzz`, without a sanitizer: what is fuzzed is safe Rust, and its promises are assertions.
fn fuzz(kit: &Kit, command: &str) -> Child {
    kit.bpf_cargo()
        .args(["fuzz", command, "--sanitizer", "none"])
        .args(["--fuzz-dir", PACKAGE])
        .env("GATE_EBPF", "stub")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_is_told_which_there_are() {
        let all = || vec!["head".to_owned(), "path".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("path")).unwrap(), ["path"]);
        let error = chosen(all(), Some("x")).unwrap_err().to_string();
        assert!(error.contains("head, path"), "{error}");
    }
}

//! Runs every test there is, the README's test command.
//!
//! What needs root is run apart: those tests load programs into the kernel and build network
//! namespaces. The programs are built first and handed over by path, because cargo gives
//! that path only to tests inside the package that builds them.

mod doc;

use std::{fs, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::{
    build::Programs,
    check,
    child::Child,
    setup::{self, Kit, Purpose},
    steps::Steps,
    surroundings,
};

/// The one target of `tests/` that runs as any user; a new one is taken to need root.
const PLAIN_TARGET: &str = "plain";

/// nextest's own exit status for a filter that matches nothing.
const NEXTEST_NO_TESTS: i32 = 4;

/// Test gate
///
/// Sets up what the tests need, checks format, lints and house rules, builds both programs, then
/// runs the tests and, as root, the tests that load packet programs and build namespaces.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: run only the tests whose name contains `revoke`, without the checks\n  cargo xtask test --no-check revoke"
)]
pub(crate) struct Args {
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Run also the tests that take minutes
    #[arg(long)]
    long: bool,
    /// Leave out fmt, clippy and tidy
    #[arg(long)]
    no_check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Unit tests, and gate in one process.
    Plain,
    /// Packet programs and network namespaces.
    Root,
}

/// Whether a part had a test to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ran {
    Some,
    None,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    let kit = steps.run("setup", || setup::ensure(Purpose::Test));
    let Some(kit) = kit else {
        return Ok(steps.finish());
    };
    if !args.no_check {
        check::sources(&mut steps, &kit.cargo());
    }
    if steps.run("build", || build(&kit)).is_none() {
        return Ok(steps.finish());
    }
    let plain = steps.run("tests", || part(&kit, args, Part::Plain));
    let root = root_tests(&mut steps, &kit, args);
    if args.filter.is_none() && doc::any_doc_test()? {
        steps.run("doc tests", || kit.cargo().args(["test", "--doc"]).run());
    }
    if let (Some(filter), Some(Ran::None), Some(Ran::None)) = (&args.filter, plain, root) {
        steps.run("filter", || -> anyhow::Result<()> {
            bail!("no test is named like `{filter}`")
        });
    }
    Ok(steps.finish())
}

/// The outcome of the root tests. Left out, and said so, for a plain user; in CI that is a failure.
fn root_tests(steps: &mut Steps, kit: &Kit, args: &Args) -> Option<Ran> {
    if surroundings::is_root() {
        return steps.run("tests as root", || part(kit, args, Part::Root));
    }
    let why = "packet programs and network namespaces need root: \
               sudo --preserve-env env PATH=\"$PATH\" cargo xtask test";
    if surroundings::is_ci() {
        return steps.run("tests as root", || bail!("{why}"));
    }
    steps.skip("tests as root", why);
    Some(Ran::None)
}

/// Programs and tests in one go: built apart, they would differ in the features of shared
/// dependencies and compile those twice.
fn build(kit: &Kit) -> anyhow::Result<()> {
    kit.cargo()
        .args(["build", "--lib", "--bins", "--tests"])
        .run()
}

fn part(kit: &Kit, args: &Args, part: Part) -> anyhow::Result<Ran> {
    let runner = if kit.nextest {
        nextest(kit, args, part)
    } else {
        cargo_test(kit, args, part)?
    };
    let status = with_programs(runner).status_on_stdout()?;
    let none = kit.nextest && status.code() == Some(NEXTEST_NO_TESTS);
    match (status.success(), none, &args.filter) {
        (true, _, _) => Ok(Ran::Some),
        // A filter may well speak of one part only; without one, no tests is a broken suite.
        (false, true, Some(_)) => Ok(Ran::None),
        (false, true, None) => bail!("there is not one test in this part"),
        (false, false, _) => bail!("the test runner ended with {status}"),
    }
}

fn nextest(kit: &Kit, args: &Args, part: Part) -> Child {
    let root = format!("kind(test) & not binary({PLAIN_TARGET})");
    let which = match part {
        Part::Plain => format!("not ({root})"),
        Part::Root => root,
    };
    let profile = if surroundings::is_ci() {
        "ci"
    } else {
        "default"
    };
    let runner = kit
        .cargo()
        .args([
            "nextest",
            "run",
            "--cargo-quiet",
            "--no-tests=fail",
            "--profile",
            profile,
            "--filterset",
        ])
        .arg(which)
        .args(args.filter.clone());
    if args.long {
        runner.arg("--ignore-default-filter")
    } else {
        runner
    }
}

fn cargo_test(kit: &Kit, args: &Args, part: Part) -> anyhow::Result<Child> {
    let runner = kit.cargo().args(["test", "--no-fail-fast"]);
    let runner = match part {
        Part::Plain => runner.args(["--lib", "--bins", "--test", PLAIN_TARGET]),
        Part::Root => {
            let manifest = fs::read_to_string(surroundings::root().join("tests/Cargo.toml"))
                .context("read tests/Cargo.toml")?;
            runner.args(root_targets(&manifest).map(|target| format!("--test={target}")))
        }
    };
    let runner = runner.args(args.filter.clone());
    Ok(if args.long {
        runner
    } else {
        runner.args(["--", "--skip=long::"])
    })
}

/// The names of the manifest's `[[test]]` sections that need root.
fn root_targets(manifest: &str) -> impl Iterator<Item = &str> {
    let sections = manifest.split("[[test]]").skip(1);
    let names = sections.filter_map(|section| section.split_once("name = \"")?.1.split('"').next());
    names.filter(|name| *name != PLAIN_TARGET)
}

/// What the harness needs to know. It panics when told nothing, rather than skip.
fn with_programs(runner: Child) -> Child {
    let programs = Programs::in_folder("debug");
    let runner = runner
        .env("GATED_BIN", programs.gated.display().to_string())
        .env("GATECTL_BIN", programs.gatectl.display().to_string());
    // A test that cannot run says so and passes, except where nobody reads what it says.
    if surroundings::is_ci() {
        runner.env("GATE_REQUIRE_ROOT", "1")
    } else {
        runner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_target_of_tests_needs_root() {
        let manifest = "[package]\nname = \"gate-tests\"\n\n[[test]]\nname = \"plain\"\n\
                        path = \"plain/main.rs\"\n\n[[test]]\nname = \"kernel\"\n";
        assert_eq!(root_targets(manifest).collect::<Vec<_>>(), ["kernel"]);
    }
}

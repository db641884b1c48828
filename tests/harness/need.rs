//! May this test run here, and if not, who hears of it.
//!
//! Does not install anything. A skip that nobody sees looks like a pass, so each one is printed,
//! and with `GATE_REQUIRE_ROOT=1` (set in CI) it is a failure.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use nix::unistd::Uid;

/// Whether something the test cannot do without is `met`. A `false` has been reported as a skip.
#[expect(
    clippy::print_stderr,
    reason = "the reason of a skip belongs on the test's own output"
)]
pub fn that(met: bool, reason: &str) -> bool {
    if !met {
        let required = env::var_os("GATE_REQUIRE_ROOT");
        assert!(
            required.as_deref() != Some(OsStr::new("1")),
            "cannot run: {reason}"
        );
        eprintln!("skipped: {reason}");
    }
    met
}

/// Whether this process is root. A `false` has been reported as a skip.
pub fn root() -> bool {
    that(
        Uid::effective().is_root(),
        "network namespaces and bpffs need root",
    )
}

/// Where `program` is on `PATH`. A `None` has been reported as a skip.
pub fn program(program: &str) -> Option<PathBuf> {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    that(found.is_some(), &format!("`{program}` is not on PATH"));
    found
}

/// A binary that `cargo xtask test` built and named in the environment.
pub fn built(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => panic!("{variable} is not set: run `cargo xtask test`"),
    }
}

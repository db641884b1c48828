//! How `gatectl` ends: the numbers that scripts test for.
//!
//! Does not decide anything; each command says which one it is.

use std::process::ExitCode;

/// Exit status of `gatectl`; `cargo xtask docs` writes the README's table from these lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The gate answered no, e.g. the rollout does not exist.
    Refused = 1,
    /// The command line is wrong, or a confirmation is missing.
    Usage = 2,
    /// The admin socket cannot be reached.
    Unreachable = 3,
    /// A check found something wrong.
    Finding = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

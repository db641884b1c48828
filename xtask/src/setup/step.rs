//! One command of an installation, as it is run and as it is shown.
//!
//! Packages are named, not commands: only here is it known that they come by `apt-get`, and that
//! it needs root.

use super::facts::Privilege;
use crate::child::Child;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The distribution's packages.
    Apt(&'static [&'static str]),
    /// The same, for a package named after a version.
    AptLlvm(u32),
    Run(Child),
}

impl Step {
    pub(crate) fn needs_apt(&self) -> bool {
        matches!(self, Self::Apt(_) | Self::AptLlvm(_))
    }

    /// The command as it is run, and as the user is shown it.
    pub(crate) fn command(&self, privilege: Privilege) -> Child {
        let packages: Vec<String> = match self {
            Self::Run(child) => return child.clone(),
            Self::Apt(packages) => packages.iter().map(ToString::to_string).collect(),
            // zstd and zlib: LLVM's own link line names them. g++: it is a C++ library.
            Self::AptLlvm(major) => ["g++", "libzstd-dev", "zlib1g-dev"]
                .into_iter()
                .map(str::to_owned)
                .chain([format!("llvm-{major}-dev")])
                .collect(),
        };
        let apt = Child::new([
            "apt-get",
            "install",
            "--yes",
            "--no-install-recommends",
            LOCK_WAIT,
        ])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
        as_root(apt, privilege)
    }
}

/// The command that refreshes the package lists; a bare image has none.
pub(crate) fn refresh(privilege: Privilege) -> Child {
    as_root(Child::new(["apt-get", "update"]), privilege)
}

fn as_root(child: Child, privilege: Privilege) -> Child {
    match privilege {
        Privilege::Root => child,
        Privilege::Sudo | Privilege::None => child.with_sudo(),
    }
}

/// A machine that has just started is often still updating itself.
const LOCK_WAIT: &str = "--option=DPkg::Lock::Timeout=300";

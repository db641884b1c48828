//! Plans for machines this one is not.

use super::{super::facts::Privilege, *};

fn complete() -> Facts {
    Facts {
        apt: true,
        privilege: Privilege::Root,
        chosen: None,
        nightly: Toolchain::Ready { llvm: 22 },
        distribution: Toolchain::Absent,
        rustup_refused: false,
        linker: Linker::Works,
        found: NEEDS.iter().map(|need| need.id).collect(),
    }
}

/// The image named in the README: Rust as rustup installs it, and nothing for the kernel program.
fn bare() -> Facts {
    let facts = Facts {
        nightly: Toolchain::NoSource { llvm: 22 },
        linker: Linker::Absent,
        ..complete()
    };
    without(facts, &[Id::BpfClippy, Id::Python])
}

fn without(facts: Facts, ids: &[Id]) -> Facts {
    let found = facts
        .found
        .iter()
        .copied()
        .filter(|id| !ids.contains(id))
        .collect();
    Facts { found, ..facts }
}

fn commands(facts: &Facts, id: Id) -> Vec<String> {
    let State::Missing(steps) = state(facts, id) else {
        panic!("{id:?} is not missing")
    };
    steps
        .iter()
        .map(|step| step.command(facts.privilege).to_string())
        .collect()
}

#[test]
fn complete_machine_needs_nothing() {
    assert!(
        plan(&complete(), Purpose::All)
            .iter()
            .all(|item| !item.is_missing())
    );
}

#[test]
fn bare_image_gets_the_source_by_rustup_first() {
    let facts = bare();
    assert_eq!(
        commands(&facts, Id::BpfToolchain),
        ["rustup component add rust-src --toolchain nightly"]
    );
    assert_eq!(
        state(&facts, Id::BpfLinker),
        State::Waiting,
        "which LLVM is not known yet"
    );
}

#[test]
fn machine_without_nightly_gets_one() {
    let facts = Facts {
        nightly: Toolchain::Absent,
        ..bare()
    };
    assert_eq!(
        commands(&facts, Id::BpfToolchain),
        ["rustup toolchain install nightly --profile minimal --component rust-src"]
    );
}

#[test]
fn refusing_rustup_is_followed_by_the_distribution() {
    let facts = Facts {
        rustup_refused: true,
        ..bare()
    };
    let steps = commands(&facts, Id::BpfToolchain);
    assert!(
        steps[0].ends_with("rustc-web rust-web-src cargo-web"),
        "{steps:?}"
    );
    assert_eq!(steps[1], "rustup toolchain link gate-bpf /usr");
}

#[test]
fn linked_distribution_toolchain_is_used_without_clippy() {
    let facts = Facts {
        distribution: Toolchain::Ready { llvm: 22 },
        ..bare()
    };
    assert_eq!(facts.bpf_toolchain(), Some((DISTRIBUTION_TOOLCHAIN, 22)));
    assert!(matches!(state(&facts, Id::BpfClippy), State::Present(_)));
}

#[test]
fn linker_is_built_against_the_llvm_of_the_toolchain() {
    let facts = Facts {
        nightly: Toolchain::Ready { llvm: 21 },
        linker: Linker::Absent,
        ..bare()
    };
    let steps = commands(&facts, Id::BpfLinker);
    assert!(steps[0].ends_with("llvm-21-dev"), "{steps:?}");
    assert!(steps[1].starts_with("LLVM_PREFIX=/usr/lib/llvm-21 cargo install bpf-linker"));
    assert!(steps[1].ends_with("--features llvm-21"), "{steps:?}");
}

#[test]
fn linker_of_another_llvm_counts_as_missing() {
    let facts = Facts {
        linker: Linker::Broken("Invalid attribute".to_owned()),
        ..complete()
    };
    assert!(
        commands(&facts, Id::BpfLinker)[1].contains("--force"),
        "the old one must be replaced"
    );
}

#[test]
fn unknown_llvm_is_the_users_to_solve() {
    let facts = Facts {
        nightly: Toolchain::Ready { llvm: 99 },
        linker: Linker::Absent,
        ..complete()
    };
    assert!(matches!(state(&facts, Id::BpfLinker), State::Unserved(_)));
}

#[test]
fn chosen_toolchain_is_not_second_guessed() {
    let chosen = Some(("mine".to_owned(), Toolchain::NoSource { llvm: 22 }));
    let facts = Facts {
        chosen,
        ..complete()
    };
    assert!(matches!(
        state(&facts, Id::BpfToolchain),
        State::Unserved(_)
    ));
}

#[test]
fn missing_rustup_is_the_users_to_solve() {
    let facts = Facts {
        nightly: Toolchain::Absent,
        ..without(complete(), &[Id::Rustup])
    };
    assert!(matches!(state(&facts, Id::Rustup), State::Unserved(_)));
    assert_eq!(state(&facts, Id::BpfToolchain), State::Waiting);
}

#[test]
fn packages_are_installed_through_sudo_by_a_plain_user() {
    let facts = Facts {
        privilege: Privilege::Sudo,
        ..without(complete(), &[Id::Cc])
    };
    let steps = commands(&facts, Id::Cc);
    assert!(steps[0].starts_with("sudo DEBIAN_FRONTEND=noninteractive apt-get install --yes"));
    assert!(steps[0].ends_with("gcc libc6-dev"), "{steps:?}");
}

#[test]
fn building_needs_no_test_tools() {
    let facts = without(complete(), &[Id::Ip, Id::Python, Id::Nextest]);
    assert!(
        plan(&facts, Purpose::Build)
            .iter()
            .all(|item| !item.is_missing())
    );
    assert_eq!(
        plan(&facts, Purpose::Test)
            .iter()
            .filter(|item| item.is_missing())
            .count(),
        3
    );
}

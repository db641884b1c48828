//! A release as somebody who downloaded it meets it: unpacked, checked, run.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// Every path below the first folder, but for what grows with `docs` and `deploy`.
const FILES: &[&str] = &[
    "SHA256SUMS",
    "usr/bin/gatectl",
    "usr/bin/gated",
    "usr/lib/systemd/system/gate-early.service",
    "usr/lib/systemd/system/gated.service",
    "usr/share/bash-completion/completions/gatectl",
    "usr/share/doc/gate/CHANGELOG.md",
    "usr/share/doc/gate/LICENSE-APACHE",
    "usr/share/doc/gate/LICENSE-MIT",
    "usr/share/doc/gate/README.md",
    "usr/share/doc/gate/THIRD-PARTY-NOTICES",
    "usr/share/fish/vendor_completions.d/gatectl.fish",
    "usr/share/man/man1/gatectl.1",
    "usr/share/zsh/site-functions/_gatectl",
];

/// A folder of this test process, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gate-dist-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn unpacked_release_runs_and_is_what_it_says() {
    // As `cargo xtask test` built them; optimising would not change what is packed.
    let programs = Programs::in_folder("debug");
    assert!(programs.gated.is_file(), "run `cargo xtask test`");
    let folder = Folder::new();
    let cargo = Child::new(["cargo"]);
    let packed = pack(&cargo, &programs, &folder.0).unwrap();
    let at = folder.0.display().to_string();
    shell(&format!("cd {at} && sha256sum --quiet --check *.sha256"));
    shell(&format!("cd {at} && tar -xzf *.tar.gz"));
    let name = packed.archive.file_name().unwrap().display().to_string();
    let root = folder.0.join(name.trim_end_matches(".tar.gz"));
    let within = root.display().to_string();
    shell(&format!(
        "cd {within} && sha256sum --quiet --strict --check SHA256SUMS"
    ));

    // As the documents say: what is below `usr`, and nothing else.
    let install = "--strip-components=1 --no-same-owner --wildcards '*/usr'";
    shell(&format!(
        "cd {at} && mkdir host && tar -xzf *.tar.gz -C host {install}"
    ));
    assert!(folder.0.join("host/usr/bin/gated").is_file());
    assert!(!folder.0.join("host/SHA256SUMS").exists());

    let found = found(&root);
    let grows = ["usr/share/doc/gate/docs/", "usr/share/doc/gate/deploy/"];
    let fixed: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|path| !grows.iter().any(|grows| path.starts_with(grows)))
        .collect();
    assert_eq!(fixed, FILES);
    for place in [
        "docs/gate.toml",
        "docs/operations.md",
        "deploy/container/compose.yml",
    ] {
        let place = format!("usr/share/doc/gate/{place}");
        assert!(found.contains(&place), "{place} is not among {found:?}");
    }
    let sums = fs::read_to_string(root.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), found.len() - 1, "all but itself");

    for unit in ["gated", "gate-early"] {
        let unit = root.join(format!("usr/lib/systemd/system/{unit}.service"));
        let text = fs::read_to_string(&unit).unwrap();
        let started = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart=/"));
        let program = started.unwrap().split(' ').next().unwrap();
        let mode = fs::metadata(root.join(program))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755, "{program} of {}", unit.display());
    }

    let version = format!("gated {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&root, "usr/bin/gated", &["--version"]), version);
    let state = folder.0.join("state").display().to_string();
    let check = [
        "--check",
        "--kernel",
        "off",
        "--state-dir",
        &state,
        "--run-dir",
        &state,
    ];
    let planned = run(&root, "usr/bin/gated", &check);
    assert!(planned.contains("127.0.0.1:8765"), "{planned}");
    let help = run(&root, "usr/bin/gatectl", &["help"]);
    assert!(help.contains("gatectl"), "{help}");
    let page = fs::read_to_string(root.join("usr/share/man/man1/gatectl.1")).unwrap();
    assert!(page.contains(".TH gatectl 1"), "{page}");
}

/// Two machines that pack the same must be able to compare what they packed.
#[test]
fn order_time_and_owner_are_of_the_archive_alone() {
    let mut files = archive::Files::new();
    for (path, mode) in [("usr/bin/b", 0o755), ("a", 0o644)] {
        let bytes = path.as_bytes().to_vec();
        files.insert(path.to_owned(), archive::File { mode, bytes });
    }
    let folder = Folder::new();
    let packed = archive::pack("gate", &files, 1_700_000_000).unwrap();
    assert_eq!(
        packed,
        archive::pack("gate", &files, 1_700_000_000).unwrap()
    );
    let file = folder.0.join("a.tar.gz");
    fs::write(&file, packed).unwrap();
    let list = Child::new(["tar", "--utc", "--full-time", "--numeric-owner", "-tvzf"]);
    let list = list.arg(file.display().to_string()).read().unwrap();
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            ["-rw-r--r--", "0/0", "1", "2023-11-14", "22:13:20", "gate/a"],
            [
                "-rwxr-xr-x",
                "0/0",
                "9",
                "2023-11-14",
                "22:13:20",
                "gate/usr/bin/b"
            ],
        ]
    );
}

#[test]
fn notices_name_what_is_linked_and_nothing_else() {
    let text = notices::text(&Child::new(["cargo"])).unwrap();
    let (list, texts) = text.split_once("\n==== ").unwrap();
    for linked in ["hyper 1.", "aya-ebpf 0.", "rusqlite 0.", "ring 0."] {
        assert!(
            list.lines().any(|line| line.starts_with(linked)),
            "{linked}"
        );
    }
    for other in ["proptest ", "rcgen ", "spdx ", "tar ", "gate-common "] {
        assert!(!list.lines().any(|line| line.starts_with(other)), "{other}");
    }
    assert!(texts.contains("Permission is hereby granted"));
}

fn shell(line: &str) {
    Child::new(["sh", "-c", line]).probe().unwrap();
}

fn run(root: &Path, program: &str, arguments: &[&str]) -> String {
    let words = [root.join(program).display().to_string()];
    let child = Child::new(words).args(arguments.iter().copied());
    child.read().unwrap_or_else(|| panic!("`{child}` failed"))
}

fn found(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found
}

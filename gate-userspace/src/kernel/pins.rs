//! The pin directory: where links and maps of this layout lie, and who may use it.
//!
//! One directory per layout (`v<hash>`), so that another layout is filled beside the old one. The
//! lock is on the directory itself and dies with the process, unlike the pins.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use gate_common::entry::ABI;
use gate_common::name;

use super::fault::KernelError;
use super::table;

/// The pins of one layout, held against other daemons.
#[derive(Debug)]
pub(super) struct Pins {
    root: PathBuf,
    own: PathBuf,
    _lock: Flock<File>,
}

impl Pins {
    /// Refuses a directory that holds a newer layout, before anything is made or removed in it.
    pub(super) fn open(root: &Path) -> Result<Self, KernelError> {
        let on_bpffs =
            |path: &Path| statfs(path).is_ok_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC);
        let standing = root.ancestors().find(|path| path.exists()).unwrap_or(root);
        if !on_bpffs(standing) {
            return Err(KernelError::NoBpffs {
                path: root.to_owned(),
            });
        }
        make(root)?;
        let directory = File::open(root).map_err(|cause| KernelError::File {
            path: root.to_owned(),
            cause,
        })?;
        let lock = Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, _)| {
            KernelError::Locked {
                path: root.to_owned(),
            }
        })?;
        for layout in children(root)? {
            let found = table::pinned_abi(&layout.join("maps").join(name::CONFIG))?;
            if found > ABI {
                return Err(KernelError::Newer { found, known: ABI });
            }
        }
        let own = root.join(directory_name());
        let pins = Self {
            root: root.to_owned(),
            own,
            _lock: lock,
        };
        make(&pins.own)?;
        make(&pins.maps())?;
        make(&pins.links())?;
        Ok(pins)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The socket lookups that are pinned here, of whatever layout.
    pub(super) fn lookups(&self) -> Result<Vec<PathBuf>, KernelError> {
        let layouts = children(&self.root)?.into_iter();
        let lookups = layouts.map(|layout| layout.join("links").join(super::links::LOOKUP));
        Ok(lookups.filter(|lookup| lookup.exists()).collect())
    }

    pub(super) fn maps(&self) -> PathBuf {
        self.own.join("maps")
    }

    pub(super) fn links(&self) -> PathBuf {
        self.own.join("links")
    }

    fn notes(&self) -> PathBuf {
        self.own.join("reserved")
    }

    /// Ports that gate itself added to the reserved ones, under whatever layout.
    pub(super) fn reserved(&self) -> Result<BTreeSet<u16>, KernelError> {
        let mut ports = BTreeSet::new();
        for layout in children(&self.root)? {
            for note in children(&layout.join("reserved"))? {
                let name = note.file_name().and_then(|name| name.to_str());
                ports.extend(name.and_then(|name| name.parse::<u16>().ok()));
            }
        }
        Ok(ports)
    }

    /// A directory a port: a bpffs holds no other files than pins.
    pub(super) fn note_reserved(&self, ports: &BTreeSet<u16>) -> Result<(), KernelError> {
        ports
            .iter()
            .try_for_each(|port| make(&self.notes().join(port.to_string())))
    }

    pub(super) fn forget_reserved(&self, ports: &BTreeSet<u16>) -> Result<(), KernelError> {
        for layout in children(&self.root)? {
            for port in ports {
                remove_tree(&layout.join("reserved").join(port.to_string()))?;
            }
        }
        Ok(())
    }

    /// Links of other layouts, which this build takes over or removes.
    pub(super) fn foreign_links(&self) -> Result<Vec<PathBuf>, KernelError> {
        let mut found = Vec::new();
        for directory in children(&self.root)? {
            if directory != self.own {
                found.extend(children(&directory.join("links"))?);
            }
        }
        Ok(found)
    }

    /// Removes directories of other layouts, once nothing of theirs is attached.
    pub(super) fn remove_foreign(&self) -> Result<usize, KernelError> {
        let mut removed = 0;
        self.note_reserved(&self.reserved()?)?;
        for directory in children(&self.root)? {
            if directory != self.own {
                removed += remove_tree(&directory)?;
            }
        }
        Ok(removed)
    }

    /// Takes back what a first start made; links of another layout stay at work.
    pub(super) fn remove_own(self) -> Result<(), KernelError> {
        for link in children(&self.links())? {
            super::links::remove(&link)?;
        }
        remove_tree(&self.own)?;
        if children(&self.root)?.is_empty() {
            fs::remove_dir(&self.root).map_err(|cause| KernelError::File {
                path: self.root.clone(),
                cause,
            })?;
        }
        Ok(())
    }

    pub(super) fn remove_all(self) -> Result<Vec<PathBuf>, KernelError> {
        let mut removed = Vec::new();
        // Links first: without maps a program would only be harder to name.
        for directory in children(&self.root)? {
            for link in children(&directory.join("links"))? {
                super::links::remove(&link)?;
                removed.push(link);
            }
            removed.extend(children(&directory.join("maps"))?);
            remove_tree(&directory.join("links"))?;
            remove_tree(&directory)?;
        }
        fs::remove_dir(&self.root).map_err(|cause| KernelError::File {
            path: self.root.clone(),
            cause,
        })?;
        Ok(removed)
    }
}

/// Name of this layout's directory.
pub(super) fn directory_name() -> String {
    format!("v{:016x}", gate_common::layout::HASH)
}

fn make(path: &Path) -> Result<(), KernelError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|cause| KernelError::File {
            path: path.to_owned(),
            cause,
        })
}

/// Sorted; empty when there is no such directory.
pub(super) fn children(path: &Path) -> Result<Vec<PathBuf>, KernelError> {
    let fault = |cause| KernelError::File {
        path: path.to_owned(),
        cause,
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(fault(cause)),
    };
    let mut found = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;
    found.sort();
    Ok(found)
}

fn remove_tree(path: &Path) -> Result<usize, KernelError> {
    let fault = |cause| KernelError::File {
        path: path.to_owned(),
        cause,
    };
    let mut removed = 0;
    for child in children(path)? {
        if child.is_dir() {
            removed += remove_tree(&child)?;
        } else {
            fs::remove_file(&child).map_err(fault)?;
            removed += 1;
        }
    }
    match fs::remove_dir(path) {
        Ok(()) => Ok(removed),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(removed),
        Err(cause) => Err(fault(cause)),
    }
}

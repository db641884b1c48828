//! The master key: given by value, read from its file, or made at first start.
//!
//! Threat: who holds it can open every upstream key in the store. Its file is made with mode 0600,
//! and one that others can read is refused.

use std::{
    fs::{OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use tracing::info;
use zeroize::Zeroizing;

use super::StartError;
use crate::secret::{Keyring, MasterKey, MasterKeys};

/// `needed`: the store has keys that only this one opens, so a new one would be of no use.
pub(super) fn keyring(
    given: Option<MasterKeys>,
    file: &Path,
    needed: bool,
) -> Result<Keyring, StartError> {
    let keys = match given {
        Some(keys) => keys,
        None if needed && !file.exists() => {
            return Err(StartError::KeyFileLost {
                path: file.to_owned(),
            });
        }
        None => read_or_make(file)?,
    };
    Ok(Keyring::of(keys))
}

fn read_or_make(file: &Path) -> Result<MasterKeys, StartError> {
    if file.exists() {
        read(file)
    } else {
        make(file)
    }
}

pub(super) fn read(file: &Path) -> Result<MasterKeys, StartError> {
    let broken = |cause| StartError::Path {
        path: file.to_owned(),
        cause,
    };
    match std::fs::metadata(file) {
        Ok(data) if data.mode() & 0o077 != 0 => Err(StartError::OpenKeyFile {
            path: file.to_owned(),
            mode: data.mode() & 0o777,
        }),
        Ok(_) => {
            let text = Zeroizing::new(std::fs::read_to_string(file).map_err(broken)?);
            let parsed = text.parse();
            parsed.map_err(|cause| StartError::MasterKey {
                path: file.to_owned(),
                cause,
            })
        }
        Err(cause) => Err(broken(cause)),
    }
}

/// Written beside, synced, then renamed: a crash leaves no half a key.
fn make(file: &Path) -> Result<MasterKeys, StartError> {
    let key = MasterKey::generate().map_err(|cause| StartError::MasterKey {
        path: file.to_owned(),
        cause,
    })?;
    write(file, "", &key)?;
    info!(path = %file.display(), key = %key.id(), "made a master key: back it up");
    Ok(key.into())
}

/// Makes a newer key and puts it behind those of the file, where it opens but does not seal yet.
pub(super) fn add(file: &Path) -> Result<MasterKey, StartError> {
    let held = std::fs::read_to_string(file).map_err(|cause| StartError::Path {
        path: file.to_owned(),
        cause,
    });
    let held = Zeroizing::new(held?);
    let key = MasterKey::generate().map_err(|cause| StartError::MasterKey {
        path: file.to_owned(),
        cause,
    })?;
    write(file, held.trim_end(), &key)?;
    info!(path = %file.display(), key = %key.id(), "made a newer master key: back it up");
    Ok(key)
}

/// The former keys and a new one.
fn write(file: &Path, held: &str, key: &MasterKey) -> Result<(), StartError> {
    let broken = |cause| StartError::Path {
        path: file.to_owned(),
        cause,
    };
    let beside = file.with_extension("new");
    let mut written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .map_err(broken)?;
    written
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(broken)?;
    let lines = [held, &key.to_base64(), ""];
    let lines = lines.into_iter().skip(usize::from(held.is_empty()));
    let lines: Vec<&str> = lines.collect();
    let text = Zeroizing::new(lines.join("\n"));
    written.write_all(text.as_bytes()).map_err(broken)?;
    written.sync_all().map_err(broken)?;
    std::fs::rename(&beside, file).map_err(broken)?;
    let folder = file
        .parent()
        .map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all());
    folder.map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_key_and_the_next_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        let made = keyring(None, &file, false).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            keyring(None, &file, false).unwrap().current(),
            made.current()
        );
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        keyring(None, &file, false).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            keyring(None, &file, false),
            Err(StartError::OpenKeyFile { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_lost_key_file_is_not_replaced_while_the_store_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        assert!(matches!(
            keyring(None, &file, true),
            Err(StartError::KeyFileLost { .. })
        ));
        assert!(!file.exists());
    }

    #[test]
    fn a_malformed_key_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        std::fs::write(&file, "not a key").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            keyring(None, &file, false),
            Err(StartError::MasterKey { .. })
        ));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a key");
    }
}

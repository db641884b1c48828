//! How the files become bytes: sorted, of root, of one time.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// By its path in the archive, below the first folder.
pub(super) type Files = BTreeMap<String, File>;

pub(super) struct File {
    pub(super) mode: u32,
    pub(super) bytes: Vec<u8>,
}

/// One `.tar.gz` of these, each below the folder `name`.
pub(super) fn pack(name: &str, files: &Files, time: u64) -> anyhow::Result<Vec<u8>> {
    // A gzip header holds neither name nor time unless it is told one.
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, file) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(file.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(time);
        header.set_size(file.bytes.len() as u64);
        tar.append_data(&mut header, format!("{name}/{path}"), file.bytes.as_slice())
            .with_context(|| format!("pack {path}"))?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// As `sha256sum --check` reads it.
pub(super) fn checksums(files: &Files) -> File {
    let mut text = String::new();
    for (path, file) in files {
        let _ = writeln!(text, "{}  {path}", sha256(&file.bytes));
    }
    File {
        mode: 0o644,
        bytes: text.into_bytes(),
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

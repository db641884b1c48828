//! The secrets that a start is given: shared secret, master key, upstream keys.
//!
//! Reads each from its one place and says where it came from, never what it is. A value in the
//! environment beats a file.

use std::path::{Path, PathBuf};

use super::{Environment, Refused};
use crate::secret::{Digest, MasterKey, NewToken, UpstreamKey, usable};

#[derive(Debug, Default)]
pub struct Secrets {
    /// The old shared-secret way: one client that covers all its rollouts.
    pub shared: Option<NewToken>,
    /// Given by value; otherwise the key file is read, or made at first start.
    pub master: Option<MasterKey>,
    /// Lines for the log, such as which of two sources won.
    pub notes: Vec<String>,
}

pub(super) fn read(
    environment: Environment<'_>,
    shared_file: Option<&PathBuf>,
) -> Result<Secrets, Refused> {
    let mut secrets = Secrets::default();
    secrets.shared = shared(environment, shared_file, &mut secrets.notes)?;
    if let Some(text) = environment("GATE_MASTER_KEY").filter(|text| !text.is_empty()) {
        let origin = "GATE_MASTER_KEY".to_owned();
        let key = text
            .parse()
            .map_err(|cause| Refused::MasterKey { origin, cause })?;
        secrets.master = Some(key);
    }
    Ok(secrets)
}

/// A zero-length value is unset; white space only is refused, for it was meant to be something.
fn shared(
    environment: Environment<'_>,
    file: Option<&PathBuf>,
    notes: &mut Vec<String>,
) -> Result<Option<NewToken>, Refused> {
    let from_environment = environment("INTERCEPTION_SECRET").filter(|text| !text.is_empty());
    let (text, origin) = match (from_environment, file) {
        (Some(text), file) => {
            if let Some(path) = file {
                notes.push(format!(
                    "shared secret taken from INTERCEPTION_SECRET, not from {}",
                    path.display()
                ));
            }
            (text, "INTERCEPTION_SECRET".to_owned())
        }
        (None, Some(path)) => (read_file(path)?, path.display().to_string()),
        (None, None) => return Ok(None),
    };
    let adopted = usable(&text).and_then(NewToken::adopt);
    adopted
        .map(Some)
        .map_err(|cause| Refused::SharedSecret { origin, cause })
}

/// What a service behind the `apollo` profile presents to itself. An empty value is unset.
pub(super) fn internal(
    environment: Environment<'_>,
    variable: &str,
) -> Result<Option<Digest>, Refused> {
    let Some(text) = environment(variable).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match usable(&text) {
        Ok(text) => Ok(Some(Digest::of(text.as_bytes()))),
        Err(cause) => Err(Refused::SharedSecret {
            origin: variable.to_owned(),
            cause,
        }),
    }
}

/// Where an upstream's key stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyPlace<'a> {
    Variable(&'a str),
    /// A file that systemd puts into a directory of its own for each service.
    Credential(&'a str),
    File(&'a Path),
}

pub(super) fn upstream_key(
    environment: Environment<'_>,
    place: Option<KeyPlace<'_>>,
) -> Result<Option<UpstreamKey>, Refused> {
    let (text, origin) = match place {
        Some(KeyPlace::Variable(name)) => (environment(name), name.to_owned()),
        Some(KeyPlace::Credential(name)) => {
            let path = credential(environment, name)?;
            (Some(read_file(&path)?), path.display().to_string())
        }
        Some(KeyPlace::File(path)) => (Some(read_file(path)?), path.display().to_string()),
        None => return Ok(None),
    };
    match text.map(|text| UpstreamKey::new(&text)) {
        Some(Some(key)) => Ok(Some(key)),
        Some(None) => Err(Refused::UpstreamKey {
            origin,
            why: "it is empty",
        }),
        None => Err(Refused::UpstreamKey {
            origin,
            why: "it is not set",
        }),
    }
}

fn credential(environment: Environment<'_>, name: &str) -> Result<PathBuf, Refused> {
    let is_name = !name.contains('/') && name != "." && name != "..";
    let folder = environment("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    match folder {
        Some(folder) if is_name => Ok(Path::new(&folder).join(name)),
        Some(_) => Err(Refused::Value {
            key: "upstream.key_credential".to_owned(),
            value: name.to_owned(),
            expected: "the name of a credential".to_owned(),
        }),
        None => Err(Refused::NoCredentials {
            name: name.to_owned(),
        }),
    }
}

fn read_file(path: &Path) -> Result<String, Refused> {
    std::fs::read_to_string(path).map_err(|cause| Refused::Unreadable {
        path: path.to_owned(),
        cause,
    })
}

//! `[store]`: where grants are kept, how far from it a host may be, and what seals keys there.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Environment, Flags,
    Origin::{self, Environment as Env, File, Flag},
    Refused, Shown, raw, secrets, value,
};
use crate::store::{Bounds, StorePlace};

/// A shorter one would forget changes that a host has yet to follow.
const SHORTEST: Duration = Duration::from_hours(1);

/// What the section says.
pub(super) struct Kept {
    pub(super) place: StorePlace,
    pub(super) bounds: Bounds,
    pub(super) audit_retention: Duration,
    pub(super) master_key_file: PathBuf,
}

pub(super) fn store(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawStore,
    state_dir: &Path,
    shown: &mut Shown,
) -> Result<Kept, Refused> {
    let place = place(flags, environment, file, state_dir, shown)?;
    let given = [(file.staleness.clone(), File)];
    let staleness = match shown.pick("staleness", given, "60s".to_owned()).as_str() {
        "lease" => None,
        text => Some(value::duration("store.staleness", text)?),
    };
    let skew = shown.pick("skew", [(file.skew.clone(), File)], "5s".to_owned());
    let skew = value::duration("store.skew", &skew)?;
    let given = [(file.audit_retention.clone(), File)];
    let text = shown.pick("audit_retention", given, "90d".to_owned());
    let audit_retention = value::duration("store.audit_retention", &text)?;
    if audit_retention < SHORTEST {
        let expected = "at least 1h: hosts follow what the store remembers";
        return Err(value::refused("store.audit_retention", &text, expected));
    }
    Ok(Kept {
        place,
        bounds: Bounds { staleness, skew },
        audit_retention,
        master_key_file: master_key_file(environment, file, state_dir, shown)?,
    })
}

/// The store's URL may hold a password: it is shown masked, and never repeated in an error.
fn place(
    flags: &Flags,
    environment: Environment<'_>,
    file: &raw::RawStore,
    state_dir: &Path,
    shown: &mut Shown,
) -> Result<StorePlace, Refused> {
    let given = [
        (flags.store.clone(), Flag),
        (environment("GATE_STORE"), Env("GATE_STORE")),
        (file.url.clone(), File),
    ];
    let found = given
        .into_iter()
        .find_map(|(url, origin)| Some((url?, origin)));
    let usual = || {
        (
            format!("sqlite:{}", state_dir.join("gate.db").display()),
            Origin::Default,
        )
    };
    let (url, origin) = found.unwrap_or_else(usual);
    let place: StorePlace = url.parse().map_err(|why: crate::store::BadPlace| {
        value::refused("store.url", "(not shown)", &format!("usable: {why}"))
    })?;
    shown.value("url", place.to_string(), origin);
    let password_file = match &file.password_credential {
        Some(name) => Some(secrets::credential(
            environment,
            "store.password_credential",
            name,
        )?),
        None => file.password_file.as_ref().map(PathBuf::from),
    };
    if let Some(path) = &password_file {
        shown.value("password_file", path, File);
    }
    let password = secrets::store_password(environment, password_file.as_deref())?;
    Ok(place.with_password(password))
}

fn master_key_file(
    environment: Environment<'_>,
    file: &raw::RawStore,
    state_dir: &Path,
    shown: &mut Shown,
) -> Result<PathBuf, Refused> {
    if let Some(name) = &file.master_key_credential {
        let path = secrets::credential(environment, "store.master_key_credential", name)?;
        shown.value("master_key_file", &path, File);
        return Ok(path);
    }
    let usual = state_dir.join("master.key").display().to_string();
    let given = [(file.master_key_file.clone(), File)];
    Ok(shown.pick("master_key_file", given, usual).into())
}

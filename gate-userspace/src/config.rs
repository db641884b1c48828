//! Settles the settings of one start: flag beats environment beats file beats default.
//!
//! The environment and the file are read here and nowhere else. Binds and attaches nothing, so
//! that a refused start has done nothing.

mod flags;
mod origin;
mod raw;
mod reach;
mod refuse;
mod secrets;
mod settle;
mod url;
mod value;

use std::{path::PathBuf, time::Duration};

pub use flags::Flags;
pub use origin::{Origin, Shown};
pub use reach::{Reach, Resolve, reach, resolve};
pub use refuse::{EXIT_REFUSED, Refused};
pub use secrets::Secrets;

use crate::{
    settings::Settings,
    store::{Bounds, StorePlace},
    watched::Watched,
};
use raw::RawFile;

/// One variable of the environment; a test gives its own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything a start needs to know.
#[derive(Debug)]
pub struct Config {
    pub settings: Settings,
    pub store: StorePlace,
    /// How far this host may be from a shared store.
    pub bounds: Bounds,
    /// How long the store remembers what was changed, and what has ended.
    pub audit_retention: Duration,
    pub secrets: Secrets,
    pub log: Log,
    /// The file it comes from, if there is one.
    pub file: Option<Watched>,
    /// What `--print-config` prints.
    pub shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub level: tracing::Level,
    pub format: LogFormat,
    pub access: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Reads the file that the flags name, and settles.
///
/// # Errors
/// When the start must be refused; nothing was bound or attached.
pub fn load(flags: &Flags) -> Result<Config, Refused> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the environment is read"
    )]
    let environment = |name: &str| std::env::var(name).ok();
    load_from(flags, &environment)
}

/// The same for an environment other than this process's.
///
/// # Errors
/// When the start must be refused.
pub fn load_from(flags: &Flags, environment: Environment<'_>) -> Result<Config, Refused> {
    let watched = flags.config.clone().map(Watched::new);
    let file = match &flags.config {
        Some(path) => read(path.clone())?,
        None => RawFile::default(),
    };
    let config = settle::settle(flags, environment, &file, &resolve)?;
    Ok(Config {
        file: watched,
        ..config
    })
}

fn read(path: PathBuf) -> Result<RawFile, Refused> {
    let text = std::fs::read_to_string(&path).map_err(|cause| Refused::Unreadable {
        path: path.clone(),
        cause,
    })?;
    toml::from_str(&text).map_err(|cause| Refused::File {
        path,
        cause: Box::new(cause),
    })
}

#[cfg(test)]
pub(crate) mod describe;
#[cfg(test)]
mod tests;

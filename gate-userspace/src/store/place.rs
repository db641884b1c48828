//! Which store: `sqlite:PATH`, or `postgres://...`.
//!
//! A URL may hold a password, so it is shown without one.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use zeroize::Zeroizing;

use super::{Embedded, Postgres, Store, StoreError};

#[derive(Clone)]
pub enum StorePlace {
    File(PathBuf),
    Server(Zeroizing<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a store is sqlite:PATH or postgres://USER@HOST/DATABASE")]
pub struct BadPlace;

impl StorePlace {
    /// `staleness` is how long this host goes on without word from a server; none = until each
    /// lease ends. A file is never out of reach.
    ///
    /// # Errors
    /// When the file is damaged, in use, or of a newer version. A server is not looked for yet.
    pub async fn open(&self, staleness: Option<Duration>) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Ok(Store::Embedded(Embedded::open(path).await?)),
            Self::Server(url) => Ok(Store::Postgres(Postgres::new(url, staleness)?)),
        }
    }
}

impl FromStr for StorePlace {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return if path.is_empty() {
                Err(BadPlace)
            } else {
                Ok(Self::File(path.into()))
            };
        }
        let is_server = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if is_server && text.parse::<tokio_postgres::Config>().is_ok() {
            Ok(Self::Server(Zeroizing::new(text.to_owned())))
        } else {
            Err(BadPlace)
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without what stands between the user's colon and the last `@`, and without the parameters,
/// where a password may stand too.
fn masked(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:***@{host}"),
        None if user.is_empty() => format!("{scheme}://{host}"),
        None => format!("{scheme}://{user}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        let rows = [
            (
                "sqlite:/var/lib/gate/gate.db",
                "sqlite:/var/lib/gate/gate.db",
            ),
            (
                "postgres://gate:s3cret@db:5432/gate",
                "postgres://gate:***@db:5432/gate",
            ),
            (
                "postgresql://gate:p%40ss@db/g",
                "postgresql://gate:***@db/g",
            ),
            (
                "postgres://gate@db/g?password=s3cret",
                "postgres://gate@db/g",
            ),
            ("postgres:///g?host=/run/postgresql", "postgres:///g"),
        ];
        for (text, shown) in rows {
            let place: StorePlace = text.parse().unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), shown);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "sqlite:", "gate.db", "mysql://db/g"] {
            assert!(text.parse::<StorePlace>().is_err(), "{text}");
        }
    }
}

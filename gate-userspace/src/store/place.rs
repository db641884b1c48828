//! Which store: `sqlite:PATH`, or `postgres://...`.
//!
//! A URL may hold a password, so it is shown without one.

use std::{fmt, path::PathBuf, str::FromStr};

use zeroize::Zeroizing;

use super::{Bounds, Embedded, Postgres, Store, StoreError, postgres::BadUrl};

#[derive(Clone)]
pub enum StorePlace {
    File(PathBuf),
    Server {
        url: Zeroizing<String>,
        /// Given apart from the URL.
        password: Option<Zeroizing<String>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    #[error("a store is sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Form,
    #[error(transparent)]
    Server(#[from] BadServer),
}

/// What is wrong with a server's URL, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadServer(BadUrl);

impl StorePlace {
    /// `bounds` say how far this host may be from a server. A file is never out of reach.
    ///
    /// # Errors
    /// When the file is damaged, in use, or of a newer version. A server is not looked for yet.
    pub async fn open(&self, bounds: Bounds) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Ok(Store::Embedded(Embedded::open(path).await?)),
            Self::Server { url, password } => {
                let password = password.as_ref().map(|text| text.as_str());
                Ok(Store::Postgres(Postgres::at(url, password, bounds)?))
            }
        }
    }

    /// Whether a password stands in the URL.
    pub fn has_password(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Server { url, .. } => Postgres::has_password(url),
        }
    }

    /// A password that does not stand in the URL. A file needs none.
    #[must_use]
    pub fn with_password(self, password: Option<Zeroizing<String>>) -> Self {
        match self {
            Self::File(path) => Self::File(path),
            Self::Server { url, .. } => Self::Server { url, password },
        }
    }
}

impl FromStr for StorePlace {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return if path.is_empty() {
                Err(BadPlace::Form)
            } else {
                Ok(Self::File(path.into()))
            };
        }
        let is_server = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if !is_server {
            return Err(BadPlace::Form);
        }
        Postgres::is_url(text).map_err(BadServer)?;
        Ok(Self::Server {
            url: Zeroizing::new(text.to_owned()),
            password: None,
        })
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server { url, .. } => f.write_str(&masked(url)),
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
        for text in [
            "",
            "sqlite:",
            "gate.db",
            "mysql://db/g",
            "postgres://h/g?sslmode=prefer",
        ] {
            assert!(text.parse::<StorePlace>().is_err(), "{text}");
        }
    }
}

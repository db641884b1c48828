//! What is done to stores without a running gate, by `gatectl`: move one, and read another
//! system's.
//!
//! Opens no embedded store that a gate may hold: what is moved is a backup.

mod apollo;
mod copy;

pub use apollo::{ApolloClient, apollo_clients};
pub use copy::{Copied, CopyError, Moved, copy};

pub use super::{BadPlace, StorePlace as Place, host_grants};
use super::{Bounds, Postgres, StoreError, StorePlace};

/// A server, or why the place is none.
fn server(place: &StorePlace) -> Result<Option<Postgres>, StoreError> {
    match place {
        StorePlace::File(_) => Ok(None),
        StorePlace::Server { url, password } => {
            let password = password.as_ref().map(|text| text.as_str());
            Postgres::at(url, password, Bounds::default()).map(Some)
        }
    }
}

//! Reads the client table of an apollo database. Writes nothing there.

use super::{StoreError, StorePlace, server};

const CLIENTS: &str =
    "SELECT name, auth_token_hash, anthropic_api_key FROM lightning_clients ORDER BY id";

/// One row. Its key is sealed, or lies in the clear as older versions wrote it.
pub struct ApolloClient {
    pub name: String,
    pub token_sha256: String,
    pub key: Option<zeroize::Zeroizing<String>>,
}

impl std::fmt::Debug for ApolloClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApolloClient({})", self.name)
    }
}

/// # Errors
/// When it is no server, cannot be reached, or has no such table.
pub async fn apollo_clients(place: &StorePlace) -> Result<Vec<ApolloClient>, StoreError> {
    let server = server(place)?;
    let server = server.ok_or_else(|| StoreError::Use("an apollo database is a server".into()))?;
    let client = server.visit().await?;
    let rows = client.query(CLIENTS, &[]).await?;
    let clients = rows.iter().map(|row| {
        Ok(ApolloClient {
            name: row.try_get(0)?,
            token_sha256: row.try_get(1)?,
            key: row.try_get::<_, Option<String>>(2)?.map(Into::into),
        })
    });
    clients.collect()
}

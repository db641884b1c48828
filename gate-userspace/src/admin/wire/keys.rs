//! Stored upstream keys and the master key that seals them; and clients of another system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::ident::{ClientName, Revision};

/// Answer of `POST /v1/keys/rotate-master`: which master key seals from now on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MasterRotated {
    pub master: String,
    pub revision: Revision,
}

/// Answer of `POST /v1/keys/reseal`: one step; ask again while there is something left.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Resealed {
    /// The master key that seals.
    pub master: String,
    /// Keys that were sealed anew.
    pub keys: usize,
    /// Clients and rollouts that still hold keys under an older master key.
    #[serde(default)]
    pub left: usize,
    /// Owners whose key does not open with any master key here.
    pub shut: Vec<String>,
    pub revision: Revision,
}

/// Question of `POST /v1/keys/seal`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySeal {
    pub upstream_key: Secret,
}

/// Query of `GET /v1/keys/export/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyExport {
    /// `v1`: the published form.
    pub form: String,
}

/// A sealed key: nothing opens it but the master key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SealedKey {
    pub sealed: String,
    pub master: String,
}

/// Question of `POST /v1/import`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportClients {
    pub clients: Vec<ImportClient>,
    /// What opens their keys; forgotten when this is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key: Option<Secret>,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportClient {
    pub client: ClientName,
    /// SHA-256 of the trimmed credential, 64 lowercase hex digits.
    pub token_sha256: String,
    /// As it lies there: `enc:v1:`, or in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_key: Option<Secret>,
}

/// Answer of `POST /v1/import`, in the order of the question.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientsImported {
    pub dry_run: bool,
    pub clients: Vec<ClientImported>,
    pub revision: Revision,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientImported {
    pub client: String,
    /// `added`, `unchanged`, `name_taken`, `token_taken`, `token_ended` or `unreadable`.
    pub state: String,
    /// Why, where that is not all there is to say.
    #[serde(default)]
    pub reason: String,
}

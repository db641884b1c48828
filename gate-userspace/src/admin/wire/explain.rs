//! `POST /v1/explain`: what would happen to this packet and this request, ring by ring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::ident::Revision;

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// `ADDR[%IFACE]`, or `lo`. Not needed with `frame`.
    #[serde(default)]
    pub from: String,
    /// The gated port; none = the first that the gate serves.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub path: Option<String>,
    /// A whole Ethernet frame in hex, in place of `from`.
    #[serde(default)]
    pub frame: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// In the order in which a caller meets them; stops at the first that refuses.
    pub rings: Vec<RingVerdict>,
    pub revision: Revision,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingVerdict {
    /// `packet`, `connection` or `request`.
    pub ring: String,
    /// `pass`, `drop` or `refuse`.
    pub verdict: String,
    pub reason: String,
    /// The entry, grant or rule that decided; empty = none did.
    #[serde(default)]
    pub matched: String,
    #[serde(default)]
    pub interface: String,
    #[serde(default)]
    pub hook: String,
    #[serde(default)]
    pub mode: String,
}

//! What happened: `GET /v1/events` (as it happens) and `GET /v1/audit` (as it was written down).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;
use crate::ident::{ClientName, Revision};

/// One line of `GET /v1/events`: `data: {"event":"...", ...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A ring refused somebody; packets are sampled.
    Drop {
        at: Moment,
        ring: String,
        reason: String,
        source: String,
        interface: String,
        port: u16,
    },
    /// Somebody should look: an uncovered interface, drift, a lost link, a full map.
    Alarm {
        at: Moment,
        kind: String,
        message: String,
    },
    /// A change was carried out.
    Change {
        at: Moment,
        revision: Revision,
        kind: String,
        subject: String,
        actor: String,
    },
    /// This reader was too slow and missed some.
    Lagged { missed: u64 },
}

/// `GET /v1/audit`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// Only changes behind this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// None = 1000; the newest are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Oldest first.
    pub entries: Vec<AuditEntry>,
    pub revision: Revision,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    pub revision: Revision,
    pub at: Moment,
    pub host: String,
    /// `uid=0 pid=42`, or `gate` for a lease that ran out.
    pub actor: String,
    pub kind: String,
    /// `client NAME` or `rollout ID`.
    pub subject: String,
    /// What changed; never a secret.
    pub detail: serde_json::Value,
}

//! What a sandbox is told, and nothing more: where the gate is, and its token.
//!
//! The names are those that the `OpenAI` and Anthropic SDKs read by themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::ident::RolloutId;

/// Model calls of an agent can take long, and its SDK must not give up before the gate does.
const TIMEOUT_SECONDS: &str = "3600";

/// Where a rollout finds the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Door {
    /// The address that its sources would use; none when that cannot be known.
    pub base_url: Option<String>,
    /// Every address it might be.
    pub candidates: Vec<String>,
    /// What stands behind the base URL: `/rollout/ID`, or empty without such a route.
    pub path: String,
}

/// The variables of one sandbox. Without a base URL only the token and the timeouts.
pub fn variables(
    base_url: Option<&str>,
    path: &str,
    token: Option<&Secret>,
) -> BTreeMap<String, Secret> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), Secret::new(value.to_owned()));
    };
    if let Some(base) = base_url {
        let base = base.trim_end_matches('/');
        set("OPENAI_BASE_URL", &format!("{base}{path}/v1"));
        set("ANTHROPIC_BASE_URL", &format!("{base}{path}"));
    }
    if let Some(token) = token {
        set("OPENAI_API_KEY", token.reveal());
        set("ANTHROPIC_API_KEY", token.reveal());
    }
    for name in ["OPENAI_TIMEOUT", "OPENAI_REQUEST_TIMEOUT", "HTTPX_TIMEOUT"] {
        set(name, TIMEOUT_SECONDS);
    }
    env
}

impl Door {
    pub fn path_of(prefix: &str, rollout: &RolloutId) -> String {
        prefix.replace("{rollout}", rollout.as_str())
    }
}

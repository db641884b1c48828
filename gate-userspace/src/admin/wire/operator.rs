//! Tokens for other machines: `/v1/admin/tokens`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Secret};
use crate::{
    ident::{OperatorName, Revision, TokenId},
    operator::Role,
};

/// Question of `POST /v1/admin/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorAdd {
    pub name: OperatorName,
    pub role: Role,
}

/// Its answer: the token is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperatorAdded {
    pub name: OperatorName,
    pub role: Role,
    pub token: Secret,
    pub token_id: TokenId,
    pub revision: Revision,
}

/// Answer of `GET /v1/admin/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperatorList {
    pub operators: Vec<OperatorView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperatorView {
    pub name: OperatorName,
    pub role: Role,
    pub token_id: TokenId,
    pub created_at: Moment,
}

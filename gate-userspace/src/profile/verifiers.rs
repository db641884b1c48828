//! `verifiers`: an interception server whose paths name the rollout.

use super::{Profile, Refusal, Shape, quoted};
use crate::{fault::Type, settings::ProfileName};

pub(super) struct Verifiers;

impl Profile for Verifiers {
    fn name(&self) -> ProfileName {
        ProfileName::Verifiers
    }

    /// Everything under its own rollout's path.
    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn names_rollout(&self) -> bool {
        true
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all other types keep their message"
        )]
        let message = match refusal.kind {
            Type::Unauthorized => "Unauthorized",
            Type::RolloutNotFound => "Rollout not found",
            Type::RolloutCancelled => "Rollout cancelled",
            _ => refusal.message,
        };
        Shape::json(refusal.kind, format!(r#"{{"error":{}}}"#, quoted(message)))
    }
}

//! `plain`: any HTTP service behind a bearer.

use super::{Profile, Refusal, Shape, concluded, openai};
use crate::{fault::Type, settings::ProfileName};

pub(super) struct Plain;

impl Profile for Plain {
    fn name(&self) -> ProfileName {
        ProfileName::Plain
    }

    fn default_scope(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn body_limit(&self) -> u64 {
        10_000_000
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape {
        let kind = if refusal.is_cap {
            Type::RateLimit
        } else {
            concluded(refusal.kind)
        };
        openai::envelope(kind, refusal.message)
    }
}
